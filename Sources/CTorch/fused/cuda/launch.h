// Starts a kernel of `kernels.cuh` on the stream that libtorch computes on, or, in tests, on the processor.
#pragma once

#include "kernels.h"

#include <array>

namespace ctorch {

/// Machine code for an architecture such as sm_90, by CUDA's run-time compiler; an exception says what is missing or wrong.
std::string compiled_kernels(at::ScalarType type, const std::string &architecture);

/// Whether the kernels of a device for an element type are there; compiles them when first asked. Where that fails,
/// `kernel_note` says why.
bool has_device_kernels(const at::Device &device, at::ScalarType type);

/// Why kernels are not there; empty where they are or nobody asked.
std::string kernel_note();

/// Starts the kernel of this name for the device and type of x.
void launch_named(const char *name, const at::Tensor &x, int64_t blocks, void **arguments);

/// Starts a kernel: `launch(CT_KERNEL(T, drop), x, blocks, …)` with the kernel's own parameters. The types are those of
/// the C++ function, so that a device's gets exactly what the tested one gets.
template <class... Parameters>
void launch(
    const char *name, void (*kernel)(Parameters...), const at::Tensor &x, int64_t blocks,
    std::type_identity_t<Parameters>... values) {
    if (blocks == 0) return;
    if (x.is_cuda()) {
        std::array<void *, sizeof...(Parameters)> arguments{const_cast<void *>(static_cast<const void *>(&values))...};
        launch_named(name, x, blocks, arguments.data());
    } else {
        emulated::run(blocks, [&] { kernel(values...); });
    }
}

#define CT_KERNEL(T, name) #name, emulated::Kernels<T>::name

/// Blocks for `count` elements in strides: enough to fill any device, and no more than there is work for.
inline int64_t blocks_for(int64_t count) { return std::min<int64_t>((count + 255) / 256, 1 << 14); }

}  // namespace ctorch
