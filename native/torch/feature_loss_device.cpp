// The latent perceptual loss of a layer by the kernels of kernels/feature_loss.cu, on devices other than the processor.
#include <torch/library.h>

#include "feature_loss.h"
#include "kernels.h"
#include "outlier_mask.h"

namespace {

using namespace retouch;

constexpr int64_t kPart = 8192;

// Indices within a map are 32-bit, and so is their sum with a block's stride.
int pixels_of(const at::Tensor& target, const at::Tensor& estimate) {
  check_maps(target, estimate);
  const int64_t pixels = target.size(2) * target.size(3);
  TORCH_CHECK(pixels <= (1 << 30), "retouch::feature_loss: a map of ", pixels, " pixels");
  return static_cast<int>(pixels);
}

void require_kernels(const at::Tensor& target) {
  TORCH_CHECK(has_kernels(target, Source::feature_loss), "retouch::feature_loss has no kernels for ", target.scalar_type(), " on ",
              target.device());
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> forward(const at::Tensor& target, const at::Tensor& estimate, int64_t statistics_of,
                                                       bool absolute, double floor, bool masked, bool mask_from_target, double quantile,
                                                       double margin, int64_t closing, int64_t opening, bool kept) {
  const int pixels = pixels_of(target, estimate);
  const Rule rule = rule_of(statistics_of, absolute, floor);
  check_windows(masked, closing, opening);
  require_kernels(target);
  const auto maps = target.size(0) * target.size(1);
  const auto options = target.options();
  auto loss = at::empty({target.size(0), target.size(1)}, options.dtype(real_of(target.scalar_type())));
  auto statistics = at::empty({target.size(0), target.size(1), static_cast<int64_t>(kFields)}, options.dtype(at::kDouble));
  auto mask = at::empty(masked ? target.sizes() : at::IntArrayRef({0}), options.dtype(at::kByte));
  const auto rows = at::empty_like(mask);
  const Ranks ranks = ranks_of(pixels, quantile);
  launch(target, {Source::feature_loss, "feature_loss_forward", maps, pixels >= 16384 ? 512 : pixels >= 1024 ? 256 : 64},
         data_of(target), data_of(estimate), data_of(loss), data_of(statistics), data_of(mask), data_of(rows),
         static_cast<int>(target.size(2)), static_cast<int>(target.size(3)), rule.statistics, absolute ? 1 : 0, floor, masked ? 1 : 0,
         mask_from_target ? 1 : 0, margin, static_cast<int>(ranks.low), static_cast<int>(ranks.high), static_cast<int>(closing),
         static_cast<int>(opening), kept ? 1 : 0);
  return {loss, statistics, mask};
}

at::Tensor backward(const at::Tensor& gradient, const at::Tensor& target, const at::Tensor& estimate, const at::Tensor& statistics,
                    const at::Tensor& mask, int64_t statistics_of, bool absolute, double floor, double through, bool kept) {
  const int pixels = pixels_of(target, estimate);
  const Rule rule = rule_of(statistics_of, absolute, floor);
  require_kernels(target);
  const auto maps = target.size(0) * target.size(1), parts = (pixels + kPart - 1) / kPart;
  const auto flow = gradient.to(real_of(target.scalar_type())).contiguous();
  auto result = at::empty_like(estimate);
  launch(target, {Source::feature_loss, "feature_loss_backward", maps * parts, pixels >= 1024 ? 256 : 64}, data_of(flow), data_of(target),
         data_of(estimate), data_of(statistics), data_of(mask), data_of(result), pixels, static_cast<int>(parts), static_cast<int>(kPart),
         rule.statistics, absolute ? 1 : 0, floor, through, kept ? 1 : 0, mask.numel() > 0 ? 1 : 0);
  return result;
}

}  // namespace

TORCH_LIBRARY_IMPL(retouch, CompositeExplicitAutograd, m) {
  m.impl("feature_loss", forward);
  m.impl("feature_loss_backward", backward);
}
