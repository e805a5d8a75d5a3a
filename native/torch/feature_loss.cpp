// The latent perceptual loss of a layer. Separate operators would pass over the feature maps about thirty times and sort them; here
// each map is processed while it is in the cache, quantiles are computed only for maps with outliers, and the gradient is in closed
// form.
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>

#include "feature_loss.h"
#include "outlier_mask.h"
#include "simd.h"

namespace {

using namespace retouch;

// Independent partial sums allow vectorisation and fix the order of summation for all instruction sets.
constexpr int kLanes = 16;
struct Sums {
  double n, mean_f, mean_g, ff, gg, fg, error, absolute;
};

// Two passes: moments about the mean avoid cancellation for maps far from zero.
// Multiplies by the mask instead of selecting, so that non-finite values propagate rather than being masked as outliers.
template <typename T, bool Masked>
RETOUCH_INLINE Sums sums_body(const T* __restrict f, const T* __restrict g, const uint8_t* __restrict mask, int64_t n) {
  double sum_f[kLanes] = {}, sum_g[kLanes] = {}, count[kLanes] = {};
  auto add = [&](int64_t k, int j) {
    const double m = Masked ? static_cast<double>(mask[k]) : 1.0;
    if (Masked) count[j] += m;
    sum_f[j] += static_cast<double>(f[k]) * m;
    sum_g[j] += static_cast<double>(g[k]) * m;
  };
  int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes)
    for (int j = 0; j < kLanes; ++j) add(k + j, j);
  for (int j = 0; k < n; ++k, ++j) add(k, j);
  Sums s{Masked ? 0.0 : static_cast<double>(n), 0, 0, 0, 0, 0, 0, 0};
  for (int j = 0; j < kLanes; ++j) {
    s.n += count[j];
    s.mean_f += sum_f[j];
    s.mean_g += sum_g[j];
  }
  s.mean_f /= std::max(s.n, 1.0);
  s.mean_g /= std::max(s.n, 1.0);

  double ff[kLanes] = {}, gg[kLanes] = {}, fg[kLanes] = {}, error[kLanes] = {}, absolute[kLanes] = {};
  const double p = s.mean_f, q = s.mean_g;
  auto add_squares = [&](int64_t i, int j) {
    const double m = Masked ? static_cast<double>(mask[i]) : 1.0;
    const double x = static_cast<double>(f[i]), y = static_cast<double>(g[i]), a = (x - p) * m, b = (y - q) * m, d = (x - y) * m;
    ff[j] += a * a;
    gg[j] += b * b;
    fg[j] += a * b;
    error[j] += d * d;
    absolute[j] += std::abs(d);
  };
  for (k = 0; k + kLanes <= n; k += kLanes)
    for (int j = 0; j < kLanes; ++j) add_squares(k + j, j);
  for (int j = 0; k < n; ++k, ++j) add_squares(k, j);
  for (int j = 0; j < kLanes; ++j) {
    s.ff += ff[j];
    s.gg += gg[j];
    s.fg += fg[j];
    s.error += error[j];
    s.absolute += absolute[j];
  }
  return s;
}

template <typename T, bool Masked>
RETOUCH_INLINE void slope_body(const T* __restrict f, const T* __restrict g, const uint8_t* __restrict mask, T* __restrict out, int64_t n,
                               const Slope& s) {
  const T a = T(s.target), d = T(s.difference), e = T(s.sign), b = T(s.estimate), p = T(s.target_mean), q = T(s.estimate_mean);
  for (int64_t k = 0; k < n; ++k) {
    const T difference = f[k] - g[k], sign = T(difference > 0) - T(difference < 0);
    const T value = a * (f[k] - p) + d * difference + e * sign + b * (g[k] - q);
    out[k] = Masked ? value * static_cast<T>(mask[k]) : value;
  }
}

#define RETOUCH_BOTH(T)                                                                                             \
  RETOUCH_CLONES Sums sums_all(const T* f, const T* g, int64_t n) { return sums_body<T, false>(f, g, nullptr, n); } \
  RETOUCH_CLONES Sums sums_masked(const T* f, const T* g, const uint8_t* m, int64_t n) {                            \
    return sums_body<T, true>(f, g, m, n);                                                                          \
  }                                                                                                                 \
  RETOUCH_CLONES void slope_all(const T* f, const T* g, T* out, int64_t n, const Slope& s) {                        \
    slope_body<T, false>(f, g, nullptr, out, n, s);                                                                 \
  }                                                                                                                 \
  RETOUCH_CLONES void slope_masked(const T* f, const T* g, const uint8_t* m, T* out, int64_t n, const Slope& s) {   \
    slope_body<T, true>(f, g, m, out, n, s);                                                                        \
  }
RETOUCH_BOTH(float)
RETOUCH_BOTH(double)

