// Every fused operation has two forms: a kernel for the processor, and the same from operations that every device has.
#pragma once

#include <ATen/ATen.h>

namespace ctorch {

/// Whether this thread computes by composed forms everywhere (`ct_set_composed`).
extern thread_local bool composes;

inline bool takes_kernel(const at::Tensor &x) { return x.is_cpu() && !composes; }

}  // namespace ctorch
