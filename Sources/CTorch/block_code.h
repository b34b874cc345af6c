// Numbers as bytes: blocks of them share a largest magnitude, and each byte names an entry of a code of 256 values
// between -1 and 1. Dettmers et al. 2022, https://arxiv.org/abs/2110.02861. All of it is computed on the processor, where
// what lies on another device is brought.
#pragma once

#include <ATen/ATen.h>

namespace ctorch {

/// Rounds float32 values x (contiguous, n of them) to a code: `bytes` [n], and `absmax` a largest magnitude a block. All of
/// them lie on the processor.
///
/// As bitsandbytes does it on a CPU: a quotient is first put into one of 65536 equal steps between -1 and 1, and each
/// step has its nearest entry. A block of zeros has the byte 0.
void encode_blocks(const at::Tensor &x, const at::Tensor &code, int64_t block, const at::Tensor &bytes, const at::Tensor &absmax);

/// code[byte] · absmax of its block, float32, all of them on the processor.
at::Tensor decode_blocks(const at::Tensor &bytes, const at::Tensor &code, int64_t block, const at::Tensor &absmax);

}  // namespace ctorch
