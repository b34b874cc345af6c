// Element types of the fused CPU kernels: storage in T, arithmetic in float (double for double).
#pragma once

#include "../parallel.h"

#include <ATen/ATen.h>
#include <bit>
#include <cstdint>

namespace ctorch {

/// bfloat16 as bits, so that loops over it vectorise with integer shifts.
struct BFloat16Bits {
    uint16_t bits;
};

template <class T> struct Arithmetic {
    using Type = float;
};
template <> struct Arithmetic<double> {
    using Type = double;
};

CT_INLINE float load(const float *p) { return *p; }
CT_INLINE double load(const double *p) { return *p; }
CT_INLINE float load(const BFloat16Bits *p) { return std::bit_cast<float>(uint32_t(p->bits) << 16); }
CT_INLINE float load(const at::Half *p) { return float(*p); }

CT_INLINE void store(float *p, float x) { *p = x; }
CT_INLINE void store(double *p, double x) { *p = x; }
CT_INLINE void store(BFloat16Bits *p, float x) {
    // Round to nearest, ties to even; a NaN stays a NaN.
    uint32_t bits = std::bit_cast<uint32_t>(x);
    uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    p->bits = uint16_t(x != x ? 0x7FC0 : rounded);
}
CT_INLINE void store(at::Half *p, float x) { *p = at::Half(x); }

/// x rounded to T and back.
template <class T> CT_INLINE typename Arithmetic<T>::Type rounded(typename Arithmetic<T>::Type x) {
    T value;
    store(&value, x);
    return load(&value);
}

/// Calls `body` with a null pointer of the element type of `x`.
template <class Body> void with_elements(const at::Tensor &x, const char *name, Body &&body) {
    switch (x.scalar_type()) {
        case at::kFloat: return body(static_cast<float *>(nullptr));
        case at::kDouble: return body(static_cast<double *>(nullptr));
        case at::kBFloat16: return body(static_cast<BFloat16Bits *>(nullptr));
        case at::kHalf: return body(static_cast<at::Half *>(nullptr));
        default: TORCH_CHECK(false, name, " needs a floating-point tensor, got ", x.scalar_type());
    }
}

/// float, or double for double: the type of sums.
inline at::ScalarType wide_type(const at::Tensor &x) { return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

/// Throws where one of the others, which may be undefined, lies on another device than x: a kernel gets bare addresses.
template <class... Tensors> void check_device(const char *name, const at::Tensor &x, const Tensors &...others) {
    auto check = [&](const at::Tensor &other) {
        TORCH_CHECK(
            !other.defined() || other.device() == x.device(), name, ": one tensor lies on ", x.device(), ", another on ",
            other.device(), "; bring both to one device");
    };
    (check(others), ...);
}

template <class T> T *data(const at::Tensor &x) { return static_cast<T *>(x.data_ptr()); }

}  // namespace ctorch