template <typename T>
void forward_typed(const at::Tensor& target, const at::Tensor& estimate, at::Tensor& loss, at::Tensor& statistics, at::Tensor& mask,
                   const Rule& rule, const MaskRule& outliers, bool kept) {
  const int64_t height = target.size(2), width = target.size(3), n = height * width;
  at::parallel_for(0, target.size(0) * target.size(1), 1, [&](int64_t begin, int64_t end) {
    MaskScratch<T> scratch;
    for (int64_t map = begin; map < end; ++map) {
      const T* f = target.data_ptr<T>() + map * n;
      const T* g = estimate.data_ptr<T>() + map * n;
      uint8_t* m = outliers.on ? mask.data_ptr<uint8_t>() + map * n : nullptr;
      const bool all = !outliers.on || find_outliers(outliers.from_target ? f : g, m, height, width, outliers, scratch);
      const Sums sums = all ? sums_all(f, g, n) : sums_masked(f, g, m, n);
      const double count = std::max(sums.n, 1.0);
      double* s = statistics.data_ptr<double>() + map * kFields;
      s[kKept] = sums.n;
      s[kSquaredError] = sums.error;
      s[kTargetMean] = sums.mean_f;
      s[kTargetVariance] = sums.ff / count;
      s[kEstimateMean] = sums.mean_g;
      s[kEstimateVariance] = sums.gg / count;
      s[kCovariance] = sums.fg / count;
      s[kAbsoluteError] = sums.absolute;
      loss.data_ptr<T>()[map] = static_cast<T>(loss_of(s, rule, kept ? count : static_cast<double>(n)));
    }
  });
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> forward(const at::Tensor& target, const at::Tensor& estimate, int64_t statistics_of,
                                                       bool absolute, double floor, bool masked, bool mask_from_target, double quantile,
                                                       double margin, int64_t closing, int64_t opening, bool kept) {
  check_maps(target, estimate);
  const Rule rule = rule_of(statistics_of, absolute, floor);
  check_windows(masked, closing, opening);
  const MaskRule outliers{masked, mask_from_target, quantile, margin, closing, opening};
  auto loss = at::empty({target.size(0), target.size(1)}, target.options());
  auto statistics = at::empty({target.size(0), target.size(1), kFields}, target.options().dtype(at::kDouble));
  auto mask = at::empty(masked ? target.sizes() : at::IntArrayRef({0}), target.options().dtype(at::kByte));
  if (target.scalar_type() == at::kFloat) {
    forward_typed<float>(target, estimate, loss, statistics, mask, rule, outliers, kept);
  } else {
    TORCH_CHECK(target.scalar_type() == at::kDouble, "retouch::feature_loss computes in float32 or float64, not ", target.scalar_type());
    forward_typed<double>(target, estimate, loss, statistics, mask, rule, outliers, kept);
  }
  return {loss, statistics, mask};
}

template <typename T>
void backward_typed(const at::Tensor& gradient, const at::Tensor& target, const at::Tensor& estimate, const at::Tensor& statistics,
                    const at::Tensor& mask, at::Tensor& result, const Rule& rule, double through, bool kept) {
  const int64_t n = target.size(2) * target.size(3);
  const bool masked = mask.numel() > 0;
  at::parallel_for(0, target.size(0) * target.size(1), 1, [&](int64_t begin, int64_t end) {
    for (int64_t map = begin; map < end; ++map) {
      const T* f = target.data_ptr<T>() + map * n;
      const T* g = estimate.data_ptr<T>() + map * n;
      T* out = result.data_ptr<T>() + map * n;
      const double* s = statistics.data_ptr<double>() + map * kFields;
      const Slope slope = slope_of(s, rule, through, kept ? std::max(s[kKept], 1.0) : static_cast<double>(n),
                                   static_cast<double>(gradient.data_ptr<T>()[map]));
      // No mask is written if all pixels are kept.
      if (masked && s[kKept] != static_cast<double>(n))
        slope_masked(f, g, mask.data_ptr<uint8_t>() + map * n, out, n, slope);
      else
        slope_all(f, g, out, n, slope);
    }
  });
}

at::Tensor backward(const at::Tensor& gradient, const at::Tensor& target, const at::Tensor& estimate, const at::Tensor& statistics,
                    const at::Tensor& mask, int64_t statistics_of, bool absolute, double floor, double through, bool kept) {
  check_maps(target, estimate);
  const Rule rule = rule_of(statistics_of, absolute, floor);
  const auto flow = gradient.to(target.scalar_type()).contiguous();
  auto result = at::empty_like(estimate);
  if (target.scalar_type() == at::kFloat)
    backward_typed<float>(flow, target, estimate, statistics, mask, result, rule, through, kept);
  else
    backward_typed<double>(flow, target, estimate, statistics, mask, result, rule, through, kept);
  return result;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(retouch, m) {
  m.def("feature_loss(Tensor target, Tensor estimate, int statistics_of, bool absolute, float floor, bool masked, bool mask_from_target, "
        "float quantile, float margin, int closing, int opening, bool kept) -> (Tensor, Tensor, Tensor)");
  m.def("feature_loss_backward(Tensor gradient, Tensor target, Tensor estimate, Tensor statistics, Tensor mask, int statistics_of, "
        "bool absolute, float floor, float through, bool kept) -> Tensor");
}

TORCH_LIBRARY_IMPL(retouch, CPU, m) {
  m.impl("feature_loss", forward);
  m.impl("feature_loss_backward", backward);
}
