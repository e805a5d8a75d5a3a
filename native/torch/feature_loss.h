// The latent perceptual loss of a layer: what its kernels for processors and for GPUs share.
#pragma once
#include <cmath>

#include "internal.h"

#define __device__

namespace retouch {

using std::sqrt;

#include "kernels/feature_rule.h"

inline void check_maps(const at::Tensor& target, const at::Tensor& estimate) {
  TORCH_CHECK(target.dim() == 4 && target.sizes() == estimate.sizes(),
              "retouch::feature_loss: features must be [batch, channels, height, width] of equal shape, got ",
              target.sizes(), " and ", estimate.sizes());
  TORCH_CHECK(target.is_contiguous() && estimate.is_contiguous() && target.scalar_type() == estimate.scalar_type(),
              "retouch::feature_loss: features must be contiguous and of equal dtype");
  TORCH_CHECK(target.device() == estimate.device(), "retouch::feature_loss: features must be on one device, got ", target.device(), " and ",
              estimate.device());
  TORCH_CHECK(target.numel() > 0, "retouch::feature_loss: features are empty");
}

inline void check_windows(bool masked, int64_t closing, int64_t opening) {
  TORCH_CHECK(!masked || (closing % 2 == 1 && opening % 2 == 1),
              "retouch::feature_loss: windows must be odd, got ", closing, " and ", opening);
}

inline Rule rule_of(int64_t statistics, bool absolute, double floor) {
  TORCH_CHECK(statistics >= kNone && statistics <= kTarget, "retouch::feature_loss: unknown statistics ", statistics);
  TORCH_CHECK(!(absolute && statistics == kOwn),
              "retouch::feature_loss: absolute differences are not supported with each map's own statistics");
  TORCH_CHECK(floor >= 0, "retouch::feature_loss: the variance floor is ", floor, "; it must be at least 0");
  return {static_cast<int>(statistics), absolute, floor};
}

}  // namespace retouch
