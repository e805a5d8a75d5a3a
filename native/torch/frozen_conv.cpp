// Convolutions with frozen weights, as in a decoder inside a loss. The gradient with respect to the input needs only the weights, so
// the input is not saved; libtorch's convolution always saves it.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>

#include "internal.h"
#include "simd.h"
#include "versions.h"
#include "winograd.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using OptionalTensor = retouch::Optional<at::Tensor>;
using retouch::Resample;

bool is_trained(const at::Tensor& weight, const OptionalTensor& bias) {
  return weight.requires_grad() || (bias.has_value() && bias->requires_grad());
}

bool is_float_on_cpu(const at::Tensor& x, const at::Tensor& weight) {
  return x.is_cpu() && weight.is_cpu() && x.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat &&
         !retouch::get_autocast(c10::DeviceType::CPU).enabled;
}

bool is_winograd(const at::Tensor& x, const at::Tensor& weight, at::IntArrayRef stride, at::IntArrayRef padding) {
  const auto all = [](at::IntArrayRef values) { return std::all_of(values.begin(), values.end(), [](int64_t v) { return v == 1; }); };
  return all(stride) && all(padding) && is_float_on_cpu(x, weight) && retouch::has_winograd(x, weight, Resample::none);
}

// Independent of whether gradients are recorded: checkpointing must reproduce the first pass bitwise.
at::Tensor frozen_forward(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias, at::IntArrayRef stride,
                          at::IntArrayRef padding) {
  if (is_winograd(x, weight, stride, padding)) return retouch::winograd_conv2d(x, weight, bias, false, Resample::none);
  return at::conv2d(x, weight, bias, stride, padding);
}

// Weights of the transposed convolution: rotated by 180°, input and output channels swapped.
at::Tensor transposed(const at::Tensor& weight) { return weight.flip({2, 3}).transpose(0, 1).contiguous(); }

struct FrozenConv : torch::autograd::Function<FrozenConv> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias,
                            std::vector<int64_t> stride, std::vector<int64_t> padding) {
    context->save_for_backward({weight});
    context->saved_data["sizes"] = x.sizes().vec();
    context->saved_data["type"] = static_cast<int64_t>(x.scalar_type());
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    return frozen_forward(x, weight, bias, stride, padding);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto& grad = grads[0];
    // Under autocast, the forward pass ran in a lower precision than the weights'.
    const auto weight = context->get_saved_variables()[0].to(grad.scalar_type());
    const auto stride = context->saved_data["stride"].toIntVector(), padding = context->saved_data["padding"].toIntVector();
    const int64_t rows = weight.size(2), columns = weight.size(3);
    at::Tensor dx;
    // A second derivative needs libtorch's operators.
    if (!at::GradMode::is_enabled() && is_winograd(grad, weight, stride, padding)) {
      dx = retouch::winograd_conv2d(grad, weight, {}, true, Resample::none);
    } else if (stride[0] == 1 && stride[1] == 1 && padding[0] < rows && padding[1] < columns) {
      dx = at::conv2d(grad, transposed(weight), {}, {1, 1}, {rows - 1 - padding[0], columns - 1 - padding[1]});
    } else {
      // Only the shape of this input is used.
      const auto shape_only = at::empty({1}, grad.options()).expand(context->saved_data["sizes"].toIntVector());
      dx = std::get<0>(at::convolution_backward(grad, shape_only, weight, c10::nullopt, stride, padding, {1, 1}, false, {0, 0}, 1,
                                                {true, false, false}));
    }
    const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
    return {dx.to(type), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

at::Tensor conv2d_any(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias, at::IntArrayRef stride,
                      at::IntArrayRef padding) {
  if (is_trained(weight, bias)) return at::conv2d(x, weight, bias, stride, padding);
  return at::GradMode::is_enabled() && x.requires_grad() ? FrozenConv::apply(x, weight, bias, stride.vec(), padding.vec())
                                                         : frozen_forward(x, weight, bias, stride, padding);
}

at::Tensor conv2d_plain(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias, at::IntArrayRef stride,
                        at::IntArrayRef padding) {
  return is_trained(weight, bias) ? at::conv2d(x, weight, bias, stride, padding) : frozen_forward(x, weight, bias, stride, padding);
}

// ---- 2× nearest-neighbour upsampling and a 3×3 convolution ---------------------------------------------------------------------
// Output pixels of the same parity have the same sums of weights over the four copies of an input pixel: four 2×2 convolutions at the
// low resolution, one per parity, compute the same values with 16 instead of 36 products, and the upsampled map is never stored.

// [O, I, 3, 3] to [4·O, I, 2, 2], parities (0,0), (0,1), (1,0), (1,1). An even row depends on the row above and its own, an odd row on
// its own and the row below.
at::Tensor parity_weights(const at::Tensor& weight) {
  const auto first = weight.select(2, 0), middle = weight.select(2, 1), last = weight.select(2, 2);
  const auto rows = {at::stack({first, middle + last}, 2), at::stack({first + middle, last}, 2)};
  std::vector<at::Tensor> parities;
  for (const auto& r : rows) {
    const auto left = r.select(3, 0), centre = r.select(3, 1), right = r.select(3, 2);
    parities.push_back(at::stack({left, centre + right}, 3));
    parities.push_back(at::stack({left + centre, right}, 3));
  }
  return at::cat(parities, 0);
}

struct Doubling {
  int64_t batch, channels, height, width;  // at the low resolution
  int64_t parity_row(int64_t n, int64_t parity, int64_t c) const { return ((n * 4 + parity) * channels + c) * (height + 1) * (width + 1); }
};

RETOUCH_CLONES void interleave_row(const float* even, const float* odd, float* out, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    out[2 * j] = even[j];
    out[2 * j + 1] = odd[j];
  }
}

RETOUCH_CLONES void separate_row(const float* in, float* even, float* odd, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    even[j] = in[2 * j];
    odd[j] = in[2 * j + 1];
  }
}

