// The outlier mask: quantiles by histogram and selection, computed only for maps with outliers.
#include "outlier_mask.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "simd.h"

namespace retouch {
namespace {

// Independent partial sums allow vectorisation and fix the order of summation for all instruction sets.
constexpr int kLanes = 16;
constexpr int kBins = 1024;

struct Extent {
  double sum, squares;
  double min, max;
};

template <typename T>
RETOUCH_INLINE Extent extent_body(const T* __restrict f, int64_t n) {
  double sum[kLanes] = {}, squares[kLanes] = {};
  T low[kLanes], high[kLanes];
  std::fill(low, low + kLanes, std::numeric_limits<T>::infinity());
  std::fill(high, high + kLanes, -std::numeric_limits<T>::infinity());
  int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      const T v = f[k + j];
      sum[j] += static_cast<double>(v);
      squares[j] += static_cast<double>(v) * static_cast<double>(v);
      low[j] = v < low[j] ? v : low[j];
      high[j] = v > high[j] ? v : high[j];
    }
  for (int j = 0; k < n; ++k, ++j) {
    sum[j] += static_cast<double>(f[k]);
    squares[j] += static_cast<double>(f[k]) * static_cast<double>(f[k]);
    low[j] = std::min(low[j], f[k]);
    high[j] = std::max(high[j], f[k]);
  }
  Extent e{0, 0, static_cast<double>(low[0]), static_cast<double>(high[0])};
  for (int j = 0; j < kLanes; ++j) {
    e.sum += sum[j];
    e.squares += squares[j];
    e.min = std::min(e.min, static_cast<double>(low[j]));
    e.max = std::max(e.max, static_cast<double>(high[j]));
  }
  return e;
}

template <typename T>
RETOUCH_INLINE void count_tails_body(const T* __restrict f, int64_t n, T low, T high, int64_t& below, int64_t& above) {
  int64_t b = 0, a = 0;
  for (int64_t start = 0; start < n; start += 4096) {
    // 32-bit counters fill a register with as many lanes as 32-bit elements.
    int32_t cb = 0, ca = 0;
    const int64_t end = std::min<int64_t>(start + 4096, n);
    for (int64_t k = start; k < end; ++k) {
      cb += f[k] < low ? 1 : 0;
      ca += f[k] > high ? 1 : 0;
    }
    b += cb;
    a += ca;
  }
  below = b;
  above = a;
}

template <typename T>
RETOUCH_INLINE void bins_body(const T* __restrict f, int64_t n, T min, T scale, uint16_t* __restrict bins) {
  for (int64_t k = 0; k < n; ++k) {
    const int32_t bin = static_cast<int32_t>((f[k] - min) * scale);
    bins[k] = static_cast<uint16_t>(bin < kBins - 1 ? bin : kBins - 1);
  }
}

template <typename T>
RETOUCH_INLINE void inside_body(const T* __restrict f, int64_t n, T low, T high, uint8_t* __restrict mask) {
  for (int64_t k = 0; k < n; ++k) mask[k] = static_cast<uint8_t>((f[k] > low) & (f[k] < high));
}

#define RETOUCH_BOTH(T)                                                                                                     \
  RETOUCH_CLONES Extent extent(const T* f, int64_t n) { return extent_body(f, n); }                                         \
  RETOUCH_CLONES void count_tails(const T* f, int64_t n, T low, T high, int64_t& b, int64_t& a) {                           \
    count_tails_body(f, n, low, high, b, a);                                                                                \
  }                                                                                                                         \
  RETOUCH_CLONES void bin(const T* f, int64_t n, T min, T scale, uint16_t* bins) { bins_body(f, n, min, scale, bins); }     \
  RETOUCH_CLONES void inside(const T* f, int64_t n, T low, T high, uint8_t* mask) { inside_body(f, n, low, high, mask); }
RETOUCH_BOTH(float)
RETOUCH_BOTH(double)

// The k-th smallest values for two 1-based ranks: a histogram narrows each down to a bin, from which it is selected.
template <typename T>
void two_ranks(const T* f, int64_t n, T min, T max, const int64_t (&ranks)[2], T (&found)[2], MaskScratch<T>& scratch) {
  const T scale = T(kBins - 1) / (max - min);
  if (!std::isfinite(scale)) {
    scratch.values.assign(f, f + n);
    for (int r = 0; r < 2; ++r) {
      std::nth_element(scratch.values.begin(), scratch.values.begin() + (ranks[r] - 1), scratch.values.end());
      found[r] = scratch.values[static_cast<size_t>(ranks[r] - 1)];
    }
    return;
  }
  scratch.bins.resize(static_cast<size_t>(n));
  bin(f, n, min, scale, scratch.bins.data());
  // Two alternating tables: increments of equal neighbours would otherwise wait for each other's store.
  int32_t counts[2][kBins] = {};
  for (int64_t k = 0; k < n; ++k) ++counts[k & 1][scratch.bins[static_cast<size_t>(k)]];
  for (int r = 0; r < 2; ++r) {
    int64_t before = 0;
    int which = 0;
    while (before + counts[0][which] + counts[1][which] < ranks[r]) {
      before += counts[0][which] + counts[1][which];
      ++which;
    }
    scratch.values.clear();
    for (int64_t k = 0; k < n; ++k)
      if (scratch.bins[static_cast<size_t>(k)] == which) scratch.values.push_back(f[k]);
    const auto place = scratch.values.begin() + (ranks[r] - before - 1);
    std::nth_element(scratch.values.begin(), place, scratch.values.end());
    found[r] = *place;
  }
}

// Max or min pooling, separable; on masks of 0 and 1, maximum and minimum are bit operations. The border is neutral.
void pool(uint8_t* mask, int64_t height, int64_t width, int64_t side, bool maximum, std::vector<uint8_t>& rows) {
  if (side <= 1) return;
  const int64_t r = (side - 1) / 2;
  rows.resize(static_cast<size_t>(height * width));
  auto merge = [maximum](uint8_t* __restrict to, const uint8_t* __restrict from, int64_t n) {
    if (maximum)
      for (int64_t k = 0; k < n; ++k) to[k] |= from[k];
    else
      for (int64_t k = 0; k < n; ++k) to[k] &= from[k];
  };
  std::memcpy(rows.data(), mask, rows.size());
  for (int64_t y = 0; y < height; ++y) {
    uint8_t* to = rows.data() + y * width;
    const uint8_t* from = mask + y * width;
    for (int64_t d = 1; d <= std::min(r, width - 1); ++d) {
      merge(to + d, from, width - d);
      merge(to, from + d, width - d);
    }
  }
  std::memcpy(mask, rows.data(), rows.size());
  for (int64_t y = 0; y < height; ++y)
    for (int64_t other = std::max<int64_t>(y - r, 0); other <= std::min(y + r, height - 1); ++other)
      if (other != y) merge(mask + y * width, rows.data() + other * width, width);
}

}  // namespace

