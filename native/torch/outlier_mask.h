// Outlier mask of feature maps for the latent perceptual loss.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace retouch {

struct MaskRule {
  bool on, from_target;
  double quantile, margin;
  int64_t closing, opening;
};

// Ranks of both quantiles among n values, from 1.
struct Ranks {
  int64_t low, high;
};

inline Ranks ranks_of(int64_t n, double quantile) {
  const double count = static_cast<double>(n);
  return {std::max<int64_t>(1, static_cast<int64_t>(count * quantile)), std::max<int64_t>(1, static_cast<int64_t>(count * (1 - quantile)))};
}

// Buffers reused across maps.
template <typename T>
struct MaskScratch {
  std::vector<T> values;
  std::vector<uint16_t> bins;
  std::vector<uint8_t> rows;
};

// Returns whether all pixels are kept; writes the mask only if not. For float and double.
template <typename T>
bool find_outliers(const T* map, uint8_t* mask, int64_t height, int64_t width, const MaskRule& rule, MaskScratch<T>& scratch);

}  // namespace retouch
