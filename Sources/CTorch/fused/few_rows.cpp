// x Wᵀ where x has few rows and W lies in 16 bits, as when texts are continued token by token: W is read once, as it lies.
// Gain: oneDNN copies such a matrix into another order first, and on processors without instructions for 16 bits the matrix
// would be widened whole: a step of 1 to 64 answers took 1.3 to 1.8 times as long (Docs/benchmarks/decode.md). Cost: this file.
//
// A product of two bfloat16 or of two half numbers is exact in float, so that fused and separate additions give the same
// bits, and every instruction set adds in the same order. That order is another one for up to `most_by_dots` rows.

#include "few_rows.h"

#include "elements.h"
#include "scratch.h"

#include <cstring>

// A vector of 512 bits is split where the processor has none; nothing is passed between functions in it.
#pragma clang diagnostic ignored "-Wpsabi"
#pragma clang fp contract(fast)

// Sums stay in registers only where their loops are gone.
#define CT_UNROLLED _Pragma("clang loop unroll(full)")

namespace ctorch {

namespace {

constexpr int lanes = 16;
constexpr int pair = 2 * lanes;

/// Up to so many rows are multiplied as dot products, more as outer products.
constexpr int64_t most_by_dots = 3;

using Floats = float __attribute__((vector_size(4 * lanes)));
using Words = uint32_t __attribute__((vector_size(4 * lanes)));
using Halves = _Float16 __attribute__((vector_size(2 * lanes)));

/// 32 numbers as two vectors, in an order of their own; `place(i)` is the number that comes as the i-th.
template <class W> struct Widened;

template <> struct Widened<BFloat16Bits> {
    Floats first, second;
    CT_INLINE explicit Widened(const BFloat16Bits *p) {
        Words words;
        std::memcpy(&words, p, sizeof words);
        first = (Floats)(words << 16);
        second = (Floats)(words & 0xFFFF0000u);
    }
    static int place(int i) { return i < lanes ? 2 * i : 2 * (i - lanes) + 1; }
};

template <> struct Widened<at::Half> {
    Floats first, second;
    CT_INLINE explicit Widened(const at::Half *p) {
        Halves low, high;
        std::memcpy(&low, p, sizeof low);
        std::memcpy(&high, p + lanes, sizeof high);
        first = __builtin_convertvector(low, Floats);
        second = __builtin_convertvector(high, Floats);
    }
    static int place(int i) { return i; }
};

/// One product: `width` numbers a row, which are taken as `padded`.
template <class W> struct Product {
    const W *w;
    /// x in float: row after row for dots; else [group of rows][padded][lanes].
    const float *x;
    int64_t width, padded, row_stride;
    int rows;
};

/// The numbers of a row from `i` on; behind its end they are zeros.
template <class W> CT_INLINE Widened<W> numbers(const W *row, int64_t i, int64_t width) {
    if (i + pair <= width) return Widened<W>(row + i);
    W rest[pair] = {};
    std::memcpy(rest, row + i, size_t(width - i) * sizeof(W));
    return Widened<W>(rest);
}

/// Products of M rows of x with N rows of the matrix, each added up in `lanes` sums.
template <int N, int M, class W> CT_INLINE void dots(float *y, int64_t stride, const Product<W> &p, int64_t row) {
    Floats sums[N][M] = {};
    for (int64_t i = 0; i < p.padded; i += pair) {
        CT_UNROLLED
        for (int n = 0; n < N; ++n) {
            const W *from = p.w + (row + n) * p.row_stride;
            auto values = numbers(from, i, p.width);
            CT_UNROLLED
            for (int m = 0; m < M; ++m) {
                Floats a, b;
                std::memcpy(&a, p.x + m * p.padded + i, sizeof a);
                std::memcpy(&b, p.x + m * p.padded + i + lanes, sizeof b);
                sums[n][m] += values.first * a;
                sums[n][m] += values.second * b;
            }
        }
    }
    CT_UNROLLED
    for (int n = 0; n < N; ++n) {
        CT_UNROLLED
        for (int m = 0; m < M; ++m) {
            float part[lanes];
            std::memcpy(part, &sums[n][m], sizeof part);
            for (int half = lanes / 2; half > 0; half /= 2)
                for (int l = 0; l < half; ++l) part[l] += part[l + half];
            y[m * stride + n] = part[0];
        }
    }
}

template <int M, class W>
CT_INLINE void all_dots(float *y, int64_t stride, const Product<W> &p, int64_t first, int64_t last) {
    int64_t row = first;
    for (; row + 4 <= last; row += 4) dots<4, M>(y + row - first, stride, p, row);
    for (; row < last; ++row) dots<1, M>(y + row - first, stride, p, row);
}

/// So many numbers of each row of the matrix are widened at a time: they and those of x stay in the nearest cache.
constexpr int64_t depth = 256;

/// Adds the products of `count` numbers for G groups of rows of x.
template <int N, int G> CT_INLINE void add_block(
    Floats (*sums)[N], const float *wide, const float *x, int64_t group_stride, int64_t count, const char *ahead) {
    Floats own[G][N];
    CT_UNROLLED
    for (int g = 0; g < G; ++g)
        CT_UNROLLED
        for (int n = 0; n < N; ++n) own[g][n] = sums[g][n];
    for (int64_t i = 0; i < count; ++i) {
        // The rows that come next, which lie behind these.
        __builtin_prefetch(ahead + i * N * 2);
        Floats values[G];
        CT_UNROLLED
        for (int g = 0; g < G; ++g) std::memcpy(&values[g], x + g * group_stride + i * lanes, sizeof values[g]);
        CT_UNROLLED
        for (int n = 0; n < N; ++n)
            CT_UNROLLED
            for (int g = 0; g < G; ++g) own[g][n] += values[g] * wide[n * depth + i];
    }
    CT_UNROLLED
    for (int g = 0; g < G; ++g)
        CT_UNROLLED
        for (int n = 0; n < N; ++n) sums[g][n] = own[g][n];
}

/// Products of up to `few_rows` rows of x with N rows of the matrix, each number of which meets 16 or 32 of x at once.
template <int N, class W> CT_INLINE void strip(float *y, int64_t stride, const Product<W> &p, int64_t row) {
    constexpr int most_groups = few_rows / lanes;
    Floats sums[most_groups][N] = {};
    alignas(64) float wide[N * depth];
    int groups = (p.rows + lanes - 1) / lanes;
    int64_t group_stride = p.padded * lanes;
    for (int64_t i = 0; i < p.padded; i += depth) {
        int64_t count = std::min(depth, p.padded - i);
        for (int n = 0; n < N; ++n) {
            const W *from = p.w + (row + n) * p.row_stride;
            for (int64_t j = 0; j < count; j += pair) {
                auto values = numbers(from, i + j, p.width);
                std::memcpy(wide + n * depth + j, &values.first, sizeof values.first);
                std::memcpy(wide + n * depth + j + lanes, &values.second, sizeof values.second);
            }
        }
        const auto *ahead = reinterpret_cast<const char *>(p.w + (row + N) * p.row_stride + i * N);
        int g = 0;
        for (; g + 2 <= groups; g += 2)
            add_block<N, 2>(sums + g, wide, p.x + g * group_stride + i * lanes, group_stride, count, ahead);
        if (g < groups) add_block<N, 1>(sums + g, wide, p.x + g * group_stride + i * lanes, group_stride, count, ahead);
    }
    for (int m = 0; m < p.rows; ++m)
        for (int n = 0; n < N; ++n) {
            float part[lanes];
            std::memcpy(part, &sums[m / lanes][n], sizeof part);
            y[m * stride + n] = part[m % lanes];
        }
}

template <int N, class W>
CT_INLINE void multiply(float *y, int64_t stride, const Product<W> &p, int64_t first, int64_t last) {
    if (p.rows == 1) return all_dots<1>(y, stride, p, first, last);
    if (p.rows == 2) return all_dots<2>(y, stride, p, first, last);
    if (p.rows == 3) return all_dots<3>(y, stride, p, first, last);
    int64_t row = first;
    for (; row + N <= last; row += N) strip<N>(y + row - first, stride, p, row);
    for (; row < last; ++row) strip<1>(y + row - first, stride, p, row);
}

/// So many rows of the matrix are one thread's.
constexpr int64_t grain = 48;

// A row of the matrix takes a register of 512 bits for each 16 rows of x; with shorter registers there is room for fewer.
#if defined(__x86_64__)
#define CT_LONG __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#else
#define CT_LONG
#endif
#define CT_MULTIPLY(W) \
    CT_SIMD void multiply_short(float *y, const Product<W> &p, int64_t a, int64_t b) { multiply<3>(y, grain, p, a, b); } \
    CT_LONG void multiply_long(float *y, const Product<W> &p, int64_t a, int64_t b) { multiply<12>(y, grain, p, a, b); }
CT_MULTIPLY(BFloat16Bits)
CT_MULTIPLY(at::Half)
#undef CT_MULTIPLY
#undef CT_LONG

bool has_long_registers() {
#if defined(__x86_64__)
    static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("avx512vl");
    return has;
#else
    return false;
#endif
}

/// x in float and in the order of `Product::x`.
template <class W, class X> void arrange(float *to, const X *x, int64_t rows, int64_t width, int64_t padded) {
    bool by_dots = rows <= most_by_dots;
    int64_t groups = by_dots ? 0 : (rows + lanes - 1) / lanes;
    parallel_for(padded / pair, 16, [&](int64_t a, int64_t b) {
        for (int64_t i = a * pair; i < b * pair; i += pair) {
            for (int j = 0; j < pair; ++j) {
                int64_t from = i + Widened<W>::place(j);
                if (by_dots)
                    for (int64_t m = 0; m < rows; ++m) to[m * padded + i + j] = from < width ? load(x + m * width + from) : 0;
                for (int64_t m = 0; m < groups * lanes; ++m) {
                    float value = m < rows && from < width ? load(x + m * width + from) : 0;
                    to[(m / lanes * padded + i + j) * lanes + m % lanes] = value;
                }
            }
        }
    });
}

Scratch &room() {
    static thread_local Scratch instance;
    return instance;
}

template <class W, class X>
void multiply_all(at::Tensor &y, const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias) {
    int64_t rows = x.size(0), width = x.size(1), columns = weight.size(0);
    int64_t padded = (width + pair - 1) / pair * pair;
    int64_t space = rows <= most_by_dots ? rows : (rows + lanes - 1) / lanes * lanes;
    auto arranged = room().matrix(space, padded, x.options().dtype(at::kFloat));
    arrange<W>(arranged.data_ptr<float>(), data<X>(x), rows, width, padded);
    Product<W> product{data<W>(weight), arranged.data_ptr<float>(), width, padded, weight.stride(0), int(rows)};
    auto offsets = bias.defined() ? bias.to(at::kFloat).contiguous() : at::Tensor();
    const auto *offset = bias.defined() ? offsets.data_ptr<float>() : nullptr;
    auto *out = data<X>(y);
    parallel_for(columns, grain, [&](int64_t a, int64_t b) {
        float results[few_rows * grain];
        has_long_registers() ? multiply_long(results, product, a, b) : multiply_short(results, product, a, b);
        for (int64_t m = 0; m < rows; ++m)
            for (int64_t n = a; n < b; ++n)
                store(out + m * columns + n, results[m * grain + n - a] + (offset ? offset[n] : 0));
    });
}

template <class W> void multiply_as(at::Tensor &y, const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias) {
    if (x.scalar_type() == at::kFloat) return multiply_all<W, float>(y, x, weight, bias);
    multiply_all<W, W>(y, x, weight, bias);
}

}  // namespace

bool are_few_rows(const at::Tensor &x, const at::Tensor &weight) {
    if (x.dim() == 0 || weight.dim() != 2 || x.size(-1) != weight.size(1)) return false;
    bool is_short = weight.scalar_type() == at::kBFloat16 || weight.scalar_type() == at::kHalf;
    bool suits = is_short && (x.scalar_type() == weight.scalar_type() || x.scalar_type() == at::kFloat);
    if (!suits || !x.is_cpu() || !weight.is_cpu() || x.numel() == 0 || weight.numel() == 0) return false;
    int64_t most = x.scalar_type() == at::kFloat ? few_rows : few_short_rows;
    return x.numel() <= most * weight.size(1) && weight.stride(1) == 1;
}

at::Tensor product_of_few_rows(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias) {
    TORCH_CHECK(
        !bias.defined() || (bias.is_cpu() && bias.dim() == 1 && bias.size(0) == weight.size(0)), "linear: the bias has shape ",
        bias.defined() ? bias.sizes() : at::IntArrayRef(), ", the weight ", weight.sizes(), "; it takes one number a row");
    auto shape = x.sizes().vec();
    shape.back() = weight.size(0);
    auto y = at::empty(shape, x.options());
    auto rows = x.reshape({-1, weight.size(1)}).contiguous();
    if (weight.scalar_type() == at::kHalf) {
        multiply_as<at::Half>(y, rows, weight, bias);
    } else {
        multiply_as<BFloat16Bits>(y, rows, weight, bias);
    }
    return y;
}

}  // namespace ctorch
