// The language-model head and its loss together, in chunks of rows: Σ wᵢ · (log Σⱼ exp(xᵢ·Wⱼ) − xᵢ·W_label).
//
// With labels smoothed by ε a row's loss is (1-ε) of that and ε of its mean over all labels. A dynamic loss (Wu et al. 2025,
// arXiv 2508.05629) is multiplied by the label's probability, which has no gradient of its own.
//
// The gradient with respect to x is made in the forward pass from the chunk's logits, which then become the next chunk's:
// logits and their gradient never exist whole. Gain: 1.8 MB per token of a 152k vocabulary, and the passes over it
// (19 % of a step of the ordinary form). Cost: this file. Wijmans et al. 2024, arXiv 2411.09009, describe the idea.

#include "../guard.h"
#include "../parallel.h"
#include "cuda/launch.h"
#include "elements.h"
#include "exponential.h"
#include "forms.h"
#include "products.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ctorch {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int lanes = 16;

/// One chunk's rows: the loss of each, whether the label is the argmax, and, in place of the logits, their gradient.
template <class T, class A>
CT_INLINE void loss_rows(
    T *logits, const int64_t *labels, const float *weights, A *losses, uint8_t *hits, int64_t vocabulary,
    bool wants_gradient, double smoothing, bool is_dynamic, int64_t a, int64_t b) {
    for (int64_t row = a; row < b; ++row) {
        T *x = logits + row * vocabulary;
        A tops[lanes];
        for (int l = 0; l < lanes; ++l) tops[l] = A(-INFINITY);
        int64_t i = 0;
        for (; i + lanes <= vocabulary; i += lanes)
            for (int l = 0; l < lanes; ++l) {
                A value = load(x + i + l);
                tops[l] = value > tops[l] ? value : tops[l];
            }
        A top = A(-INFINITY);
        for (; i < vocabulary; ++i) top = A(load(x + i)) > top ? A(load(x + i)) : top;
        for (int l = 0; l < lanes; ++l) top = tops[l] > top ? tops[l] : top;

        A sums[lanes] = {};
        for (i = 0; i + lanes <= vocabulary; i += lanes)
            for (int l = 0; l < lanes; ++l) sums[l] += fast_exp(A(load(x + i + l)) - top);
        A sum = 0;
        for (; i < vocabulary; ++i) sum += fast_exp(A(load(x + i)) - top);
        for (int l = 0; l < lanes; ++l) sum += sums[l];

        int64_t label = labels[row];
        A target = load(x + label);
        losses[row] = top + std::log(sum) - target;
        A factor = A(weights[row]), even = 0;
        if (is_dynamic) {
            A probability = std::exp(-losses[row]);
            losses[row] *= probability;
            factor *= probability;
        } else if (smoothing > 0) {
            double means[lanes] = {}, mean = 0;
            for (i = 0; i + lanes <= vocabulary; i += lanes)
                for (int l = 0; l < lanes; ++l) means[l] += double(load(x + i + l));
            for (; i < vocabulary; ++i) mean += double(load(x + i));
            for (int l = 0; l < lanes; ++l) mean += means[l];
            A all = top + std::log(sum) - A(mean / double(vocabulary));
            losses[row] = A(1 - smoothing) * losses[row] + A(smoothing) * all;
            even = factor * A(smoothing) / A(vocabulary);
        }
        // The argmax is the first of equal logits.
        bool hit = target == top;
        for (int64_t j = 0; hit && j < label; ++j) hit = A(load(x + j)) != top;
        hits[row] = hit;
        if (wants_gradient) {
            A scale = factor / sum;
            if (even > 0) {
                for (i = 0; i < vocabulary; ++i) store(x + i, fast_exp(A(load(x + i)) - top) * scale - even);
                store(x + label, fast_exp(target - top) * scale - even - factor * A(1 - smoothing));
                continue;
            }
            for (i = 0; i < vocabulary; ++i) store(x + i, fast_exp(A(load(x + i)) - top) * scale);
            store(x + label, fast_exp(target - top) * scale - factor);
        }
    }
}

