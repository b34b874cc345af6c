// Dropout with a counter-based mask. Gain: drawing masks with the library's generator was 11 % of a LoRA step, and the
// masks (one byte per element) stay in memory until the backward pass. Cost: this file.

#include "dropout.h"

#include "../guard.h"
#include "../parallel.h"
#include "cuda/launch.h"
#include "elements.h"
#include "forms.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ctorch {

namespace {

/// A 32-bit mix (the finaliser of MurmurHash3, twice, with a key between): uniform in its high bits for any counter.
CT_INLINE uint32_t mixed(uint32_t counter, uint32_t low, uint32_t high) {
    uint32_t h = counter + low;
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    h = (h ^ (h >> 16)) + high;
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    return h ^ (h >> 16);
}

struct Mask {
    uint32_t low, high, threshold;
    float scale;

    Mask(double probability, uint64_t key)
        : low(uint32_t(key)), high(uint32_t(key >> 32)), threshold(uint32_t(probability * 4294967296.0)),
          scale(float(1.0 / (1.0 - probability))) {}
};

template <class T> CT_INLINE void drop_range(T *out, const T *x, int64_t first, int64_t last, Mask m, bool accumulate) {
    using A = typename Arithmetic<T>::Type;
    if (accumulate) {
        for (int64_t i = first; i < last; ++i) {
            A kept = mixed(uint32_t(i), m.low, m.high) >= m.threshold ? load(x + i) * m.scale : A(0);
            store(out + i, load(out + i) + kept);
        }
    } else {
        for (int64_t i = first; i < last; ++i) {
            A kept = mixed(uint32_t(i), m.low, m.high) >= m.threshold ? load(x + i) * m.scale : A(0);
            store(out + i, kept);
        }
    }
}

CT_SIMD void drop_float(float *o, const float *x, int64_t a, int64_t b, Mask m, bool acc) { drop_range(o, x, a, b, m, acc); }
CT_SIMD void drop_bf16(BFloat16Bits *o, const BFloat16Bits *x, int64_t a, int64_t b, Mask m, bool acc) { drop_range(o, x, a, b, m, acc); }
void drop_half(at::Half *o, const at::Half *x, int64_t a, int64_t b, Mask m, bool acc) { drop_range(o, x, a, b, m, acc); }
void drop_double(double *o, const double *x, int64_t a, int64_t b, Mask m, bool acc) { drop_range(o, x, a, b, m, acc); }

inline void drop(float *o, const float *x, int64_t a, int64_t b, Mask m, bool acc) { drop_float(o, x, a, b, m, acc); }
inline void drop(BFloat16Bits *o, const BFloat16Bits *x, int64_t a, int64_t b, Mask m, bool acc) { drop_bf16(o, x, a, b, m, acc); }
inline void drop(at::Half *o, const at::Half *x, int64_t a, int64_t b, Mask m, bool acc) { drop_half(o, x, a, b, m, acc); }
inline void drop(double *o, const double *x, int64_t a, int64_t b, Mask m, bool acc) { drop_double(o, x, a, b, m, acc); }

void run(at::Tensor &out, const at::Tensor &x, double probability, uint64_t key, bool accumulate) {
    Mask mask(probability, key);
    with_elements(x, "dropout", [&](auto *type) {
        using T = std::remove_pointer_t<decltype(type)>;
        auto *o = data<T>(out);
        const auto *i = data<T>(x);
        if (form_of(x) == Form::device)
            return launch(
                CT_KERNEL(T, drop), x, blocks_for(x.numel()), o, i, x.numel(), mask.low, mask.high, mask.threshold,
                mask.scale, accumulate);
        parallel_for(x.numel(), 16384, [&](int64_t a, int64_t b) { drop(o, i, a, b, mask, accumulate); });
    });
}

/// `mixed` of the counters, by operations that every device has. In 64 bits, of which only the low 32 are kept, a
/// product wraps as it does in 32.
at::Tensor mixed(const at::Tensor &counters, uint32_t low, uint32_t high) {
    constexpr int64_t word = 0xFFFFFFFF;
    auto stirred = [](const at::Tensor &h, int64_t shift, int64_t factor) {
        return h.bitwise_xor(h.bitwise_right_shift(shift)).mul_(factor).bitwise_and_(word);
    };
    auto h = (counters + int64_t(low)).bitwise_and_(word);
    h = stirred(stirred(h, 16, 0x85EBCA6B), 13, 0xC2B2AE35);
    h = h.bitwise_xor(h.bitwise_right_shift(16)).add_(int64_t(high)).bitwise_and_(word);
    h = stirred(stirred(h, 16, 0x85EBCA6B), 13, 0xC2B2AE35);
    return h.bitwise_xor(h.bitwise_right_shift(16));
}

/// The same elements by the same arithmetic, on any device.
at::Tensor composed(const at::Tensor &x, double probability, uint64_t key) {
    Mask mask(probability, key);
    auto counters = at::arange(x.numel(), x.options().dtype(at::kLong));
    auto keeps = mixed(counters, mask.low, mask.high).ge(int64_t(mask.threshold)).reshape(x.sizes());
    auto scaled = (x.to(wide_type(x)) * double(mask.scale)).to(x.scalar_type());
    return at::where(keeps, scaled, at::zeros({}, scaled.options()));
}

void check(const at::Tensor &x, double probability) {
    TORCH_CHECK(probability >= 0 && probability < 1, "dropout: the probability must be in [0, 1), got ", probability);
    TORCH_CHECK(x.numel() < (int64_t(1) << 32), "dropout: more than 2^32 elements in one tensor");
}

struct Dropout : torch::autograd::Function<Dropout> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, double p, int64_t key) {
        context->saved_data["p"] = p;
        context->saved_data["key"] = key;
        return dropped(x, p, uint64_t(key));
    }
    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        double p = context->saved_data["p"].toDouble();
        return {dropped(gradients[0], p, uint64_t(context->saved_data["key"].toInt())), {}, {}};
    }
};

}  // namespace

at::Tensor dropped(const at::Tensor &x, double probability, uint64_t key) {
    check(x, probability);
    if (form_of(x) == Form::composed) return composed(x, probability, key);
    auto source = x.contiguous();
    auto result = at::empty_like(source);
    run(result, source, probability, key, false);
    return result;
}

at::Tensor dropped_with_gradient(const at::Tensor &x, double probability, uint64_t key) {
    return Dropout::apply(x, probability, int64_t(key));
}

void add_dropped(at::Tensor &target, const at::Tensor &x, double probability, uint64_t key) {
    check(x, probability);
    if (form_of(x) == Form::composed) {
        target.add_(composed(x, probability, key));
        return;
    }
    TORCH_CHECK(target.is_contiguous() && target.sizes() == x.sizes(), "dropout: the target must match and be contiguous");
    check_device("dropout", target, x);
    run(target, x.contiguous(), probability, key, true);
}

}  // namespace ctorch

ct_tensor ct_dropout(ct_tensor x, double probability, uint64_t key) {
    using namespace ctorch;
    return guarded([&] { return own(dropped_with_gradient(ref(x), probability, key)); });
}
