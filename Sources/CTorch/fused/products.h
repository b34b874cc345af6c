// The three matrix products of a linear layer, each by the fastest route this machine has.
#pragma once

#include <ATen/ATen.h>

namespace ctorch {

/// x in a type that this machine multiplies well: 16-bit floats become 32-bit on a processor without instructions for
/// them, where their products are 10 to 100 times slower.
at::Tensor computable(const at::Tensor &x);

/// The same of a layer's input, for its product with a matrix that would have to be converted too: a few rows stay as they
/// are where the processor has instructions for them at all.
at::Tensor computable_input(const at::Tensor &x);

// A weight of another type than x is converted block by block; the result has the type of x.

/// x Wᵀ + b: x [T, in], W [out, in].
at::Tensor product_forward(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias);
/// dy W: dy [T, out].
at::Tensor product_input_gradient(const at::Tensor &dy, const at::Tensor &weight);
/// dyᵀ x.
at::Tensor product_weight_gradient(const at::Tensor &dy, const at::Tensor &x);

}  // namespace ctorch
