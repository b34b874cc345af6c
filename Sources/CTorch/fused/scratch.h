// Memory for matrices that are made for one product and dropped.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace ctorch {

/// Room for one matrix at a time, which a thread uses again and again.
///
/// Where freed memory goes back to the system (`ct_keep_heap` was not called), each block of megabytes would be mapped and
/// cleared anew; where it is kept, one place serves for all blocks. Gaps in the heap are no reason: `HeapAllocator` fills them.
class Scratch {
    at::Tensor bytes;

public:
    /// An uninitialised matrix [rows, columns], valid until the next call. On other devices than the CPU, whose
    /// allocators keep blocks by size, and where the graph might keep it, it is a tensor of its own.
    at::Tensor matrix(int64_t rows, int64_t columns, const at::TensorOptions &options) {
        if (!options.device().is_cpu() || c10::GradMode::is_enabled()) return at::empty({rows, columns}, options);
        int64_t size = rows * columns * int64_t(options.dtype().itemsize());
        if (!bytes.defined() || bytes.numel() < size) {
            bytes = at::Tensor();
            bytes = at::empty({size}, options.dtype(at::kByte));
        }
        return bytes.narrow(0, 0, size).view(c10::typeMetaToScalarType(options.dtype())).view({rows, columns});
    }
};

}  // namespace ctorch
