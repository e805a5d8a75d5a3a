// Group normalisation and SiLU: what its kernels for processors and for GPUs share.
#pragma once
#include <tuple>

#include "internal.h"

namespace retouch {

struct NormShape {
  int64_t batch, channels, pixels, groups;
  int64_t group_channels() const { return channels / groups; }
  int64_t group_size() const { return group_channels() * pixels; }
  int64_t grain() const { return std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(1, group_size())); }
};

// Whether the device of x, not the processor, has kernels for its type.
bool has_norm_kernels(const at::Tensor& x);

// Output, and means and reciprocal deviations of the groups, in float64.
std::tuple<at::Tensor, at::Tensor, at::Tensor> norm_silu_on_device(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                                                   const NormShape& s, double eps);

// Gradients with respect to x, and with respect to weight and bias if `affine`.
std::tuple<at::Tensor, at::Tensor, at::Tensor> norm_silu_backward_on_device(const at::Tensor& grad, const at::Tensor& x,
                                                                            const at::Tensor& weight, const at::Tensor& bias,
                                                                            const at::Tensor& mean, const at::Tensor& rstd,
                                                                            const NormShape& s, bool affine);

}  // namespace retouch
