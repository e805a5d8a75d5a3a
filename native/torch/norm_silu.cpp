// Fused group normalisation and SiLU. Only the input and two statistics per group are saved for the backward pass, which recomputes the
// normalised values; libtorch's two operators save one more map and pass over memory about three times as often.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "norm_silu.h"
#include "simd.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kLanes = 32;
// Sums use the element type within a block and double across blocks: fast, and accurate for maps of any size.
constexpr int64_t kBlock = 2048;

RETOUCH_INLINE double exponential(double x) { return std::exp(x); }

// exp as 2^n·e^r with |r| ≤ ln2/2 and the series of e^r up to the seventh power, whose error is below float32's precision. Without
// branches and calls, so that loops around it vectorise. NaN stays NaN.
RETOUCH_INLINE float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  // Adding 1.5·2^23 rounds to an integer, held in the lowest bits.
  const float shift = 12582912.0f;
  const float shifted = x * 1.44269504f + shift;
  const float n = shifted - shift;
  const float r = (x - n * 0.693145751953125f) - n * 1.42860682e-6f;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  uint32_t bits;
  std::memcpy(&bits, &shifted, 4);
  const uint32_t scale_bits = (bits - 0x4B400000u + 127u) << 23;
  float scale;
  std::memcpy(&scale, &scale_bits, 4);
  return p * scale;
}

template <typename T>
RETOUCH_INLINE double lane_sum(const T* x, int64_t n) {
  T lanes[kLanes] = {};
  int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += x[k + j];
  double total = 0;
  for (; k < n; ++k) total += x[k];
  for (T lane : lanes) total += lane;
  return total;
}

template <typename T>
RETOUCH_INLINE double lane_square_sum(const T* x, int64_t n, T centre) {
  T lanes[kLanes] = {};
  int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += (x[k + j] - centre) * (x[k + j] - centre);
  double total = 0;
  for (; k < n; ++k) total += static_cast<double>(x[k] - centre) * (x[k] - centre);
  for (T lane : lanes) total += lane;
  return total;
}

// Mean and biased variance in one pass over memory: each block about its own mean while it is in the cache, merged pairwise.
template <typename T>
RETOUCH_INLINE void moments_body(const T* x, int64_t n, double& mean, double& variance) {
  double squares = 0, seen = 0;
  mean = 0;
  for (int64_t k = 0; k < n; k += kBlock) {
    const int64_t count = std::min(kBlock, n - k);
    const double block_mean = lane_sum(x + k, count) / static_cast<double>(count);
    const T centre = static_cast<T>(block_mean);
    const double off = block_mean - static_cast<double>(centre);
    const double block_squares = lane_square_sum(x + k, count, centre) - off * off * static_cast<double>(count);
    const double delta = block_mean - mean, total = seen + static_cast<double>(count);
    mean += delta * static_cast<double>(count) / total;
    squares += block_squares + delta * delta * seen * static_cast<double>(count) / total;
    seen = total;
  }
  variance = squares / static_cast<double>(n);
}

template <typename T>
RETOUCH_INLINE void apply_body(const T* __restrict x, T* __restrict out, int64_t n, T mean, T scale, T offset) {
  for (int64_t k = 0; k < n; ++k) {
    const T y = (x[k] - mean) * scale + offset;
    out[k] = y / (T(1) + exponential(-y));
  }
}

// Writes the gradient with respect to the normalised values to dy; returns its sum and the sum of its product with the centred input.
template <typename T>
RETOUCH_INLINE void silu_backward_body(const T* __restrict g, const T* __restrict x, T* __restrict dy, int64_t n, T mean, T scale, T offset,
                                       double& sum, double& product) {
  sum = product = 0;
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t end = std::min(start + kBlock, n);
    for (int64_t k = start; k < end; ++k) {
      const T y = (x[k] - mean) * scale + offset;
      const T s = T(1) / (T(1) + exponential(-y));
      dy[k] = g[k] * s * (T(1) + y * (T(1) - s));
    }
    T sums[kLanes] = {}, products[kLanes] = {};
    int64_t k = start;
    for (; k + kLanes <= end; k += kLanes)
      for (int64_t j = 0; j < kLanes; ++j) {
        sums[j] += dy[k + j];
        products[j] += dy[k + j] * (x[k + j] - mean);
      }
    for (; k < end; ++k) {
      sum += dy[k];
      product += dy[k] * (x[k] - mean);
    }
    for (int64_t j = 0; j < kLanes; ++j) {
      sum += sums[j];
      product += products[j];
    }
  }
}

template <typename T>
RETOUCH_INLINE void combine_body(T* __restrict dx, const T* __restrict x, int64_t n, T mean, T from_dy, T from_x, T constant) {
  for (int64_t k = 0; k < n; ++k) dx[k] = from_dy * dx[k] + (from_x * (x[k] - mean) + constant);
}

