// The kernels as C++ functions, which tests call instead of a device's, and with whose types they are launched.
#pragma once

#include "../elements.h"

#include <cmath>
#include <functional>

namespace ctorch {

/// What CUDA's words mean on the processor: a block's threads are threads of the system.
namespace emulated {

struct Place {
    unsigned x = 0;
};
extern thread_local Place threadIdx, blockIdx;
extern Place blockDim, gridDim;

/// Waits for all threads of the block.
void __syncthreads();

/// Runs `body` as every thread of every block, block after block; one launch at a time.
void run(int64_t blocks, const std::function<void()> &body);

constexpr int most_threads = 32;
constexpr float infinity = INFINITY;
using int64 = int64_t;
using std::exp, std::log, std::sqrt;

#define __device__
#define __shared__ static
#define KERNEL static void
#define FUNCTION static
template <class Element> struct Kernels {
    using T = Element;
    using A = typename Arithmetic<T>::Type;
#include "kernels.cuh"
};
#undef __device__
#undef __shared__
#undef KERNEL
#undef FUNCTION

}  // namespace emulated

}  // namespace ctorch
