// Attention whose probabilities are dropped by chance while training, as BERT does; no flash kernel of the CPU has that.
// Keeps the probabilities of each sequence (t² per head), which for an encoder's lengths is little.

#include "../parallel.h"
#include "attention.h"
#include "dropout.h"
#include "forms.h"
#include "products.h"

#include <ATen/core/LegacyTypeDispatch.h>

namespace ctorch {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Another key for each sequence.
uint64_t sequence_key(uint64_t key, size_t i) { return key ^ (0x9E3779B97F4A7C15ull * (i + 1)); }

/// a b of each head, [1, H, m, k] and [1, H, k, n]. MKL's product of a whole batch changes its bits with the number of
/// threads; one head is multiplied by one thread.
at::Tensor head_products(const at::Tensor &a, const at::Tensor &b) {
    bool is_mkl = a.is_cpu() && (a.scalar_type() == at::kFloat || a.scalar_type() == at::kDouble);
    if (!is_mkl) return at::matmul(a, b);
    auto out = at::empty({1, a.size(1), a.size(2), b.size(3)}, a.options());
    parallel_for(a.size(1), 1, [&](int64_t first, int64_t last) {
        at::AutoDispatchBelowADInplaceOrView unrecorded;
        for (int64_t head = first; head < last; ++head) {
            auto part = out[0][head];
            at::mm_out(part, a[0][head], b[0][head]);
        }
    });
    return out;
}

struct Dropping : torch::autograd::Function<Dropping> {
    static at::Tensor forward(
        AutogradContext *context, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const Bounds &queries,
        const Bounds &keys, bool causal, int64_t window, double scale, double p, int64_t key) {
        int64_t groups = q.size(1) / k.size(1);
        Sight sight{causal, window};
        auto out = at::empty({q.size(0), q.size(1), v.size(2)}, q.options());
        variable_list saved{q, k, v};
        auto wide_q = computable(q), wide_k = computable(k), wide_v = computable(v);
        for (size_t i = 0; i + 1 < queries.size(); ++i) {
            int64_t t = queries[i + 1] - queries[i], s = keys[i + 1] - keys[i];
            auto scores = head_products(
                sequence(wide_q, queries, i), shared_heads(sequence(wide_k, keys, i), groups).transpose(2, 3)).mul_(scale);
            if (auto mask = sight.mask(wide_q, t, s)) {
                scores.add_(*mask);
            } else if (sight.is_plain_causal(t, s) && t > 1) {
                scores.masked_fill_(at::ones({t, s}, scores.options().dtype(at::kBool)).triu(1), -INFINITY);
            }
            auto weights = at::softmax(scores, -1);  // [1, H, t, s]
            auto y = head_products(
                dropped(weights, p, sequence_key(uint64_t(key), i)), shared_heads(sequence(wide_v, keys, i), groups));
            sequence(out, queries, i).copy_(y);
            saved.push_back(weights);
        }
        context->save_for_backward(saved);
        context->saved_data["queries"] = queries;
        context->saved_data["keys"] = keys;
        context->saved_data["scale"] = scale;
        context->saved_data["p"] = p;
        context->saved_data["key"] = key;
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto saved = context->get_saved_variables();
        auto q = computable(saved[0]), k = computable(saved[1]), v = computable(saved[2]);
        auto queries = context->saved_data["queries"].toIntVector(), keys = context->saved_data["keys"].toIntVector();
        double scale = context->saved_data["scale"].toDouble(), p = context->saved_data["p"].toDouble();
        auto key = uint64_t(context->saved_data["key"].toInt());
        int64_t groups = q.size(1) / k.size(1);
        auto dy = computable(gradients[0].contiguous());
        auto dq = at::empty_like(saved[0]), dk = at::empty_like(saved[1]), dv = at::empty_like(saved[2]);
        for (size_t i = 0; i + 1 < queries.size(); ++i) {
            const auto &weights = saved[3 + i];
            auto part = sequence(dy, queries, i);
            auto kept = dropped(weights, p, sequence_key(key, i));
            sequence(dv, keys, i).copy_(summed_heads(head_products(kept.transpose(2, 3), part), groups));
            auto d_weights = dropped(
                head_products(part, shared_heads(sequence(v, keys, i), groups).transpose(2, 3)), p, sequence_key(key, i));
            // libtorch's own gradient of softmax changes its bits with the number of threads.
            auto d_scores = (d_weights - (weights * d_weights).sum(-1, true)).mul_(weights).mul_(scale);
            sequence(dq, queries, i).copy_(head_products(d_scores, shared_heads(sequence(k, keys, i), groups)));
            sequence(dk, keys, i).copy_(
                summed_heads(head_products(d_scores.transpose(2, 3), sequence(q, queries, i)), groups));
        }
        return {dq, dk, dv, {}, {}, {}, {}, {}, {}, {}};
    }
};

/// The same from the operations that every device has, for tests.
at::Tensor composed(
    const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const Bounds &queries, const Bounds &keys,
    Sight sight, double scale, double p, uint64_t key) {
    int64_t groups = q.size(1) / k.size(1);
    auto wide_q = computable(q), wide_k = computable(k), wide_v = computable(v);
    std::vector<at::Tensor> parts;
    for (size_t i = 0; i + 1 < queries.size(); ++i) {
        int64_t t = queries[i + 1] - queries[i], s = keys[i + 1] - keys[i];
        auto scores = at::matmul(
            sequence(wide_q, queries, i), shared_heads(sequence(wide_k, keys, i), groups).transpose(2, 3)) * scale;
        auto mask = sight.mask(wide_q, t, s);
        if (mask) scores = scores + *mask;
        if (!mask && sight.is_plain_causal(t, s)) {
            scores = scores.masked_fill(at::ones({t, s}, scores.options().dtype(at::kBool)).triu(1), -INFINITY);
        }
        auto weights = dropped_with_gradient(at::softmax(scores, -1), p, sequence_key(key, i));
        auto y = at::matmul(weights, shared_heads(sequence(wide_v, keys, i), groups));
        parts.push_back(y.squeeze(0).transpose(0, 1));
    }
    return at::cat(parts, 0).to(q.scalar_type());
}

}  // namespace

at::Tensor attention_with_dropout(
    const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const Bounds &queries, const Bounds &keys,
    Sight sight, double scale, double probability, uint64_t key) {
    TORCH_CHECK(probability < 1, "attention: the probability of dropout must be below 1, got ", probability);
    if (composes) return composed(q, k, v, queries, keys, sight, scale, probability, key);
    return Dropping::apply(
        q, k, v, queries, keys, sight.causal, sight.window, scale, probability, int64_t(key));
}

}  // namespace ctorch
