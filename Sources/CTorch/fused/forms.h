// Every fused operation has a kernel for the processor and the same from operations that every device has; those that gain
// by it have a kernel for CUDA too (cuda/kernels.cuh).
#pragma once

#include <ATen/ATen.h>

namespace ctorch {

enum class Form { processor, device, composed };

/// The form that this thread computes by wherever it can (`ct_set_form`), for tests; nothing leaves it to the device.
extern thread_local std::optional<Form> wanted_form;

inline bool composes() { return wanted_form == Form::composed; }

inline bool takes_kernel(const at::Tensor &x) { return x.is_cpu() && !composes(); }

/// The form of an operation on x that has a kernel for CUDA. On the processor that kernel runs where a test wants it to.
/// Its results are of the type `result`, or of that of x.
Form form_of(const at::Tensor &x, std::optional<at::ScalarType> result = std::nullopt);

}  // namespace ctorch
