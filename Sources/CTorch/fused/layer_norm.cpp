// LayerNorm with the gradients of its weight and bias summed over blocks of rows of a fixed size.
// Gain: libtorch sums them by thread, so that their last bits change with the number of threads. Cost: this file.

#include "../guard.h"
#include "../parallel.h"
#include "elements.h"
#include "forms.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ctorch {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t block = 64;

/// One block's sums of dy · (x - mean) · rstd and of dy, for each column.
template <class T, class A>
CT_INLINE void weight_rows(A *dw, A *db, const T *dy, const T *x, const A *mean, const A *rstd, int64_t width, int64_t a, int64_t b) {
    for (int64_t row = a; row < b; ++row) {
        const T *in = x + row * width, *gradient = dy + row * width;
        A center = mean[row], scale = rstd[row];
        for (int64_t i = 0; i < width; ++i) {
            A g = load(gradient + i);
            dw[i] += g * (A(load(in + i)) - center) * scale;
            db[i] += g;
        }
    }
}

#define CT_WEIGHTS(T, A, attribute) \
    attribute void weight_kernel( \
        A *dw, A *db, const T *dy, const T *x, const A *mean, const A *rstd, int64_t width, int64_t a, int64_t b) { \
        weight_rows<T, A>(dw, db, dy, x, mean, rstd, width, a, b); \
    }
CT_WEIGHTS(float, float, CT_SIMD)
CT_WEIGHTS(BFloat16Bits, float, CT_SIMD)
CT_WEIGHTS(at::Half, float, )
CT_WEIGHTS(double, double, )
#undef CT_WEIGHTS

struct LayerNorm : torch::autograd::Function<LayerNorm> {
    static at::Tensor forward(
        AutogradContext *context, const at::Tensor &x_, const at::Tensor &weight, const at::Tensor &bias, double epsilon) {
        auto x = x_.contiguous();
        auto [y, mean, rstd] = at::native_layer_norm(x, weight.sizes(), weight, bias, epsilon);
        context->save_for_backward({x, weight, bias, mean, rstd});
        return y;
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto saved = context->get_saved_variables();
        const auto &x = saved[0], &weight = saved[1], &bias = saved[2], &mean = saved[3], &rstd = saved[4];
        auto dy = gradients[0].contiguous();
        at::Tensor dx, dw, db;
        if (context->needs_input_grad(0)) {
            dx = std::get<0>(at::native_layer_norm_backward(
                dy, x, weight.sizes(), mean, rstd, weight, bias, {true, false, false}));
        }
        if (context->needs_input_grad(1) || context->needs_input_grad(2)) {
            int64_t width = x.size(-1), rows = width > 0 ? x.numel() / width : 0;
            auto wide = wide_type(x);
            auto sums = at::zeros({2, (rows + block - 1) / block, width}, x.options().dtype(wide));
            auto centers = mean.to(wide).contiguous(), scales = rstd.to(wide).contiguous();
            with_elements(x, "layer_norm", [&](auto *type) {
                using T = std::remove_pointer_t<decltype(type)>;
                using A = typename Arithmetic<T>::Type;
                auto *out = data<A>(sums);
                const auto *in = data<T>(x), *g = data<T>(dy);
                const auto *m = data<A>(centers), *s = data<A>(scales);
                int64_t blocks = sums.size(1);
                parallel_for(rows, block, [&](int64_t a, int64_t b) {
                    auto *first = out + a / block * width;
                    weight_kernel(first, first + blocks * width, g, in, m, s, width, a, b);
                });
            });
            auto both = sums.sum(1);
            dw = both[0].to(weight.scalar_type());
            db = both[1].to(bias.scalar_type());
        }
        return {dx, dw, db, {}};
    }
};

}  // namespace

}  // namespace ctorch

ct_tensor ct_layer_norm(ct_tensor x_, ct_tensor weight_, ct_tensor bias_, double epsilon) {
    using namespace ctorch;
    return guarded([&] {
        const auto &x = ref(x_), &weight = ref(weight_), &bias = ref(bias_);
        TORCH_CHECK(
            x.dim() >= 1 && weight.dim() == 1 && weight.sizes() == bias.sizes() && x.size(-1) == weight.size(0),
            "layer_norm: the input has shape ", x.sizes(), ", the weight ", weight.sizes(), ", the bias ", bias.sizes());
        if (!takes_kernel(x)) return own(at::layer_norm(x, weight.sizes(), weight, bias, epsilon));
        return own(LayerNorm::apply(x, weight, bias, epsilon));
    });
}
