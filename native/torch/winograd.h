// 3×3 convolutions with stride 1 and padding 1 by Winograd's minimal filtering (Lavin and Gray 2016, F(4×4, 3×3)).
#pragma once

#include <ATen/ATen.h>

#include "versions.h"

namespace retouch {

enum class Resample {
  none,
  doubled,  // the input is upsampled by 2 first (nearest neighbour), without being stored
  pooled,   // sums of 2×2 output pixels: the gradient of `doubled`
};

// Whether the processor has the kernel and it is faster than libtorch's, for float32 maps x [N, C, H, W] and a 3×3 weight, transposed or
// not. The answer does not depend on N: a picture is computed by the same kernel in every batch.
bool has_winograd(const at::Tensor& x, const at::Tensor& weight, Resample resample);

// The convolution of x [N, I, H, W] with weight [O, I, 3, 3], both float32; with `transposed`, its gradient with respect to the input,
// given the gradient x [N, O, H, W]. The result of a picture depends neither on the others of the batch nor on the number of threads.
// Rounding errors are two to ten times those of a direct convolution (docs/results/speed.md).
at::Tensor winograd_conv2d(const at::Tensor& x, const at::Tensor& weight, const Optional<at::Tensor>& bias, bool transposed,
                           Resample resample);

}  // namespace retouch