// [N, 4·O, H + 1, W + 1] to [N, O, 2·H, 2·W]: pixel (i, j) of parity (a, b) is at (i + a, j + b) of its map.
at::Tensor interleave(const at::Tensor& maps, int64_t channels) {
  const Doubling d{maps.size(0), channels, maps.size(2) - 1, maps.size(3) - 1};
  auto out = at::empty({d.batch, channels, 2 * d.height, 2 * d.width}, maps.options());
  const float* source = maps.data_ptr<float>();
  float* target = out.data_ptr<float>();
  at::parallel_for(0, d.batch * channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      for (int64_t a = 0; a < 2; ++a) {
        const float* even = source + d.parity_row(p / channels, 2 * a, p % channels);
        const float* odd = source + d.parity_row(p / channels, 2 * a + 1, p % channels);
        for (int64_t i = 0; i < d.height; ++i) {
          const int64_t row = (i + a) * (d.width + 1);
          interleave_row(even + row, odd + row + 1, target + ((p * d.height + i) * 2 + a) * 2 * d.width, d.width);
        }
      }
  });
  return out;
}

// Inverse: [N, O, 2·H, 2·W] to [N, 4·O, H + 1, W + 1], zero at positions without an output.
at::Tensor separate(const at::Tensor& grad) {
  const Doubling d{grad.size(0), grad.size(1), grad.size(2) / 2, grad.size(3) / 2};
  auto maps = at::empty({d.batch, 4 * d.channels, d.height + 1, d.width + 1}, grad.options());
  const float* source = grad.data_ptr<float>();
  float* target = maps.data_ptr<float>();
  at::parallel_for(0, d.batch * d.channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      for (int64_t a = 0; a < 2; ++a) {
        float* even = target + d.parity_row(p / d.channels, 2 * a, p % d.channels);
        float* odd = target + d.parity_row(p / d.channels, 2 * a + 1, p % d.channels);
        const int64_t blank = (a == 0 ? d.height : 0) * (d.width + 1);
        std::memset(even + blank, 0, sizeof(float) * static_cast<size_t>(d.width + 1));
        std::memset(odd + blank, 0, sizeof(float) * static_cast<size_t>(d.width + 1));
        for (int64_t i = 0; i < d.height; ++i) {
          const int64_t row = (i + a) * (d.width + 1);
          even[row + d.width] = 0;
          odd[row] = 0;
          separate_row(source + ((p * d.height + i) * 2 + a) * 2 * d.width, even + row, odd + row + 1, d.width);
        }
      }
  });
  return maps;
}

at::Tensor upsample_conv2d_fast(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias) {
  if (retouch::has_winograd(x, weight, Resample::doubled)) return retouch::winograd_conv2d(x, weight, bias, false, Resample::doubled);
  const auto biases = bias.has_value() ? OptionalTensor(bias->repeat({4})) : OptionalTensor();
  return interleave(at::conv2d(x, parity_weights(weight), biases, {1, 1}, {1, 1}).contiguous(), weight.size(0));
}

struct FrozenUpsampleConv : torch::autograd::Function<FrozenUpsampleConv> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias) {
    context->save_for_backward({weight});
    return upsample_conv2d_fast(x, weight, bias);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "retouch::upsample_conv2d has no second derivative");
    const auto weight = context->get_saved_variables()[0];
    if (retouch::has_winograd(grads[0], weight, Resample::pooled))
      return {retouch::winograd_conv2d(grads[0], weight, {}, true, Resample::pooled), at::Tensor(), at::Tensor()};
    return {at::conv2d(separate(grads[0].contiguous()), transposed(parity_weights(weight))), at::Tensor(), at::Tensor()};
  }
};

bool can_be_fast(const at::Tensor& x, const at::Tensor& weight) {
  return is_float_on_cpu(x, weight) && weight.size(2) == 3 && weight.size(3) == 3;
}

at::Tensor upsample_conv2d_plain(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias) {
  if (can_be_fast(x, weight)) return upsample_conv2d_fast(x, weight, bias);
  return at::conv2d(at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}), weight, bias, {1, 1}, {1, 1});
}

at::Tensor upsample_conv2d(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias) {
  if (!is_trained(weight, bias) && can_be_fast(x, weight)) return FrozenUpsampleConv::apply(x, weight, bias);
  return conv2d_any(at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}), weight, bias, {1, 1}, {1, 1});
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(retouch, m) {
  m.def("frozen_conv2d(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding) -> Tensor");
  m.def("upsample_conv2d(Tensor input, Tensor weight, Tensor? bias) -> Tensor");
}

TORCH_LIBRARY_IMPL(retouch, Autograd, m) {
  m.impl("frozen_conv2d", conv2d_any);
  m.impl("upsample_conv2d", upsample_conv2d);
}

TORCH_LIBRARY_IMPL(retouch, CompositeExplicitAutograd, m) {
  m.impl("frozen_conv2d", conv2d_plain);
  m.impl("upsample_conv2d", upsample_conv2d_plain);
}
