// Rotary position embedding of half-split pairs: (x₁, x₂) → (x₁ cos − x₂ sin, x₂ cos + x₁ sin), x = [x₁ | x₂].
// Su et al. 2021, arXiv 2104.09864. Gain: the ordinary form makes four temporaries of the size of x. Cost: this file.

#include "../guard.h"
#include "../parallel.h"
#include "cuda/launch.h"
#include "elements.h"
#include "forms.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ctorch {

namespace {

template <class T, class A>
CT_INLINE void rotate_rows(
    T *y, const T *x, const float *cosines, const float *sines, int64_t heads, int64_t half, A direction, int64_t a, int64_t b) {
    for (int64_t t = a; t < b; ++t) {
        const float *c = cosines + t * half, *s = sines + t * half;
        for (int64_t h = 0; h < heads; ++h) {
            const T *in = x + (t * heads + h) * 2 * half;
            T *out = y + (t * heads + h) * 2 * half;
            for (int64_t i = 0; i < half; ++i) {
                A first = load(in + i), second = load(in + half + i), sine = direction * A(s[i]);
                store(out + i, first * A(c[i]) - second * sine);
                store(out + half + i, second * A(c[i]) + first * sine);
            }
        }
    }
}

#define CT_ROTATE(T, A, attribute) \
    attribute void rotate(T *y, const T *x, const float *c, const float *s, int64_t h, int64_t e, double d, int64_t a, int64_t b) { \
        rotate_rows<T, A>(y, x, c, s, h, e, A(d), a, b); \
    }
CT_ROTATE(float, float, CT_SIMD)
CT_ROTATE(BFloat16Bits, float, CT_SIMD)
CT_ROTATE(at::Half, float, )
CT_ROTATE(double, double, )
#undef CT_ROTATE

/// The same from the operations that every device has.
at::Tensor composed(const at::Tensor &x, const at::Tensor &cosines, const at::Tensor &sines, double direction) {
    auto halves = x.to(wide_type(x)).chunk(2, -1);
    auto c = cosines.unsqueeze(1).to(wide_type(x)), s = (sines * direction).unsqueeze(1).to(wide_type(x));
    return at::cat({halves[0] * c - halves[1] * s, halves[1] * c + halves[0] * s}, -1).to(x.scalar_type());
}

at::Tensor rotated(const at::Tensor &x_, const at::Tensor &cosines, const at::Tensor &sines, double direction) {
    auto x = x_.contiguous();
    auto form = form_of(x);
    if (form == Form::composed) return composed(x, cosines, sines, direction);
    auto y = at::empty_like(x);
    int64_t tokens = x.size(0), heads = x.size(1), half = x.size(2) / 2;
    with_elements(x, "rope", [&](auto *type) {
        using T = std::remove_pointer_t<decltype(type)>;
        auto *out = data<T>(y);
        const auto *in = data<T>(x);
        const auto *c = data<float>(cosines), *s = data<float>(sines);
        if (form == Form::device)
            return launch(CT_KERNEL(T, rotate), x, tokens, out, in, c, s, unsigned(heads), unsigned(half), direction);
        parallel_for(tokens, 16, [&](int64_t a, int64_t b) { rotate(out, in, c, s, heads, half, direction, a, b); });
    });
    return y;
}

struct RoPE : torch::autograd::Function<RoPE> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &x, const at::Tensor &c, const at::Tensor &s) {
        context->save_for_backward({c, s});
        return rotated(x, c, s, 1);
    }
    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        return {rotated(gradients[0], saved[0], saved[1], -1), {}, {}};
    }
};

}  // namespace

}  // namespace ctorch

ct_tensor ct_rope(ct_tensor x_, ct_tensor cosines_, ct_tensor sines_) {
    using namespace ctorch;
    return guarded([&] {
        const auto &x = ref(x_), &c = ref(cosines_), &s = ref(sines_);
        TORCH_CHECK(
            x.dim() == 3 && x.size(2) % 2 == 0 && c.dim() == 2 && c.size(0) == x.size(0) && c.size(1) == x.size(2) / 2 &&
                c.sizes() == s.sizes() && c.scalar_type() == at::kFloat && s.scalar_type() == at::kFloat,
            "rope: x has shape ", x.sizes(), ", the angles ", c.sizes(), "; wanted [T, H, E] and float [T, E/2]");
        check_device("rope", x, c, s);
        return own(RoPE::apply(x, c.contiguous(), s.contiguous()));
    });
}
