// exp() and log() in a form that compilers turn into vector code.
#pragma once

#include "../parallel.h"

#include <bit>
#include <cmath>
#include <cstdint>

namespace ctorch {

/// e^x for float, within 2 units in the last place, 0 below -87.3 and saturated above 88.4.
/// Range reduction by ln 2 and the degree-6 minimax polynomial of Cephes (S. Moshier, `expf`).
CT_INLINE float fast_exp(float x) {
    float clamped = x < -87.33654f ? -87.33654f : (x > 88.37626f ? 88.37626f : x);
    float n = std::floor(clamped * 1.44269504f + 0.5f);
    float r = clamped - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    float y = p * r * r + r + 1.0f;
    float power = std::bit_cast<float>(uint32_t(int32_t(n) + 127) << 23);
    return x < -87.33654f ? 0.0f : y * power;
}

CT_INLINE double fast_exp(double x) { return std::exp(x); }

/// ln x for a normal float above 0, within 2 units in the last place of the larger of 1 and the result.
/// Cephes (S. Moshier, `logf`): x = m 2ⁿ with m in [√½, √2), and a polynomial of degree 9 in m - 1.
CT_INLINE float fast_log(float x) {
    uint32_t bits = std::bit_cast<uint32_t>(x);
    int32_t n = int32_t(bits - 0x3F3504F3u) >> 23;
    float f = std::bit_cast<float>(bits - (uint32_t(n) << 23)) - 1.0f;
    float square = f * f;
    float p = 7.0376836292e-2f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    float y = p * f * square - float(n) * 2.12194440e-4f - 0.5f * square;
    return f + y + float(n) * 0.693359375f;
}

CT_INLINE double fast_log(double x) { return std::log(x); }

}  // namespace ctorch
