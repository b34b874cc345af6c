// Products of few rows with a matrix of 16 bits, without gradients.
#pragma once

#include <ATen/ATen.h>

namespace ctorch {

/// The most rows of x in float that `product_of_few_rows` takes: beyond, to widen W whole is as fast.
constexpr int64_t few_rows = 64;
/// The most in 16 bits: beyond, a processor that multiplies those itself is faster.
constexpr int64_t few_short_rows = 16;

/// Whether `product_of_few_rows` takes them: x [.., in] in the type of W or in float, W [out, in] in 16 bits, row after row,
/// on the CPU.
bool are_few_rows(const at::Tensor &x, const at::Tensor &weight);

/// x Wᵀ + b in the type of x, added up in float.
at::Tensor product_of_few_rows(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias);

}  // namespace ctorch