#define CT_LOSS(T, A, attribute) \
    attribute void loss_kernel( \
        T *x, const int64_t *l, const float *w, A *o, uint8_t *h, int64_t v, bool g, double s, bool d, int64_t a, \
        int64_t b) { \
        loss_rows<T, A>(x, l, w, o, h, v, g, s, d, a, b); \
    }
CT_LOSS(float, float, CT_SIMD)
CT_LOSS(BFloat16Bits, float, CT_SIMD)
CT_LOSS(at::Half, float, )
CT_LOSS(double, double, )
#undef CT_LOSS

struct Loss {
    at::Tensor losses, hits;
};

/// The same from operations that every device has. A label that is no id makes its loss NaN, as a device cannot refuse.
Loss composed_loss(
    at::Tensor &logits, const at::Tensor &labels, const at::Tensor &weights, bool wants_gradient, double smoothing,
    bool is_dynamic) {
    int64_t rows = logits.size(0), vocabulary = logits.size(1);
    auto wide = logits.to(wide_type(logits));
    auto is_id = at::logical_and(labels.ge(0), labels.lt(vocabulary));
    auto ids = at::where(is_id, labels, at::zeros_like(labels)).unsqueeze(1);
    auto logsumexp = at::logsumexp(wide, 1);
    auto losses = (logsumexp - wide.gather(1, ids).squeeze(1)).masked_fill(is_id.logical_not(), NAN);
    auto hits = (wide.argmax(1) == labels).to(at::kByte);
    auto factors = weights;
    if (is_dynamic) {
        auto probabilities = at::exp(-losses);
        losses = losses * probabilities;
        factors = factors * probabilities;
    } else if (smoothing > 0) {
        losses = losses * (1 - smoothing) + (logsumexp - wide.mean(1)) * smoothing;
    }
    if (wants_gradient) {
        auto gradient = at::exp(wide - logsumexp.unsqueeze(1));
        if (smoothing > 0) gradient.sub_(smoothing / double(vocabulary));
        gradient.scatter_add_(1, ids, at::full({rows, 1}, smoothing - 1.0, gradient.options()));
        logits = (gradient * factors.unsqueeze(1)).to(logits.scalar_type());
    }
    return {losses, hits};
}

/// Turns the logits of a chunk into their gradient (if wanted) and returns the rows' losses and hits.
Loss chunk_loss(
    at::Tensor &logits, const at::Tensor &labels, const at::Tensor &weights, bool wants_gradient, double smoothing = 0,
    bool is_dynamic = false) {
    auto form = form_of(logits);
    if (form == Form::composed) return composed_loss(logits, labels, weights, wants_gradient, smoothing, is_dynamic);
    int64_t rows = logits.size(0), vocabulary = logits.size(1);
    auto losses = at::empty({rows}, logits.options().dtype(wide_type(logits)));
    auto hits = at::empty({rows}, logits.options().dtype(at::kByte));
    with_elements(logits, "linear_cross_entropy", [&](auto *type) {
        using T = std::remove_pointer_t<decltype(type)>;
        auto *x = data<T>(logits);
        const auto *l = data<int64_t>(labels);
        const auto *w = data<float>(weights);
        auto *o = data<typename Arithmetic<T>::Type>(losses);
        auto *h = data<uint8_t>(hits);
        if (form == Form::device)
            return launch(
                CT_KERNEL(T, cross_entropy), logits, rows, x, l, w, o, h, vocabulary, wants_gradient, smoothing, is_dynamic);
        parallel_for(rows, 1, [&](int64_t a, int64_t b) {
            loss_kernel(x, l, w, o, h, vocabulary, wants_gradient, smoothing, is_dynamic, a, b);
        });
    });
    return {losses, hits};
}

