// Outlier mask of feature maps for the latent perceptual loss.
#pragma once

#include <cstdint>
#include <vector>

namespace retouch {

struct MaskRule {
  bool on, from_target;
  double quantile, margin;
  int64_t closing, opening;
};

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