#define RETOUCH_FOR(T)                                                                                                                     \
  RETOUCH_CLONES void moments(const T* x, int64_t n, double& mean, double& variance) { moments_body(x, n, mean, variance); }               \
  RETOUCH_CLONES void apply(const T* x, T* out, int64_t n, T mean, T scale, T offset) { apply_body(x, out, n, mean, scale, offset); }      \
  RETOUCH_CLONES void silu_backward(const T* g, const T* x, T* dy, int64_t n, T mean, T scale, T offset, double& sum, double& product) {   \
    silu_backward_body(g, x, dy, n, mean, scale, offset, sum, product);                                                                    \
  }                                                                                                                                        \
  RETOUCH_CLONES void combine(T* dx, const T* x, int64_t n, T mean, T from_dy, T from_x, T constant) {                                     \
    combine_body(dx, x, n, mean, from_dy, from_x, constant);                                                                               \
  }
RETOUCH_FOR(float)
RETOUCH_FOR(double)
#undef RETOUCH_FOR

using Shape = retouch::NormShape;

Shape shape_of(const at::Tensor& x, int64_t groups) {
  TORCH_CHECK(x.dim() >= 2 && groups >= 1 && x.size(1) % groups == 0, "retouch::group_norm_silu: ", x.sizes(),
              " cannot be split into ", groups, " groups");
  return {x.size(0), x.size(1), x.numel() / std::max<int64_t>(1, x.size(0) * x.size(1)), groups};
}

// The kernels index weight and bias by channel.
void check_affine(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  for (const auto& t : {weight, bias})
    TORCH_CHECK(t.dim() == 1 && t.size(0) == x.size(1) && t.device() == x.device(),
                "retouch::group_norm_silu: weight and bias must be [", x.size(1), "] on ", x.device(), " for an input of ", x.sizes(),
                ", got ", t.sizes(), " on ", t.device());
}

bool has_kernel(const at::Tensor& x) {
  return x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble) && x.numel() > 0;
}

// Mean in the element type; its rounding error is added to the constants, so that inputs far from zero keep their precision.
template <typename T>
struct Centre {
  explicit Centre(double mean) : value(static_cast<T>(mean)), lost(static_cast<double>(value) - mean) {}
  T value;
  double lost;
};

template <typename T>
void forward_typed(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Shape& s, double eps, at::Tensor& out,
                   double* means, double* rstds) {
  const T *px = x.data_ptr<T>(), *pw = weight.data_ptr<T>(), *pb = bias.data_ptr<T>();
  T* po = out.data_ptr<T>();
  at::parallel_for(0, s.batch * s.groups, s.grain(), [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      double mean, variance;
      moments(px + g * s.group_size(), s.group_size(), mean, variance);
      const double rstd = 1 / std::sqrt(variance + eps);
      const Centre<T> centre(mean);
      means[g] = mean;
      rstds[g] = rstd;
      for (int64_t c = 0; c < s.group_channels(); ++c) {
        const int64_t channel = g % s.groups * s.group_channels() + c, at = (g * s.group_channels() + c) * s.pixels;
        const double scale = pw[channel] * rstd;
        apply(px + at, po + at, s.pixels, centre.value, static_cast<T>(scale), static_cast<T>(pb[channel] + centre.lost * scale));
      }
    }
  });
}

template <typename T>
void backward_typed(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Shape& s,
                    const double* means, const double* rstds, at::Tensor& dx, at::Tensor* dweight, at::Tensor* dbias) {
  const T *pg = grad.data_ptr<T>(), *px = x.data_ptr<T>(), *pw = weight.data_ptr<T>(), *pb = bias.data_ptr<T>();
  T* pd = dx.data_ptr<T>();
  std::vector<double> sums(static_cast<size_t>(s.batch * s.channels)), products(sums.size());
  at::parallel_for(0, s.batch * s.groups, s.grain(), [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const Centre<T> centre(means[g]);
      const double rstd = rstds[g], count = static_cast<double>(s.group_size());
      double sum = 0, product = 0;
      for (int64_t c = 0; c < s.group_channels(); ++c) {
        const int64_t row = g * s.group_channels() + c, channel = row % s.channels, at = row * s.pixels;
        const double scale = pw[channel] * rstd;
        double& row_sum = sums[static_cast<size_t>(row)];
        double& row_product = products[static_cast<size_t>(row)];
        silu_backward(pg + at, px + at, pd + at, s.pixels, centre.value, static_cast<T>(scale),
                      static_cast<T>(pb[channel] + centre.lost * scale), row_sum, row_product);
        row_product += centre.lost * row_sum;
        sum += pw[channel] * row_sum;
        product += pw[channel] * row_product;
      }
      const double from_x = -rstd * rstd * rstd * product / count;
      const double constant = -rstd * sum / count + from_x * centre.lost;
      for (int64_t c = 0; c < s.group_channels(); ++c) {
        const int64_t row = g * s.group_channels() + c;
        combine(pd + row * s.pixels, px + row * s.pixels, s.pixels, centre.value, static_cast<T>(pw[row % s.channels] * rstd),
                static_cast<T>(from_x), static_cast<T>(constant));
      }
    }
  });
  if (dweight == nullptr) return;
  for (int64_t c = 0; c < s.channels; ++c) {
    double w = 0, b = 0;
    for (int64_t n = 0; n < s.batch; ++n) {
      const int64_t row = n * s.channels + c;
      w += products[static_cast<size_t>(row)] * rstds[row / s.group_channels()];
      b += sums[static_cast<size_t>(row)];
    }
    dweight->data_ptr<T>()[c] = static_cast<T>(w);
    dbias->data_ptr<T>()[c] = static_cast<T>(b);
  }
}

