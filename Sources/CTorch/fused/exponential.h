// exp() in a form that compilers turn into vector code.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace ctorch {

/// e^x for float, within 2 units in the last place, 0 below -87.3 and saturated above 88.4.
/// Range reduction by ln 2 and the degree-6 minimax polynomial of Cephes (S. Moshier, `expf`).
inline float fast_exp(float x) {
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

inline double fast_exp(double x) { return std::exp(x); }

}  // namespace ctorch