struct LinearCrossEntropy : torch::autograd::Function<LinearCrossEntropy> {
    static variable_list forward(
        AutogradContext *context, const at::Tensor &x, const at::Tensor &weight, const at::Tensor &labels,
        const at::Tensor &weights, int64_t chunk, double smoothing, bool is_dynamic, bool wants_dx, bool wants_dw) {
        at::Tensor dx, dw;
        // float16 cannot hold what is small before it is multiplied by the scale of the loss.
        auto kept = x.scalar_type() == at::kHalf ? at::kFloat : x.scalar_type();
        if (wants_dx) dx = at::empty(x.sizes(), x.options().dtype(kept));
        auto sums = x.options().dtype(x.is_mps() ? at::kFloat : at::kDouble);
        auto total = at::zeros({}, sums);
        std::vector<at::Tensor> losses, hits;
        for (int64_t start = 0; start < x.size(0); start += chunk) {
            int64_t count = std::min(chunk, x.size(0) - start);
            auto part = computable(x.narrow(0, start, count));
            auto part_weights = weights.narrow(0, start, count);
            auto logits = product_forward(part, weight, {});                                    // [count, V]
            auto loss = chunk_loss(
                logits, labels.narrow(0, start, count), part_weights, wants_dx || wants_dw, smoothing, is_dynamic);
            auto weighted = loss.losses.to(total.scalar_type()) * part_weights;
            total.add_(weighted.sum());
            losses.push_back(weighted.to(wide_type(x)));
            hits.push_back(loss.hits);
            if (wants_dx) dx.narrow(0, start, count).copy_(product_input_gradient(logits, weight));
            if (wants_dw) {
                auto piece = product_weight_gradient(logits, part);
                // Sums of chunks in 16 bits would lose what is small beside them.
                dw = dw.defined() ? dw.add_(piece) : piece.to(wide_type(piece));
            }
        }
        context->save_for_backward({dx, dw});
        context->saved_data["x"] = int64_t(x.scalar_type());
        context->saved_data["weight"] = int64_t(weight.scalar_type());
        auto every_loss = at::cat(losses), every_hit = at::cat(hits).to(wide_type(x));
        context->mark_non_differentiable({every_loss, every_hit});
        return {total.to(wide_type(x)), every_loss, every_hit};
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto saved = context->get_saved_variables();
        // The factor holds the scale of the loss, which 16 bits may not.
        auto scaled = [&](const at::Tensor &x, const char *type) {
            return x.defined() ? (x.to(wide_type(x)) * gradients[0]).to(at::ScalarType(context->saved_data[type].toInt())) : x;
        };
        return {scaled(saved[0], "x"), scaled(saved[1], "weight"), {}, {}, {}, {}, {}, {}, {}};
    }
};

/// The loss of each row by itself. What it counts is known only when the backward pass begins: the gradient with respect to
/// x is made with a weight of 1 and multiplied then; that of the head, where it trains, needs the chunk's logits again.
struct LinearTokenLosses : torch::autograd::Function<LinearTokenLosses> {
    static variable_list forward(
        AutogradContext *context, const at::Tensor &x, const at::Tensor &weight, const at::Tensor &labels,
        int64_t chunk, bool wants_dx, bool wants_dw) {
        at::Tensor dx;
        auto kept = x.scalar_type() == at::kHalf ? at::kFloat : x.scalar_type();
        if (wants_dx) dx = at::empty(x.sizes(), x.options().dtype(kept));
        auto wide = x.options().dtype(wide_type(x));
        auto losses = at::empty({x.size(0)}, wide), means = at::empty({x.size(0)}, wide);
        auto ones = at::ones({std::min(chunk, x.size(0))}, x.options().dtype(at::kFloat));
        for (int64_t start = 0; start < x.size(0); start += chunk) {
            int64_t count = std::min(chunk, x.size(0) - start);
            auto logits = product_forward(computable(x.narrow(0, start, count)), weight, {});        // [count, V]
            means.narrow(0, start, count).copy_(at::mean(logits, {1}, false, wide_type(x)));
            auto loss = chunk_loss(logits, labels.narrow(0, start, count), ones.narrow(0, 0, count), wants_dx);
            losses.narrow(0, start, count).copy_(loss.losses);
            if (wants_dx) dx.narrow(0, start, count).copy_(product_input_gradient(logits, weight));
        }
        context->save_for_backward({dx, wants_dw ? x : at::Tensor(), weight, labels});
        context->saved_data["x"] = int64_t(x.scalar_type());
        context->saved_data["chunk"] = chunk;
        context->saved_data["wants_dw"] = wants_dw;
        context->mark_non_differentiable({means});
        return {losses, means};
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto saved = context->get_saved_variables();
        const auto &dx = saved[0], &x = saved[1], &weight = saved[2], &labels = saved[3];
        auto factors = gradients[0].unsqueeze(1);                                                   // [N, 1]
        at::Tensor x_gradient, dw;
        if (dx.defined())
            x_gradient = (dx.to(wide_type(dx)) * factors).to(at::ScalarType(context->saved_data["x"].toInt()));
        if (context->saved_data["wants_dw"].toBool()) {
            // The factors hold the scale of the loss, which 16 bits may not.
            auto largest = factors.abs().max().clamp_min(1e-30);
            auto shares = factors / largest;
            int64_t chunk = context->saved_data["chunk"].toInt();
            auto ones = at::ones({std::min(chunk, x.size(0))}, x.options().dtype(at::kFloat));
            for (int64_t start = 0; start < x.size(0); start += chunk) {
                int64_t count = std::min(chunk, x.size(0) - start);
                auto part = computable(x.narrow(0, start, count));
                auto logits = product_forward(part, weight, {});
                chunk_loss(logits, labels.narrow(0, start, count), ones.narrow(0, 0, count), true);
                logits.mul_(shares.narrow(0, start, count));
                auto piece = product_weight_gradient(logits, part);
                dw = dw.defined() ? dw.add_(piece) : piece.to(wide_type(piece));
            }
            dw = (dw * largest).to(weight.scalar_type());
        }
        return {x_gradient, dw, {}, {}, {}, {}};
    }
};

