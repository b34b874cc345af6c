// Dropout whose mask is a function of (key, element), so that nothing is stored and a resumed run draws the same.
#pragma once

#include <ATen/ATen.h>

namespace ctorch {

/// x · mask / (1 - p).
at::Tensor dropped(const at::Tensor &x, double probability, uint64_t key);
/// The same, recorded.
at::Tensor dropped_with_gradient(const at::Tensor &x, double probability, uint64_t key);
/// target += x · mask / (1 - p), in one pass.
void add_dropped(at::Tensor &target, const at::Tensor &x, double probability, uint64_t key);

}  // namespace ctorch
