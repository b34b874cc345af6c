// Matrices in four or eight bits, and the products with them.
#pragma once

#include <ATen/ATen.h>
#include <optional>

#include "../include/ctorch.h"
#include "scratch.h"

namespace ctorch {

/// What a `ct_quantized` names. An undefined `code` means int8, an undefined `absmax_code` float32 `absmax`.
struct Quantized {
    at::Tensor packed, code, absmax, absmax_code, absmax_scale;
    double offset;
    int64_t block, absmax_block, rows, columns;

    explicit Quantized(const ct_quantized &matrix);

    bool is_int8() const { return !code.defined(); }
    int64_t count() const { return rows * columns; }
};

/// `count` rows from `first` on, rounded to `values` and stored as `storage`: the same, or float.
///
/// In the memory of `room` where it is given, else in their own.
at::Tensor dequantized(
    const Quantized &matrix, int64_t first, int64_t count, at::ScalarType values, at::ScalarType storage,
    Scratch *room = nullptr);

/// The same of all rows from the operations that every device has.
at::Tensor dequantized_composed(const Quantized &matrix, at::ScalarType values);

}  // namespace ctorch