template <typename T>
bool find_outliers(const T* f, uint8_t* mask, int64_t height, int64_t width, const MaskRule& rule, MaskScratch<T>& scratch) {
  const int64_t n = height * width;
  const Extent e = extent(f, n);
  if (!std::isfinite(e.sum)) {
    std::memset(mask, 0, static_cast<size_t>(n));
    return false;
  }
  const double count = static_cast<double>(n);
  const double variance = n > 1 ? std::max(e.squares - e.sum * e.sum / count, 0.0) / (count - 1) : 0.0;
  const double margin = rule.margin * std::sqrt(variance);
  const Ranks of_quantiles = ranks_of(n, rule.quantile);
  const int64_t ranks[2] = {of_quantiles.low, of_quantiles.high};
  // The smallest value is kept if at least as many values as its rank are less than a margin above it; counting them is far cheaper
  // than computing the quantile. The margin is slightly reduced, so that rounding cannot contradict the comparison below.
  const double reach = margin * (1 - 1e-6) - 1e-6 * (std::abs(e.min) + std::abs(e.max));
  if (reach > 0) {
    int64_t below, above;
    count_tails(f, n, static_cast<T>(e.min + reach), static_cast<T>(e.max - reach), below, above);
    if (below >= ranks[0] && above >= n - ranks[1] + 1) return true;
  }
  T found[2];
  two_ranks(f, n, static_cast<T>(e.min), static_cast<T>(e.max), ranks, found, scratch);
  inside(f, n, found[0] - static_cast<T>(margin), found[1] + static_cast<T>(margin), mask);
  if (std::memchr(mask, 0, static_cast<size_t>(n)) == nullptr) return true;
  pool(mask, height, width, rule.closing, true, scratch.rows);
  pool(mask, height, width, rule.opening, false, scratch.rows);
  return std::memchr(mask, 0, static_cast<size_t>(n)) == nullptr;
}

template bool find_outliers<float>(const float*, uint8_t*, int64_t, int64_t, const MaskRule&, MaskScratch<float>&);
template bool find_outliers<double>(const double*, uint8_t*, int64_t, int64_t, const MaskRule&, MaskScratch<double>&);

}  // namespace retouch
