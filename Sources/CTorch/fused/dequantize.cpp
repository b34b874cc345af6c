// Four and eight bits back into numbers: code · absmax in float, rounded once.
// Gain: a table from each byte to its two numbers gives 16 GB/s of float on one core of Zen 3, and 10 GB/s of rounded
// ones, where libtorch's operations make eight temporaries of the width of the matrix. Cost: this file.

#include "quantized.h"

#include "../guard.h"
#include "../parallel.h"
#include "cuda/launch.h"
#include "elements.h"
#include "forms.h"

#include <cstring>

namespace ctorch {

namespace {

using Pair = float __attribute__((vector_size(8)));
using Quad = float __attribute__((vector_size(32)));

/// 256 pairs of numbers times one factor, a pair for each byte.
CT_SIMD void expand(float *out, const uint8_t *bytes, int64_t count, const Pair *pairs, float factor) {
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
        Pair four[4] = {pairs[bytes[i]], pairs[bytes[i + 1]], pairs[bytes[i + 2]], pairs[bytes[i + 3]]};
        Quad values;
        std::memcpy(&values, four, sizeof values);
        values *= factor;
        std::memcpy(out + 2 * i, &values, sizeof values);
    }
    for (; i < count; ++i) {
        Pair values = pairs[bytes[i]] * factor;
        std::memcpy(out + 2 * i, &values, sizeof values);
    }
}

CT_SIMD void expand(float *out, const int8_t *numbers, int64_t count, float factor) {
    for (int64_t i = 0; i < count; ++i) out[i] = float(numbers[i]) * factor;
}

CT_SIMD void round_to(BFloat16Bits *out, const float *x, int64_t count) {
    for (int64_t i = 0; i < count; ++i) store(out + i, x[i]);
}
void round_to(at::Half *out, const float *x, int64_t count) {
    for (int64_t i = 0; i < count; ++i) store(out + i, x[i]);
}
void round_to(double *out, const float *x, int64_t count) {
    for (int64_t i = 0; i < count; ++i) out[i] = x[i];
}
CT_SIMD void round_in_place(float *x, int64_t count) {
    for (int64_t i = 0; i < count; ++i) x[i] = rounded<BFloat16Bits>(x[i]);
}

/// Reads a matrix by ranges of its numbers, row after row.
class Reader {
    const Quantized &matrix;
    alignas(32) Pair pairs[256];
    const uint8_t *bytes;
    const float *absmax = nullptr, *absmax_code = nullptr, *absmax_scale = nullptr;
    const uint8_t *absmax_indices = nullptr;
    float offset;

public:
    explicit Reader(const Quantized &matrix)
        : matrix(matrix), bytes(static_cast<const uint8_t *>(matrix.packed.data_ptr())), offset(float(matrix.offset)) {
        if (!matrix.is_int8()) {
            const auto *code = matrix.code.data_ptr<float>();
            for (int i = 0; i < 256; ++i) pairs[i] = Pair{code[i >> 4], code[i & 15]};
        }
        if (matrix.absmax_code.defined()) {
            absmax_indices = matrix.absmax.data_ptr<uint8_t>();
            absmax_code = matrix.absmax_code.data_ptr<float>();
            absmax_scale = matrix.absmax_scale.data_ptr<float>();
        } else {
            absmax = matrix.absmax.data_ptr<float>();
        }
    }

    float factor(int64_t block) const {
        if (absmax) return absmax[block];
        float share = absmax_code[absmax_indices[block]] * absmax_scale[block / matrix.absmax_block];
        return share + offset;
    }

    /// The numbers first ..< last, which lie in one block.
    void read(float *out, int64_t first, int64_t last) const {
        if (matrix.is_int8()) {
            float scale = factor(first / matrix.block) * float(1.0 / 127.0);
            return expand(out, reinterpret_cast<const int8_t *>(bytes) + first, last - first, scale);
        }
        float scale = factor(first / matrix.block);
        if (first % 2) *out++ = pairs[bytes[first++ / 2]][1] * scale;
        expand(out, bytes + first / 2, (last - first) / 2, pairs, scale);
        if ((last - first) % 2) out[last - first - 1] = pairs[bytes[last / 2]][0] * scale;
    }
};

/// Numbers that are read at once before they are rounded.
constexpr int64_t part = 4096;

template <class T> void read_rounded(T *out, const Reader &reader, int64_t first, int64_t last) {
    float numbers[part];
    for (; first < last; first += part, out += part) {
        int64_t end = std::min(last, first + part);
        reader.read(numbers, first, end);
        round_to(out, numbers, end - first);
    }
}

void dequantize_on_device(const Quantized &matrix, const at::Tensor &result, int64_t start, int64_t count, bool rounds) {
    auto pointer = []<class T>(const at::Tensor &x, T *) { return x.defined() ? data<T>(x) : nullptr; };
    bool is_nested = matrix.absmax_code.defined();
    with_elements(result, "dequantize", [&](auto *type) {
        using T = std::remove_pointer_t<decltype(type)>;
        constexpr float *numbers = nullptr;
        constexpr uint8_t *indices = nullptr;
        launch(
            CT_KERNEL(T, dequantize), result, blocks_for((count + 7) / 8), data<T>(result),
            static_cast<const uint8_t *>(matrix.packed.data_ptr()), pointer(matrix.code, numbers),
            is_nested ? nullptr : data<float>(matrix.absmax), is_nested ? data<uint8_t>(matrix.absmax) : indices,
            pointer(matrix.absmax_code, numbers), pointer(matrix.absmax_scale, numbers), float(matrix.offset),
            matrix.absmax_block, matrix.block, start, count, rounds);
    });
}

}  // namespace

