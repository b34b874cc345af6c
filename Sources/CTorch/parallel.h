// Runs a function over ranges of rows on the threads that libtorch already keeps.
#pragma once

#include <cstdint>
#include <type_traits>

namespace ctorch {

/// Calls `body(first, last)` on the ranges of `grain` rows that 0 ..< rows falls into, on as many threads as run: the
/// ranges, and with them every bit of the result, are the same for any number of threads. The first error that `body`
/// throws is thrown when all threads have ended.
void parallel_rows(int64_t rows, int64_t grain, void (*body)(void *context, int64_t first, int64_t last), void *context);

template <class Body> void parallel_for(int64_t rows, int64_t grain, Body &&body) {
    parallel_rows(
        rows, grain,
        [](void *context, int64_t first, int64_t last) { (*static_cast<std::remove_reference_t<Body> *>(context))(first, last); },
        &body);
}

}  // namespace ctorch

// A product is rounded before it is added: the same bits on every processor, whatever instructions it has.
#pragma clang fp contract(off)

// The functions that carry this are compiled once per instruction set and chosen when the program starts.
#if defined(__x86_64__) && defined(__linux__)
#define CT_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CT_SIMD
#endif

// What such a function calls must become part of each of its forms, or it is compiled for the oldest machine.
#define CT_INLINE inline __attribute__((always_inline))
