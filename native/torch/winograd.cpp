// A tile of 4×4 output pixels needs 36 products per pair of channels instead of 144. Blocks of tiles go through three stages while they are
// in the cache: transform of the input tiles, 36 matrix products over the channels, transform back.
#include "winograd.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "simd.h"

namespace retouch {

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
namespace {

constexpr int64_t kPoints = 36;
// Tiles of a panel: the width of the matrix product's inner kernel.
constexpr int64_t kPanel = 16;
// Floats in half a mebibyte, the cache of a core that blocks are made for.
constexpr int64_t kCached = int64_t{1} << 17;
using Lane8 = float __attribute__((vector_size(32), aligned(4), may_alias));
using Lane16 = float __attribute__((vector_size(64), aligned(4), may_alias));

struct Geometry {
  int64_t batch, inputs, outputs, height, width;  // of the convolution: after `doubled`, before `pooled`
  int64_t rows() const { return (height + 3) / 4; }
  int64_t columns() const { return (width + 3) / 4; }
  int64_t tiles() const { return batch * rows() * columns(); }
};

// Neighbouring tiles of one row of a picture, from `at` in their panel on.
struct Stretch {
  int64_t picture, row, column, count, at;
};

// Calls visit(Stretch) for the tiles first, …, first + kPanel that there are.
template <typename Visit>
RETOUCH_INLINE void for_stretches(const Geometry& g, int64_t first, const Visit& visit) {
  const int64_t columns = g.columns(), per_picture = g.rows() * columns, end = std::min(first + kPanel, g.tiles());
  for (int64_t tile = first; tile < end;) {
    const int64_t column = tile % columns, count = std::min(columns - column, end - tile);
    visit(Stretch{tile / per_picture, tile % per_picture / columns, column, count, tile - first});
    tile += count;
  }
}

// ---- Transforms over a panel of tiles --------------------------------------------------------------------------------------------

using Panel = float[kPanel];

// Bᵀ of points 0, ±1, ±2, ∞, along one axis.
RETOUCH_INLINE void to_points(const Panel* d0, const Panel* d1, const Panel* d2, const Panel* d3, const Panel* d4, const Panel* d5,
                              Panel* out, int64_t step) {
  for (int64_t t = 0; t < kPanel; ++t) {
    const float a = (*d0)[t], b = (*d1)[t], c = (*d2)[t], d = (*d3)[t], e = (*d4)[t], f = (*d5)[t];
    const float even = e - 4 * c, odd = d - 4 * b, even2 = e - c, odd2 = 2 * (d - b);
    out[0][t] = 4 * a - 5 * c + e;
    out[step][t] = even + odd;
    out[2 * step][t] = even - odd;
    out[3 * step][t] = even2 + odd2;
    out[4 * step][t] = even2 - odd2;
    out[5 * step][t] = 4 * b - 5 * d + f;
  }
}

// Aᵀ along one axis: six points to four pixels.
RETOUCH_INLINE void from_points(const Panel* m, int64_t step, Panel* out, int64_t out_step) {
  for (int64_t t = 0; t < kPanel; ++t) {
    const float sum1 = m[step][t] + m[2 * step][t], difference1 = m[step][t] - m[2 * step][t];
    const float sum2 = m[3 * step][t] + m[4 * step][t], difference2 = m[3 * step][t] - m[4 * step][t];
    out[0][t] = m[0][t] + sum1 + sum2;
    out[out_step][t] = difference1 + 2 * difference2;
    out[2 * out_step][t] = sum1 + 4 * sum2;
    out[3 * out_step][t] = difference1 + 8 * difference2 + m[5 * step][t];
  }
}

// A row of the (upsampled) input with its border of zeros, split by column within the tile: columns[j][at + t] = row[4·t + j].
RETOUCH_INLINE void split_row(const float* row, int64_t count, Panel* columns, int64_t at) {
  const auto split = [&](int64_t n) __attribute__((always_inline)) {
    for (int64_t t = 0; t < n; ++t)
      for (int64_t j = 0; j < 4; ++j) columns[j][at + t] = row[4 * t + j];
  };
  count == kPanel ? split(kPanel) : split(count);
  for (int64_t j = 0; j < 2; ++j) {
    for (int64_t t = 0; t + 1 < count; ++t) columns[4 + j][at + t] = columns[j][at + t + 1];
    columns[4 + j][at + count - 1] = row[4 * count + j];
  }
}

// Inverse: row[4·t + j] = columns[j][at + t] + bias, up to the width of the map.
RETOUCH_INLINE void join_row(const Panel* columns, int64_t at, int64_t count, float bias, float* row, int64_t width) {
  const auto join = [&](int64_t n) __attribute__((always_inline)) {
    for (int64_t t = 0; t < n; ++t)
      for (int64_t j = 0; j < 4; ++j) row[4 * t + j] = columns[j][at + t] + bias;
  };
  if (width >= 4 * count) return count == kPanel ? join(kPanel) : join(count);
  for (int64_t k = 0; k < width; ++k) row[k] = columns[k % 4][at + k / 4] + bias;
}

struct Scratch {
  std::vector<float> points, products, row;
};

// Panels of one channel: points [36][…] of the tiles first, …, first + kPanel.
RETOUCH_INLINE void transform_inputs_body(const float* x, const Geometry& g, Resample resample, int64_t channel, int64_t first,
                                          float* row, float* points, int64_t point_stride) {
  alignas(64) Panel d[6][6];
  alignas(64) Panel half[6][6];
  const bool doubled = resample == Resample::doubled;
  const int64_t source_height = doubled ? g.height / 2 : g.height, source_width = doubled ? g.width / 2 : g.width;
  if (first + kPanel > g.tiles()) std::memset(d, 0, sizeof d);
  for_stretches(g, first, [&](const Stretch& s) __attribute__((always_inline)) {
    const int64_t count = s.count, left = 4 * s.column - 1;
    const float* map = x + (s.picture * g.inputs + channel) * source_height * source_width;
    // Columns left, …, left + 4·count + 1; those within the map are copied.
    const int64_t from = std::max<int64_t>(0, left), to = std::min(g.width, left + 4 * count + 2);
    for (int64_t r = 0; r < 6; ++r) {
      const int64_t y = 4 * s.row - 1 + r, length = 4 * count + 2;
      if (y < 0 || y >= g.height) {
        std::memset(row, 0, sizeof(float) * static_cast<size_t>(length));
      } else {
        if (from > left) row[0] = 0;
        for (int64_t k = to - left; k < length; ++k) row[k] = 0;
        if (doubled) {
          const float* source = map + y / 2 * source_width;
          for (int64_t k = from; k < to; ++k) row[k - left] = source[k / 2];
        } else {
          std::memcpy(row + (from - left), map + y * g.width + from, sizeof(float) * static_cast<size_t>(to - from));
        }
      }
      split_row(row, count, d[r], s.at);
    }
  });
  for (int64_t j = 0; j < 6; ++j) to_points(&d[0][j], &d[1][j], &d[2][j], &d[3][j], &d[4][j], &d[5][j], &half[0][j], 6);
  for (int64_t i = 0; i < 6; ++i) {
    alignas(64) Panel out[6];
    to_points(&half[i][0], &half[i][1], &half[i][2], &half[i][3], &half[i][4], &half[i][5], out, 1);
    for (int64_t j = 0; j < 6; ++j) std::memcpy(points + (i * 6 + j) * point_stride, out[j], sizeof(Panel));
  }
}

RETOUCH_INLINE void transform_outputs_body(const float* products, int64_t point_stride, const Geometry& g, Resample resample,
                                           int64_t channel, int64_t first, float bias, float* out) {
  alignas(64) Panel m[6][6];
  alignas(64) Panel half[4][6];
  alignas(64) Panel y[4][4];
  for (int64_t k = 0; k < kPoints; ++k) std::memcpy(m[k / 6][k % 6], products + k * point_stride, sizeof(Panel));
  for (int64_t j = 0; j < 6; ++j) from_points(&m[0][j], 6, &half[0][j], 6);
  for (int64_t i = 0; i < 4; ++i) from_points(&half[i][0], 1, &y[i][0], 1);
  const bool pooled = resample == Resample::pooled;
  const int64_t height = pooled ? g.height / 2 : g.height, width = pooled ? g.width / 2 : g.width;
  for_stretches(g, first, [&](const Stretch& s) __attribute__((always_inline)) {
    float* map = out + (s.picture * g.outputs + channel) * height * width;
    if (pooled) {
      const int64_t top = 2 * s.row, left = 2 * s.column;
      for (int64_t i = 0; i < 2 && top + i < height; ++i) {
        float* row = map + (top + i) * width + left;
        const Panel *upper = y[2 * i], *lower = y[2 * i + 1];
        for (int64_t k = 0; k < std::min(width - left, 2 * s.count); ++k) {
          const int64_t j = 2 * (k % 2), t = s.at + k / 2;
          row[k] = upper[j][t] + upper[j + 1][t] + lower[j][t] + lower[j + 1][t];
        }
      }
    } else {
      for (int64_t i = 0; i < std::min<int64_t>(4, height - 4 * s.row); ++i)
        join_row(y[i], s.at, s.count, bias, map + (4 * s.row + i) * width + 4 * s.column, width - 4 * s.column);
    }
  });
}

// ---- Matrix products -------------------------------------------------------------------------------------------------------------

// Rows of the weights in a panel: as many as the accumulators fit into the registers.
constexpr int64_t rows_of(size_t lane_bytes) { return lane_bytes == 64 ? 14 : 6; }

// products[row][t] = Σ_c weights[c][row] · points[c][t] for a panel of rows and kPanel tiles.
template <typename Lane>
RETOUCH_INLINE void multiply_panel(const float* weights, const float* points, int64_t inputs, float* products, int64_t rows) {
  constexpr int64_t lanes = kPanel / (sizeof(Lane) / sizeof(float)), count = rows_of(sizeof(Lane));
  Lane sums[count][lanes] = {};
  for (int64_t c = 0; c < inputs; ++c) {
    Lane p[lanes];
    for (int64_t l = 0; l < lanes; ++l) p[l] = reinterpret_cast<const Lane*>(points + c * kPanel)[l];
    for (int64_t r = 0; r < count; ++r)
      for (int64_t l = 0; l < lanes; ++l) sums[r][l] += weights[c * count + r] * p[l];
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t l = 0; l < lanes; ++l) reinterpret_cast<Lane*>(products + r * kPanel)[l] = sums[r][l];
}

// A row of G along one axis.
RETOUCH_INLINE void weight_point(const float* a, const float* b, const float* c, int64_t n, int64_t point, float* out) {
  constexpr float kRows[6][3] = {{1.0f / 4, 0, 0},
                                 {-1.0f / 6, -1.0f / 6, -1.0f / 6},
                                 {-1.0f / 6, 1.0f / 6, -1.0f / 6},
                                 {1.0f / 24, 1.0f / 12, 1.0f / 6},
                                 {1.0f / 24, -1.0f / 12, 1.0f / 6},
                                 {0, 0, 1}};
  for (int64_t r = 0; r < n; ++r) out[r] = kRows[point][0] * a[r] + kRows[point][1] * b[r] + kRows[point][2] * c[r];
}

// G w Gᵀ of all pairs of channels, as [36][panels of output channels][inputs][rows of the panel].
template <int64_t rows>
RETOUCH_INLINE void transform_weights_body(const float* weight, const Geometry& g, bool transposed, int64_t panel, float* to) {
  const int64_t inputs = g.inputs, outputs = g.outputs;
  const int64_t panels = (outputs + rows - 1) / rows, stride = panels * inputs * rows;
  const int64_t count = std::min(rows, outputs - panel * rows);
  for (int64_t c = 0; c < inputs; ++c) {
    // The gradient's kernel is the forward one, rotated by 180°, with input and output channels swapped.
    float w[9][rows] = {}, half[6][3][rows], point[rows];
    for (int64_t r = 0; r < count; ++r) {
      const int64_t o = panel * rows + r;
      const float* source = weight + (transposed ? c * outputs + o : o * inputs + c) * 9;
      for (int64_t k = 0; k < 9; ++k) w[k][r] = source[transposed ? 8 - k : k];
    }
    for (int64_t j = 0; j < 3; ++j)
      for (int64_t i = 0; i < 6; ++i) weight_point(w[j], w[3 + j], w[6 + j], rows, i, half[i][j]);
    for (int64_t i = 0; i < 6; ++i)
      for (int64_t j = 0; j < 6; ++j) {
        weight_point(half[i][0], half[i][1], half[i][2], rows, j, point);
        std::memcpy(to + (i * 6 + j) * stride + (panel * inputs + c) * rows, point, sizeof point);
      }
  }
}

struct Job {
  Geometry g;
  Resample resample;
  const float *x, *bias;
  const float* weights;  // transformed
  float* out;
  int64_t block;  // tiles of a block: a multiple of kPanel
};

template <typename Lane>
RETOUCH_INLINE void run_block_body(const Job& job, int64_t first, Scratch& scratch) {
  constexpr int64_t rows = rows_of(sizeof(Lane));
  const auto& g = job.g;
  const int64_t tiles = std::min(job.block, g.tiles() - first), panels = (tiles + kPanel - 1) / kPanel;
  const int64_t weight_panels = (g.outputs + rows - 1) / rows, points_stride = panels * g.inputs * kPanel;
  float *points = scratch.points.data(), *products = scratch.products.data();
  for (int64_t p = 0; p < panels; ++p)
    for (int64_t c = 0; c < g.inputs; ++c)
      transform_inputs_body(job.x, g, job.resample, c, first + p * kPanel, scratch.row.data(), points + (p * g.inputs + c) * kPanel,
                            points_stride);
  const int64_t products_stride = panels * g.outputs * kPanel;
  for (int64_t k = 0; k < kPoints; ++k)
    for (int64_t w = 0; w < weight_panels; ++w)
      for (int64_t p = 0; p < panels; ++p)
        multiply_panel<Lane>(job.weights + (k * weight_panels + w) * g.inputs * rows, points + k * points_stride + p * g.inputs * kPanel,
                             g.inputs, products + k * products_stride + (p * g.outputs + w * rows) * kPanel,
                             std::min(rows, g.outputs - w * rows));
  for (int64_t p = 0; p < panels; ++p)
    for (int64_t o = 0; o < g.outputs; ++o)
      transform_outputs_body(products + (p * g.outputs + o) * kPanel, products_stride, g, job.resample, o, first + p * kPanel,
                             job.bias == nullptr ? 0 : job.bias[o], job.out);
}

#define RETOUCH_WINOGRAD(NAME, LANE, ARCH)                                                                                                \
  __attribute__((target(ARCH))) void run_block_##NAME(const Job& job, int64_t first, Scratch& scratch) {                                  \
    run_block_body<LANE>(job, first, scratch);                                                                                            \
  }                                                                                                                                       \
  __attribute__((target(ARCH))) void weights_##NAME(const float* w, const Geometry& g, bool transposed, int64_t panel, float* to) {       \
    transform_weights_body<rows_of(sizeof(LANE))>(w, g, transposed, panel, to);                                                           \
  }
