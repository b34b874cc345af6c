// RMSNorm in one pass each way: y = w · x / √(mean(x²) + ε), statistics in float whatever the storage.
// Gain: the ordinary form makes five temporaries of the width of the model, two of them in float. Cost: this file.

#include "../guard.h"
#include "../parallel.h"
#include "cuda/launch.h"
#include "elements.h"
#include "forms.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ctorch {

namespace {

constexpr int lanes = 16;

template <class T, class A>
CT_INLINE void forward_rows(T *y, A *scales, const T *x, const T *w, int64_t width, double epsilon, int64_t a, int64_t b) {
    for (int64_t row = a; row < b; ++row) {
        const T *in = x + row * width;
        T *out = y + row * width;
        A sums[lanes] = {};
        int64_t i = 0;
        for (; i + lanes <= width; i += lanes)
            for (int l = 0; l < lanes; ++l) sums[l] += A(load(in + i + l)) * A(load(in + i + l));
        A total = 0;
        for (; i < width; ++i) total += A(load(in + i)) * A(load(in + i));
        for (int l = 0; l < lanes; ++l) total += sums[l];
        A scale = A(1) / std::sqrt(total / A(width) + A(epsilon));
        scales[row] = scale;
        for (i = 0; i < width; ++i) store(out + i, A(load(w + i)) * rounded<T>(A(load(in + i)) * scale));
    }
}

template <class T, class A>
CT_INLINE void backward_rows(T *dx, const T *dy, const T *x, const T *w, const A *scales, int64_t width, int64_t a, int64_t b) {
    for (int64_t row = a; row < b; ++row) {
        const T *in = x + row * width, *gradient = dy + row * width;
        T *out = dx + row * width;
        A scale = scales[row];
        A sums[lanes] = {};
        int64_t i = 0;
        for (; i + lanes <= width; i += lanes)
            for (int l = 0; l < lanes; ++l)
                sums[l] += A(load(gradient + i + l)) * A(load(w + i + l)) * A(load(in + i + l));
        A dot = 0;
        for (; i < width; ++i) dot += A(load(gradient + i)) * A(load(w + i)) * A(load(in + i));
        for (int l = 0; l < lanes; ++l) dot += sums[l];
        A factor = dot * scale * scale * scale / A(width);
        for (i = 0; i < width; ++i)
            store(out + i, A(load(gradient + i)) * A(load(w + i)) * scale - A(load(in + i)) * factor);
    }
}

#define CT_ROWS(T, A, attribute) \
    attribute void forward_kernel(T *y, A *s, const T *x, const T *w, int64_t n, double e, int64_t a, int64_t b) { \
        forward_rows<T, A>(y, s, x, w, n, e, a, b); \
    } \
    attribute void backward_kernel(T *dx, const T *dy, const T *x, const T *w, const A *s, int64_t n, int64_t a, int64_t b) { \
        backward_rows<T, A>(dx, dy, x, w, s, n, a, b); \
    }
CT_ROWS(float, float, CT_SIMD)
CT_ROWS(BFloat16Bits, float, CT_SIMD)
CT_ROWS(at::Half, float, )
CT_ROWS(double, double, )
#undef CT_ROWS

struct RMSNorm : torch::autograd::Function<RMSNorm> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &x_, const at::Tensor &weight, double epsilon) {
        auto x = x_.contiguous();
        int64_t width = x.size(-1), count = width > 0 ? x.numel() / width : 0;
        auto y = at::empty_like(x);
        auto scales = at::empty({count}, x.options().dtype(wide_type(x)));
        with_elements(x, "rms_norm", [&](auto *type) {
            using T = std::remove_pointer_t<decltype(type)>;
            auto *out = data<T>(y);
            const auto *in = data<T>(x), *w = data<T>(weight);
            auto *s = data<typename Arithmetic<T>::Type>(scales);
            if (form_of(x) == Form::device)
                return launch(CT_KERNEL(T, rms_norm_forward), x, count, out, s, in, w, width, epsilon);
            parallel_for(count, 16, [&](int64_t a, int64_t b) { forward_kernel(out, s, in, w, width, epsilon, a, b); });
        });
        context->save_for_backward({x, weight, scales});
        return y;
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const auto &x = saved[0], &weight = saved[1], &scales = saved[2];
        auto dy = gradients[0].contiguous();
        int64_t width = x.size(-1), count = scales.numel();
        at::Tensor dx, dw;
        if (context->needs_input_grad(0)) {
            dx = at::empty_like(x);
            with_elements(x, "rms_norm", [&](auto *type) {
                using T = std::remove_pointer_t<decltype(type)>;
                auto *out = data<T>(dx);
                const auto *in = data<T>(x), *g = data<T>(dy), *w = data<T>(weight);
                const auto *s = data<typename Arithmetic<T>::Type>(scales);
                if (form_of(x) == Form::device)
                    return launch(CT_KERNEL(T, rms_norm_backward), x, count, out, g, in, w, s, width);
                parallel_for(count, 16, [&](int64_t a, int64_t b) { backward_kernel(out, g, in, w, s, width, a, b); });
            });
        }
        if (context->needs_input_grad(1)) {
            auto wide = wide_type(x);
            auto shaped = x.reshape({count, width}).to(wide) * scales.to(wide).unsqueeze(1);
            dw = (dy.reshape({count, width}).to(wide) * shaped.to(x.scalar_type())).sum(0).to(weight.scalar_type());
        }
        return {dx, dw, {}};
    }
};

// The same from the operations that every device has.
at::Tensor composed(const at::Tensor &x, const at::Tensor &weight, double epsilon) {
    auto wide = x.to(wide_type(x));
    auto normalized = wide * at::rsqrt(wide.pow(2).mean(-1, true) + epsilon);
    return weight * normalized.to(x.scalar_type());
}

}  // namespace

}  // namespace ctorch

ct_tensor ct_rms_norm(ct_tensor x, ct_tensor weight, double epsilon) {
    using namespace ctorch;
    return guarded([&] {
        TORCH_CHECK(
            ref(x).dim() >= 1 && ref(weight).dim() == 1 && ref(x).size(-1) == ref(weight).size(0),
            "rms_norm: the input has shape ", ref(x).sizes(), ", the weight ", ref(weight).sizes());
        TORCH_CHECK(
            ref(x).scalar_type() == ref(weight).scalar_type(), "rms_norm: the input is ", ref(x).scalar_type(),
            ", the weight ", ref(weight).scalar_type());
        check_device("rms_norm", ref(x), ref(weight));
        if (form_of(ref(x)) == Form::composed) return own(composed(ref(x), ref(weight), epsilon));
        return own(RMSNorm::apply(ref(x), ref(weight).contiguous(), epsilon));
    });
}
