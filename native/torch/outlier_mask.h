// Which pixels of a feature map are kept for the latent perceptual loss.
#pragma once

#include <cstdint>
#include <vector>

namespace retouch {

struct MaskRule {
  bool on, from_target;
  double quantile, margin;
  int64_t closing, opening;
};

// Memory that one map after another uses.
template <typename T>
struct MaskScratch {
  std::vector<T> values;
  std::vector<uint16_t> bins;
  std::vector<uint8_t> rows;
};

// Returns whether all pixels are kept; the mask is written only where they are not. For float and double.
template <typename T>
bool find_outliers(const T* map, uint8_t* mask, int64_t height, int64_t width, const MaskRule& rule, MaskScratch<T>& scratch);

}  // namespace retouch