RETOUCH_WINOGRAD(avx2, Lane8, "arch=x86-64-v3")
RETOUCH_WINOGRAD(avx512, Lane16, "arch=x86-64-v4,prefer-vector-width=512")
#undef RETOUCH_WINOGRAD

bool has_avx512() {
  static const bool has = __builtin_cpu_supports("x86-64-v4");
  return has;
}

bool has_avx2() {
  static const bool has = __builtin_cpu_supports("x86-64-v3");
  return has;
}

}  // namespace

bool has_winograd(const at::Tensor& x, const at::Tensor& weight, Resample resample) {
  if (!has_avx2() || x.dim() != 4 || x.numel() == 0 || weight.size(2) != 3 || weight.size(3) != 3) return false;
  const int64_t scale = resample == Resample::doubled ? 2 : 1, least = std::min(weight.size(0), weight.size(1));
  const Geometry g{1, 0, 0, x.size(2) * scale, x.size(3) * scale};
  // The transform of the weights has to be repaid by the tiles; measured on AVX2 with 16 to 512 channels.
  return least >= 16 && g.tiles() >= std::max<int64_t>(16, (weight.size(0) + weight.size(1)) / 8);
}

at::Tensor winograd_conv2d(const at::Tensor& x, const at::Tensor& weight, const Optional<at::Tensor>& bias, bool transposed,
                           Resample resample) {
  const auto input = x.contiguous(), kernel = weight.contiguous();
  const auto offsets = bias.has_value() ? bias->contiguous() : at::Tensor();
  const int64_t scale = resample == Resample::doubled ? 2 : 1;
  const Geometry g{input.size(0), input.size(1), kernel.size(transposed ? 1 : 0), input.size(2) * scale, input.size(3) * scale};
  TORCH_CHECK(kernel.size(transposed ? 0 : 1) == g.inputs, "retouch: weights ", kernel.sizes(), " do not fit an input of ", x.sizes());
  const int64_t shrink = resample == Resample::pooled ? 2 : 1;
  auto out = at::empty({g.batch, g.outputs, g.height / shrink, g.width / shrink}, input.options());

  const int64_t rows = rows_of(has_avx512() ? sizeof(Lane16) : sizeof(Lane8)), panels = (g.outputs + rows - 1) / rows;
  auto weights = at::empty({kPoints * panels * rows * g.inputs}, input.options());
  at::parallel_for(0, panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      (has_avx512() ? weights_avx512 : weights_avx2)(kernel.data_ptr<float>(), g, transposed, p, weights.data_ptr<float>());
  });

  // Points and products of a block fit into the cache or are two panels, which share a pass over the weights; every thread has a block.
  const int64_t threads = at::get_num_threads(), floats = kPoints * (g.inputs + g.outputs) * kPanel;
  const int64_t fitting = std::max<int64_t>(2, kCached / floats), fair = (g.tiles() + threads * kPanel - 1) / (threads * kPanel);
  const Job job{g, resample, input.data_ptr<float>(), offsets.defined() ? offsets.data_ptr<float>() : nullptr, weights.data_ptr<float>(),
                out.data_ptr<float>(), kPanel * std::min(fitting, fair)};
  const int64_t blocks = (g.tiles() + job.block - 1) / job.block;
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch;
    scratch.points.resize(static_cast<size_t>(kPoints * g.inputs * job.block));
    scratch.products.resize(static_cast<size_t>(kPoints * g.outputs * job.block));
    scratch.row.resize(static_cast<size_t>(4 * kPanel + 8));
    for (int64_t b = begin; b < end; ++b) (has_avx512() ? run_block_avx512 : run_block_avx2)(job, b * job.block, scratch);
  });
  return out;
}
#else
bool has_winograd(const at::Tensor&, const at::Tensor&, Resample) { return false; }

at::Tensor winograd_conv2d(const at::Tensor&, const at::Tensor&, const Optional<at::Tensor>&, bool, Resample) {
  TORCH_CHECK(false, "retouch: no Winograd convolution for this processor");
}
#endif

}  // namespace retouch
