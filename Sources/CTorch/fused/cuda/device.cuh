// What `kernels.cuh` needs from the run-time compiler, which has no headers: the element type that ELEMENT names.

typedef long long int64;
#define KERNEL extern "C" __global__ void
#define FUNCTION __device__ inline
#define infinity __int_as_float(0x7f800000)
constexpr int most_threads = 256;

struct BFloat16Bits {
    unsigned short bits;
};
struct HalfBits {
    unsigned short bits;
};

__device__ inline float load(const float *p) { return *p; }
__device__ inline double load(const double *p) { return *p; }
__device__ inline float load(const BFloat16Bits *p) { return __uint_as_float((unsigned)p->bits << 16); }
__device__ inline float load(const HalfBits *p) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(p->bits));
    return x;
}

__device__ inline void store(float *p, float x) { *p = x; }
__device__ inline void store(double *p, double x) { *p = x; }
__device__ inline void store(BFloat16Bits *p, float x) {
    // Round to nearest, ties to even; a NaN stays a NaN.
    unsigned bits = __float_as_uint(x);
    p->bits = x != x ? 0x7FC0 : (unsigned short)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}
__device__ inline void store(HalfBits *p, float x) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(p->bits) : "f"(x)); }

template <class T> struct Arithmetic {
    typedef float Type;
};
template <> struct Arithmetic<double> {
    typedef double Type;
};

/// x rounded to T and back.
template <class T> __device__ inline typename Arithmetic<T>::Type rounded(typename Arithmetic<T>::Type x) {
    T value;
    store(&value, x);
    return load(&value);
}

typedef ELEMENT T;
typedef Arithmetic<T>::Type A;