/// Labels as the kernels read them, where they read them.
at::Tensor checked_labels(const char *what, const at::Tensor &x, const at::Tensor &weight, const at::Tensor &given) {
    auto labels = given.to(at::kLong).contiguous();
    TORCH_CHECK(
        x.dim() == 2 && labels.dim() == 1 && labels.size(0) == x.size(0) && x.size(0) > 0,
        what, ": x has shape ", x.sizes(), ", labels ", labels.sizes());
    if (labels.is_cpu()) {
        const auto *ids = data<int64_t>(labels);
        TORCH_CHECK(
            std::all_of(ids, ids + labels.numel(), [&](int64_t id) { return id >= 0 && id < weight.size(0); }),
            what, ": a label is outside 0 ..< ", weight.size(0));
    }
    return labels.to(x.device());
}

}  // namespace

}  // namespace ctorch

ct_tensor ct_linear_token_losses(
    ct_tensor x_, ct_tensor weight_, ct_tensor labels_, int64_t chunk, ct_tensor *means) {
    using namespace ctorch;
    return guarded([&] {
        const auto &x = ref(x_), &weight = ref(weight_);
        check_device("linear_token_losses", x, weight);
        auto labels = checked_labels("linear_token_losses", x, weight, ref(labels_));
        bool records = at::GradMode::is_enabled();
        auto results = LinearTokenLosses::apply(
            x, weight, labels, chunk, records && x.requires_grad(), records && weight.requires_grad());
        *means = own(results[1]);
        return own(results[0]);
    });
}

ct_tensor ct_linear_cross_entropy(
    ct_tensor x_, ct_tensor weight_, ct_tensor labels_, ct_tensor row_weights_, int64_t chunk, double smoothing,
    bool is_dynamic, ct_tensor *losses, ct_tensor *hits) {
    using namespace ctorch;
    return guarded([&] {
        const auto &x = ref(x_), &weight = ref(weight_);
        check_device("linear_cross_entropy", x, weight);
        auto labels = checked_labels("linear_cross_entropy", x, weight, ref(labels_));
        auto weights = row_weights_ ? ref(row_weights_).to(x.device(), at::kFloat).contiguous()
                                    : at::ones({x.size(0)}, x.options().dtype(at::kFloat));
        bool records = at::GradMode::is_enabled();
        auto results = LinearCrossEntropy::apply(
            x, weight, labels, weights, chunk, smoothing, is_dynamic, records && x.requires_grad(),
            records && weight.requires_grad());
        *losses = own(results[1]);
        *hits = own(results[2]);
        return own(results[0]);
    });
}
