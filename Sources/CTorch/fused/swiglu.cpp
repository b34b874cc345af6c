// silu(gate) · up in one pass each way, keeping only gate and up.
// Gain: one temporary of the hidden width less in each direction, and one less kept. Cost: this file.

#include "../guard.h"
#include "../parallel.h"
#include "cuda/launch.h"
#include "elements.h"
#include "exponential.h"
#include "forms.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ctorch {

namespace {

template <class T, class A> CT_INLINE void forward_range(T *y, const T *g, const T *u, int64_t a, int64_t b) {
    for (int64_t i = a; i < b; ++i) {
        A gate = load(g + i);
        store(y + i, rounded<T>(gate / (A(1) + fast_exp(-gate))) * A(load(u + i)));
    }
}

template <class T, class A>
CT_INLINE void backward_range(T *dg, T *du, const T *dy, const T *g, const T *u, int64_t a, int64_t b) {
    for (int64_t i = a; i < b; ++i) {
        A gate = load(g + i), gradient = load(dy + i);
        A sigmoid = A(1) / (A(1) + fast_exp(-gate));
        store(du + i, gradient * rounded<T>(gate * sigmoid));
        store(dg + i, rounded<T>(gradient * A(load(u + i))) * sigmoid * (A(1) + gate * (A(1) - sigmoid)));
    }
}

#define CT_RANGES(T, A, attribute) \
    attribute void forward_kernel(T *y, const T *g, const T *u, int64_t a, int64_t b) { forward_range<T, A>(y, g, u, a, b); } \
    attribute void backward_kernel(T *dg, T *du, const T *dy, const T *g, const T *u, int64_t a, int64_t b) { \
        backward_range<T, A>(dg, du, dy, g, u, a, b); \
    }
CT_RANGES(float, float, CT_SIMD)
CT_RANGES(BFloat16Bits, float, CT_SIMD)
CT_RANGES(at::Half, float, )
CT_RANGES(double, double, )
#undef CT_RANGES

struct SwiGLU : torch::autograd::Function<SwiGLU> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &gate_, const at::Tensor &up_) {
        auto gate = gate_.contiguous(), up = up_.contiguous();
        auto y = at::empty_like(gate);
        with_elements(gate, "swiglu", [&](auto *type) {
            using T = std::remove_pointer_t<decltype(type)>;
            auto *out = data<T>(y);
            const auto *g = data<T>(gate), *u = data<T>(up);
            if (form_of(gate) == Form::device)
                return launch(CT_KERNEL(T, swiglu_forward), gate, blocks_for(gate.numel()), out, g, u, gate.numel());
            parallel_for(gate.numel(), 8192, [&](int64_t a, int64_t b) { forward_kernel(out, g, u, a, b); });
        });
        context->save_for_backward({gate, up});
        return y;
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const auto &gate = saved[0], &up = saved[1];
        auto dy = gradients[0].contiguous();
        auto dg = at::empty_like(gate), du = at::empty_like(up);
        with_elements(gate, "swiglu", [&](auto *type) {
            using T = std::remove_pointer_t<decltype(type)>;
            auto *gate_out = data<T>(dg), *up_out = data<T>(du);
            const auto *d = data<T>(dy), *g = data<T>(gate), *u = data<T>(up);
            if (form_of(gate) == Form::device)
                return launch(
                    CT_KERNEL(T, swiglu_backward), gate, blocks_for(gate.numel()), gate_out, up_out, d, g, u, gate.numel());
            parallel_for(gate.numel(), 8192, [&](int64_t a, int64_t b) { backward_kernel(gate_out, up_out, d, g, u, a, b); });
        });
        return {dg, du};
    }
};

}  // namespace

}  // namespace ctorch

ct_tensor ct_swiglu(ct_tensor gate, ct_tensor up) {
    using namespace ctorch;
    return guarded([&] {
        TORCH_CHECK(
            ref(gate).sizes() == ref(up).sizes() && ref(gate).scalar_type() == ref(up).scalar_type(),
            "swiglu: gate and up differ: ", ref(gate).sizes(), " and ", ref(up).sizes());
        check_device("swiglu", ref(gate), ref(up));
        if (form_of(ref(gate)) == Form::composed) return own(at::silu(ref(gate)) * ref(up));
        return own(SwiGLU::apply(ref(gate), ref(up)));
    });
}
