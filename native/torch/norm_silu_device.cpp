// Group normalisation and SiLU by the kernels of kernels/norm_silu.cu, on devices other than the processor.
#include "norm_silu.h"

#include "kernels.h"

namespace retouch {
namespace {

// Elements of a block's part of a group or channel.
constexpr int64_t kPart = 16384;

struct Parts {
  int64_t count;
  int threads;

  explicit Parts(int64_t elements) : count((elements + kPart - 1) / kPart), threads(elements >= 4096 ? 256 : elements >= 512 ? 128 : 32) {}
};

// Indices within a channel are 32-bit, and so is their sum with a block's stride.
int int_of(int64_t n) {
  TORCH_CHECK(n <= (1 << 30), "retouch::group_norm_silu: ", n, " is too large for the kernel's indices");
  return static_cast<int>(n);
}

// One thread per group.
Launch per_group(const char* kernel, int64_t groups) { return {Source::norm_silu, kernel, (groups + 63) / 64, 64}; }

}  // namespace

bool has_norm_kernels(const at::Tensor& x) { return x.numel() > 0 && !x.is_cpu() && has_kernels(x, Source::norm_silu); }

std::tuple<at::Tensor, at::Tensor, at::Tensor> norm_silu_on_device(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                                                   const NormShape& s, double eps) {
  const int64_t groups = s.batch * s.groups, rows = s.batch * s.channels;
  const int pixels = int_of(s.pixels);
  const Parts of_group(s.group_size()), of_row(pixels);
  auto out = at::empty_like(x, at::MemoryFormat::Contiguous);
  const auto wide = x.options().dtype(at::kDouble);
  auto mean = at::empty({groups}, wide), rstd = at::empty({groups}, wide);
  const auto partials = at::empty({groups * of_group.count, 2}, wide);
  launch(x, {Source::norm_silu, "norm_moments", groups * of_group.count, of_group.threads}, data_of(x), data_of(partials),
         int_of(of_group.count), static_cast<int>(kPart), static_cast<long long>(s.group_size()));
  launch(x, per_group("norm_statistics", groups), data_of(partials), data_of(mean), data_of(rstd), int_of(groups), int_of(of_group.count),
         static_cast<int>(kPart), static_cast<long long>(s.group_size()), eps);
  launch(x, {Source::norm_silu, "norm_silu_forward", rows * of_row.count, of_row.threads}, data_of(x), data_of(weight), data_of(bias),
         data_of(mean), data_of(rstd), data_of(out), int_of(s.channels), int_of(s.group_channels()), pixels, int_of(of_row.count),
         static_cast<int>(kPart));
  return {out, mean, rstd};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> norm_silu_backward_on_device(const at::Tensor& grad, const at::Tensor& x,
                                                                            const at::Tensor& weight, const at::Tensor& bias,
                                                                            const at::Tensor& mean, const at::Tensor& rstd,
                                                                            const NormShape& s, bool affine) {
  const int64_t groups = s.batch * s.groups, rows = s.batch * s.channels;
  const int pixels = int_of(s.pixels), channels = int_of(s.channels), group_channels = int_of(s.group_channels());
  const Parts of_row(pixels);
  auto dx = at::empty_like(x);
  const auto wide = x.options().dtype(at::kDouble);
  const auto partials = at::empty({rows * of_row.count, 2}, wide), sums = at::empty({s.batch, s.channels, 2}, wide),
             terms = at::empty({groups, 2}, wide);
  launch(x, {Source::norm_silu, "norm_silu_sums", rows * of_row.count, of_row.threads}, data_of(grad), data_of(x), data_of(weight),
         data_of(bias), data_of(mean), data_of(rstd), data_of(partials), channels, group_channels, pixels, int_of(of_row.count),
         static_cast<int>(kPart));
  launch(x, per_group("norm_silu_terms", groups), data_of(partials), data_of(weight), data_of(mean), data_of(rstd), data_of(sums),
         data_of(terms), int_of(groups), channels, group_channels, pixels, int_of(of_row.count));
  launch(x, {Source::norm_silu, "norm_silu_backward", rows * of_row.count, of_row.threads}, data_of(grad), data_of(x), data_of(weight),
         data_of(bias), data_of(mean), data_of(rstd), data_of(terms), data_of(dx), channels, group_channels, pixels, int_of(of_row.count),
         static_cast<int>(kPart));
  if (!affine) return {dx, at::Tensor(), at::Tensor()};
  const auto of_weights = sums.sum(0);
  return {dx, of_weights.select(1, 1).to(weight.scalar_type()), of_weights.select(1, 0).to(bias.scalar_type())};
}

}  // namespace retouch
