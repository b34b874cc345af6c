// libtorch cuts a large tensor into one part per thread. A sum over all elements adds up the sums of the parts, and an
// elementwise function computes most of a part by vector instructions and its end by others: the last bits of both change
// with the number of threads. Here the parts have a fixed size, each too small for libtorch to share it out.
// Gain: a run repeats bit for bit on another number of cores. Cost: this file.

#include "elementwise.h"
#include "fused/forms.h"
#include "parallel.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/custom_function.h>

namespace ctorch {

namespace {

/// libtorch shares out from 32768 elements on.
constexpr int64_t part = 16384;

bool is_shared_out(const at::Tensor &x) {
    return takes_kernel(x) && x.numel() > part && at::isFloatingType(x.scalar_type());
}

at::Tensor part_of(const at::Tensor &flat, int64_t first, int64_t last) { return flat.narrow(0, first, last - first); }

/// Calls `body(first, last)` on parts of fixed size without recording; a thread of the pool has a mode of its own.
template <class Body> void for_parts(int64_t count, Body &&body) {
    parallel_for(count, part, [&](int64_t first, int64_t last) {
        at::AutoDispatchBelowADInplaceOrView unrecorded;
        body(first, last);
    });
}

struct Exp {
    static void value(at::Tensor &y, const at::Tensor &x) { at::exp_out(y, x); }
    static at::Tensor gradient(const at::Tensor &dy, const at::Tensor &, const at::Tensor &y) { return dy * y; }
};
struct Log {
    static void value(at::Tensor &y, const at::Tensor &x) { at::log_out(y, x); }
    static at::Tensor gradient(const at::Tensor &dy, const at::Tensor &x, const at::Tensor &) { return dy / x; }
};
struct Sin {
    static void value(at::Tensor &y, const at::Tensor &x) { at::sin_out(y, x); }
    static at::Tensor gradient(const at::Tensor &dy, const at::Tensor &x, const at::Tensor &) { return dy * stable_cos(x); }
};
struct Cos {
    static void value(at::Tensor &y, const at::Tensor &x) { at::cos_out(y, x); }
    static at::Tensor gradient(const at::Tensor &dy, const at::Tensor &x, const at::Tensor &) { return -dy * stable_sin(x); }
};
struct Tanh {
    static void value(at::Tensor &y, const at::Tensor &x) { at::tanh_out(y, x); }
    static at::Tensor gradient(const at::Tensor &dy, const at::Tensor &, const at::Tensor &y) { return at::tanh_backward(dy, y); }
};
struct Sigmoid {
    static void value(at::Tensor &y, const at::Tensor &x) { at::sigmoid_out(y, x); }
    static at::Tensor gradient(const at::Tensor &dy, const at::Tensor &, const at::Tensor &y) { return at::sigmoid_backward(dy, y); }
};

/// The gradient as one function of dy and x, by parts of fixed size.
template <class Body> at::Tensor gradient_by_parts(const at::Tensor &dy_, const at::Tensor &x, Body &&body) {
    auto dy = dy_.contiguous(), dx = at::empty_like(x);
    auto g = dy.view(-1), from = x.view(-1), to = dx.view(-1);
    for_parts(x.numel(), [&](int64_t first, int64_t last) {
        auto out = part_of(to, first, last);
        body(out, part_of(g, first, last), part_of(from, first, last));
    });
    return dx;
}

struct SiLU {
    static void value(at::Tensor &y, const at::Tensor &x) { at::silu_out(y, x); }
    static at::Tensor gradient(const at::Tensor &dy, const at::Tensor &x, const at::Tensor &) {
        return gradient_by_parts(dy, x, [](auto &out, auto g, auto in) { at::silu_backward_out(out, g, in); });
    }
};
template <bool approximates> struct GELU {
    static constexpr const char *form = approximates ? "tanh" : "none";
    static void value(at::Tensor &y, const at::Tensor &x) { at::gelu_out(y, x, form); }
    static at::Tensor gradient(const at::Tensor &dy, const at::Tensor &x, const at::Tensor &) {
        return gradient_by_parts(dy, x, [](auto &out, auto g, auto in) { at::gelu_backward_out(out, g, in, form); });
    }
};

template <class Function> struct ByParts : torch::autograd::Function<ByParts<Function>> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x_) {
        auto x = x_.contiguous(), y = at::empty_like(x);
        auto from = x.view(-1), to = y.view(-1);
        for_parts(x.numel(), [&](int64_t first, int64_t last) {
            auto out = part_of(to, first, last);
            Function::value(out, part_of(from, first, last));
        });
        context->save_for_backward({x, y});
        return y;
    }
    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        return {Function::gradient(gradients[0], saved[0], saved[1])};
    }
};

