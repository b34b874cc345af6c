// Sums and elementwise functions whose bits do not depend on the number of threads.
#pragma once

#include <ATen/ATen.h>

namespace ctorch {

/// Calls each function of MKL's once. MKL chooses a function's code at its first call, and not safely: of threads that make
/// that call together some may compute with less accuracy (2 of 1,500 processes with tanh in float32 on 7 threads).
void settle_functions() noexcept;

/// The sum of all elements, in the type of x.
at::Tensor sum_of_parts(const at::Tensor &x);

at::Tensor stable_softmax(const at::Tensor &x, int64_t axis);
at::Tensor stable_exp(const at::Tensor &x);
at::Tensor stable_log(const at::Tensor &x);
at::Tensor stable_tanh(const at::Tensor &x);
at::Tensor stable_sigmoid(const at::Tensor &x);
at::Tensor stable_silu(const at::Tensor &x);
at::Tensor stable_sin(const at::Tensor &x);
at::Tensor stable_cos(const at::Tensor &x);
at::Tensor stable_gelu(const at::Tensor &x, bool approximates);
/// Σ log(1 + eˣ) - x · target.
at::Tensor binary_cross_entropy_sum(const at::Tensor &logits, const at::Tensor &targets);

}  // namespace ctorch