at::Tensor dequantized(
    const Quantized &matrix, int64_t first, int64_t count, at::ScalarType values, at::ScalarType storage,
    Scratch *room) {
    auto form = form_of(matrix.packed, storage);
    if (form == Form::composed) {
        return dequantized_composed(matrix, values).narrow(0, first, count).to(storage);
    }
    // Numbers of half precision that are to be stored as float are few; they are made in two steps.
    auto options = matrix.packed.options().dtype(storage);
    auto result = room ? room->matrix(count, matrix.columns, options) : at::empty({count, matrix.columns}, options);
    if (storage != values && values == at::kHalf) {
        return result.copy_(dequantized(matrix, first, count, values, values));
    }
    int64_t start = first * matrix.columns, end = start + count * matrix.columns, block = matrix.block;
    int64_t first_block = start / block, blocks = end > start ? (end + block - 1) / block - first_block : 0;
    if (form == Form::device) {
        dequantize_on_device(matrix, result, start, end - start, storage != values && values == at::kBFloat16);
        return result;
    }
    Reader reader(matrix);
    with_elements(result, "dequantize", [&](auto *type) {
        using T = std::remove_pointer_t<decltype(type)>;
        auto *out = data<T>(result);
        parallel_for(blocks, std::max<int64_t>(1, 32768 / block), [&](int64_t a, int64_t b) {
            for (int64_t i = first_block + a; i < first_block + b; ++i) {
                int64_t from = std::max(start, i * block), to = std::min(end, (i + 1) * block);
                if constexpr (std::is_same_v<T, float>) {
                    reader.read(out + (from - start), from, to);
                    if (values == at::kBFloat16) round_in_place(out + (from - start), to - from);
                } else {
                    read_rounded(out + (from - start), reader, from, to);
                }
            }
        });
    });
    return result;
}

at::Tensor dequantized_composed(const Quantized &matrix, at::ScalarType values) {
    auto absmax = matrix.absmax;
    if (matrix.absmax_code.defined()) {
        auto scale = matrix.absmax_scale.repeat_interleave(matrix.absmax_block).narrow(0, 0, absmax.numel());
        absmax = matrix.absmax_code.index_select(0, absmax.reshape(-1).to(at::kLong)) * scale + float(matrix.offset);
    }
    if (matrix.is_int8()) return (matrix.packed.to(at::kFloat) * absmax.mul(1.0 / 127.0).unsqueeze(1)).to(values);
    auto bytes = matrix.packed.reshape(-1).to(at::kLong);
    auto high = at::floor_divide(bytes, 16);
    auto indices = at::stack({high, bytes - high * 16}, 1).reshape(-1).narrow(0, 0, matrix.count());
    auto factors = absmax.reshape(-1).repeat_interleave(matrix.block).narrow(0, 0, matrix.count());
    return (matrix.code.index_select(0, indices) * factors).view({matrix.rows, matrix.columns}).to(values);
}

Quantized::Quantized(const ct_quantized &given)
    : packed(ref(given.packed).contiguous()), code(optional(given.code)), absmax(ref(given.absmax).contiguous()),
      absmax_code(optional(given.absmax_code)), absmax_scale(optional(given.absmax_scale)), offset(given.offset),
      block(given.block), absmax_block(given.absmax_block), rows(given.rows), columns(given.columns) {
    check_device("a quantised matrix", packed, code, absmax, absmax_code, absmax_scale);
    int64_t blocks = block > 0 ? (count() + block - 1) / block : -1;
    TORCH_CHECK(
        packed.element_size() == 1 && packed.numel() == (is_int8() ? count() : (count() + 1) / 2) &&
            absmax.numel() == blocks && (is_int8() || code.numel() == 16),
        "a quantised matrix of ", rows, " × ", columns, " has ", packed.numel(), " bytes and ", absmax.numel(),
        " absmax in blocks of ", block);
    bool is_nested = absmax_code.defined();
    TORCH_CHECK(
        absmax.scalar_type() == (is_nested ? at::kByte : at::kFloat) &&
            (!is_nested || (absmax_code.numel() == 256 && absmax_block > 0 &&
                            absmax_scale.numel() == (blocks + absmax_block - 1) / absmax_block)),
        "the absmax of a quantised matrix are ", absmax.scalar_type(), ", with ",
        absmax_scale.defined() ? absmax_scale.numel() : 0, " of their own");
}

}  // namespace ctorch

ct_tensor ct_dequantize(const ct_quantized *matrix, int dtype) {
    using namespace ctorch;
    return guarded([&] {
        at::NoGradGuard unrecorded;
        auto type = static_cast<at::ScalarType>(dtype);
        Quantized read(*matrix);
        return own(dequantized(read, 0, read.rows, type, type));
    });
}