/// libtorch's own gradient in float changes its last bits with the number of threads.
struct Softmax : torch::autograd::Function<Softmax> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, int64_t axis) {
        auto y = at::softmax(x, axis);
        context->save_for_backward({y});
        context->saved_data["axis"] = axis;
        return y;
    }
    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto y = context->get_saved_variables()[0];
        auto weighted = (y * gradients[0]).sum(context->saved_data["axis"].toInt(), true);
        return {y * (gradients[0] - weighted), {}};
    }
};

}  // namespace

at::Tensor stable_softmax(const at::Tensor &x, int64_t axis) {
    return takes_kernel(x) ? Softmax::apply(x, axis) : at::softmax(x, axis);
}

at::Tensor sum_of_parts(const at::Tensor &x) {
    if (!is_shared_out(x)) return at::sum(x);
    auto wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    auto flat = x.reshape(-1);
    int64_t rows = flat.numel() / part, rest = flat.numel() % part;
    auto total = sum_of_parts(flat.narrow(0, 0, rows * part).view({rows, part}).sum(1, false, wide));
    if (rest > 0) total = total + flat.narrow(0, rows * part, rest).sum(wide);
    return total.to(x.scalar_type());
}

void settle_functions() noexcept {
    try {
        at::AutoDispatchBelowADInplaceOrView unrecorded;
        for (auto type : {at::kFloat, at::kDouble}) {
            auto x = at::ones({16}, type);
            for (auto function : {at::exp, at::log, at::sin, at::cos, at::tanh, at::sqrt}) function(x);
        }
    } catch (...) {
        // Whoever needs them will hear of it.
    }
}

at::Tensor stable_exp(const at::Tensor &x) { return is_shared_out(x) ? ByParts<Exp>::apply(x) : at::exp(x); }
at::Tensor stable_log(const at::Tensor &x) { return is_shared_out(x) ? ByParts<Log>::apply(x) : at::log(x); }
at::Tensor stable_sin(const at::Tensor &x) { return is_shared_out(x) ? ByParts<Sin>::apply(x) : at::sin(x); }
at::Tensor stable_cos(const at::Tensor &x) { return is_shared_out(x) ? ByParts<Cos>::apply(x) : at::cos(x); }
at::Tensor stable_tanh(const at::Tensor &x) { return is_shared_out(x) ? ByParts<Tanh>::apply(x) : at::tanh(x); }
at::Tensor stable_sigmoid(const at::Tensor &x) { return is_shared_out(x) ? ByParts<Sigmoid>::apply(x) : at::sigmoid(x); }
at::Tensor stable_silu(const at::Tensor &x) { return is_shared_out(x) ? ByParts<SiLU>::apply(x) : at::silu(x); }

at::Tensor stable_gelu(const at::Tensor &x, bool approximates) {
    if (!is_shared_out(x)) return at::gelu(x, approximates ? "tanh" : "none");
    return approximates ? ByParts<GELU<true>>::apply(x) : ByParts<GELU<false>>::apply(x);
}

at::Tensor binary_cross_entropy_sum(const at::Tensor &logits, const at::Tensor &targets) {
    TORCH_CHECK(
        logits.sizes() == targets.sizes(), "binary_cross_entropy: logits have shape ", logits.sizes(), ", targets ",
        targets.sizes());
    // The loss of 16-bit scores is a sum that 16 bits cannot hold.
    bool is_short = logits.scalar_type() == at::kHalf || logits.scalar_type() == at::kBFloat16;
    auto x = (is_short ? logits.to(at::kFloat) : logits).reshape(-1), wanted = targets.to(x.scalar_type()).reshape(-1);
    auto sum = [](const at::Tensor &a, const at::Tensor &b) {
        return at::binary_cross_entropy_with_logits(a, b, {}, {}, at::Reduction::Sum);
    };
    if (!is_shared_out(x)) return sum(x, wanted);
    at::Tensor total;
    for (int64_t first = 0; first < x.numel(); first += part) {
        int64_t last = std::min(x.numel(), first + part);
        auto piece = sum(part_of(x, first, last), part_of(wanted, first, last));
        total = total.defined() ? total + piece : piece;
    }
    return total;
}

}  // namespace ctorch