// The output, and the statistics for the backward pass.
std::tuple<at::Tensor, at::Tensor, at::Tensor> forward_any(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                                           int64_t groups, double eps) {
  const Shape s = shape_of(x, groups);
  check_affine(x, weight, bias);
  if (retouch::has_norm_kernels(x)) return retouch::norm_silu_on_device(x, weight, bias, s, eps);
  if (!has_kernel(x)) {
    auto [y, mean, rstd] = at::native_group_norm(x, weight, bias, s.batch, s.channels, s.pixels, groups, eps);
    return {at::silu_(y), mean, rstd};
  }
  auto out = at::empty_like(x, at::MemoryFormat::Contiguous);
  auto mean = at::empty({s.batch * groups}, x.options().dtype(at::kDouble)), rstd = at::empty_like(mean);
  if (x.scalar_type() == at::kFloat)
    forward_typed<float>(x, weight, bias, s, eps, out, mean.data_ptr<double>(), rstd.data_ptr<double>());
  else
    forward_typed<double>(x, weight, bias, s, eps, out, mean.data_ptr<double>(), rstd.data_ptr<double>());
  return {out, mean, rstd};
}

variable_list backward_any(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const at::Tensor& mean, const at::Tensor& rstd, int64_t groups, double eps, bool affine) {
  const Shape s = shape_of(x, groups);
  if (retouch::has_norm_kernels(x)) {
    auto [dx, dw, db] = retouch::norm_silu_backward_on_device(grad, x, weight, bias, mean, rstd, s, affine);
    return {dx, dw, db};
  }
  if (!has_kernel(x)) {
    const auto y = std::get<0>(at::native_group_norm(x, weight, bias, s.batch, s.channels, s.pixels, groups, eps));
    auto [dx, dw, db] = at::native_group_norm_backward(at::silu_backward(grad, y), x, mean, rstd, weight, s.batch, s.channels, s.pixels,
                                                       groups, {true, affine, affine});
    return {dx, dw, db};
  }
  auto dx = at::empty_like(x);
  auto dw = affine ? at::empty_like(weight) : at::Tensor(), db = affine ? at::empty_like(bias) : at::Tensor();
  auto* pw = affine ? &dw : nullptr;
  auto* pb = affine ? &db : nullptr;
  if (x.scalar_type() == at::kFloat)
    backward_typed<float>(grad, x, weight, bias, s, mean.data_ptr<double>(), rstd.data_ptr<double>(), dx, pw, pb);
  else
    backward_typed<double>(grad, x, weight, bias, s, mean.data_ptr<double>(), rstd.data_ptr<double>(), dx, pw, pb);
  return {dx, dw, db};
}

struct GroupNormSilu : torch::autograd::Function<GroupNormSilu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t groups,
                            double eps) {
    auto [out, mean, rstd] = forward_any(x, weight, bias, groups, eps);
    context->save_for_backward({x, weight, bias, mean, rstd});
    context->saved_data["groups"] = groups;
    context->saved_data["eps"] = eps;
    context->saved_data["affine"] = weight.requires_grad() || bias.requires_grad();
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "retouch::group_norm_silu has no second derivative");
    const auto saved = context->get_saved_variables();
    auto result = backward_any(grads[0].contiguous(), saved[0], saved[1], saved[2], saved[3], saved[4],
                               context->saved_data["groups"].toInt(), context->saved_data["eps"].toDouble(),
                               context->saved_data["affine"].toBool());
    result.resize(5);
    return result;
  }
};

// Under autocast, low-precision inputs meet float32 weights; libtorch computes normalisations in float32 then.
at::Tensor with_gradient(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t groups, double eps) {
  const auto type = weight.scalar_type();
  return GroupNormSilu::apply(x.to(type).contiguous(), weight.contiguous(), bias.to(type).contiguous(), groups, eps);
}

at::Tensor without_gradient(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t groups, double eps) {
  const auto type = weight.scalar_type();
  return std::get<0>(forward_any(x.to(type).contiguous(), weight.contiguous(), bias.to(type).contiguous(), groups, eps));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(retouch, m) {
  m.def("group_norm_silu(Tensor input, Tensor weight, Tensor bias, int groups, float eps) -> Tensor");
}

TORCH_LIBRARY_IMPL(retouch, Autograd, m) { m.impl("group_norm_silu", with_gradient); }
TORCH_LIBRARY_IMPL(retouch, CompositeExplicitAutograd, m) { m.impl("group_norm_silu", without_gradient); }
