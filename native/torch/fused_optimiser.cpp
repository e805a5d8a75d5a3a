// AdamW, weight averages and gradient norm as fused passes over memory: each tensor is read and written once per step, instead of about
// a dozen times with separate operators.
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <cmath>
#include <vector>

#include "internal.h"
#include "simd.h"

namespace {

// Constant, so that sums do not depend on the number of threads.
constexpr int64_t kChunk = 1 << 15;

struct Hyper {
  double lr, beta1, beta2, eps, decay, bias1, bias2_sqrt, grad_scale;
};

template <typename T>
__attribute__((always_inline)) inline void adamw_body(T* __restrict p, const T* __restrict g, T* __restrict m, T* __restrict v, int64_t n,
                                                      const Hyper& h) {
  const T keep = T(1 - h.lr * h.decay), b1 = T(h.beta1), b2 = T(h.beta2), c1 = T(1 - h.beta1), c2 = T(1 - h.beta2);
  const T step = T(h.lr / h.bias1), inv2 = T(1 / h.bias2_sqrt), eps = T(h.eps), scale = T(h.grad_scale);
  for (int64_t k = 0; k < n; ++k) {
    const T grad = g[k] * scale;
    const T mk = b1 * m[k] + c1 * grad;
    const T vk = b2 * v[k] + c2 * grad * grad;
    m[k] = mk;
    v[k] = vk;
    p[k] = p[k] * keep - step * mk / (std::sqrt(vk) * inv2 + eps);
  }
}

template <typename T>
__attribute__((always_inline)) inline void ema_body(T* __restrict e, const T* __restrict p, int64_t n, double decay) {
  const T w = T(1 - decay);
  for (int64_t k = 0; k < n; ++k) e[k] += w * (p[k] - e[k]);
}

RETOUCH_CLONES void adamw_run(float* p, const float* g, float* m, float* v, int64_t n, const Hyper& h) { adamw_body(p, g, m, v, n, h); }
RETOUCH_CLONES void adamw_run(double* p, const double* g, double* m, double* v, int64_t n, const Hyper& h) { adamw_body(p, g, m, v, n, h); }
RETOUCH_CLONES void ema_run(float* e, const float* p, int64_t n, double decay) { ema_body(e, p, n, decay); }
RETOUCH_CLONES void ema_run(double* e, const double* p, int64_t n, double decay) { ema_body(e, p, n, decay); }

RETOUCH_CLONES double square_sum(const float* g, int64_t n) {
  double sum[16] = {};
  int64_t k = 0;
  for (; k + 16 <= n; k += 16)
    for (int64_t j = 0; j < 16; ++j) sum[j] += static_cast<double>(g[k + j]) * static_cast<double>(g[k + j]);
  double total = 0;
  for (; k < n; ++k) total += static_cast<double>(g[k]) * static_cast<double>(g[k]);
  for (double s : sum) total += s;
  return total;
}

double square_sum(const double* g, int64_t n) {
  double total = 0;
  for (int64_t k = 0; k < n; ++k) total += g[k] * g[k];
  return total;
}

struct Range {
  size_t tensor;
  int64_t begin, count;
};

std::vector<Range> chunks(at::TensorList tensors) {
  std::vector<Range> ranges;
  for (size_t t = 0; t < tensors.size(); ++t)
    for (int64_t b = 0; b < tensors[t].numel(); b += kChunk) ranges.push_back({t, b, std::min(kChunk, tensors[t].numel() - b)});
  return ranges;
}

void check_like(at::TensorList params, at::TensorList others, const char* what) {
  TORCH_CHECK(others.size() == params.size(), "retouch::adamw_ema_: ", params.size(), " parameters but ", others.size(), " ", what);
  for (size_t k = 0; k < params.size(); ++k) {
    TORCH_CHECK(others[k].is_contiguous() && others[k].device().is_cpu(), "retouch::adamw_ema_: ", what, " ", k,
                " is not a contiguous CPU tensor");
    TORCH_CHECK(others[k].scalar_type() == params[0].scalar_type(), "retouch::adamw_ema_: ", what, " ", k,
                " differs in type from the parameters");
    TORCH_CHECK(others[k].numel() == params[k].numel(), "retouch::adamw_ema_: ", what, " ", k, " differs in size from its parameter");
  }
}

template <typename T>
void adamw_typed(at::TensorList params, at::TensorList grads, at::TensorList m, at::TensorList v, at::TensorList emas,
                 c10::ArrayRef<double> decays, const Hyper& h) {
  const auto ranges = chunks(params);
  const size_t n = params.size();
  at::parallel_for(0, static_cast<int64_t>(ranges.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto& c = ranges[static_cast<size_t>(r)];
      auto at_chunk = [&](const at::Tensor& t) { return t.data_ptr<T>() + c.begin; };
      T* p = at_chunk(params[c.tensor]);
      adamw_run(p, at_chunk(grads[c.tensor]), at_chunk(m[c.tensor]), at_chunk(v[c.tensor]), c.count, h);
      for (size_t e = 0; e < decays.size(); ++e) ema_run(at_chunk(emas[e * n + c.tensor]), p, c.count, decays[e]);
    }
  });
}

// emas: one tensor per parameter for each decay, grouped by decay.
void adamw_ema(at::TensorList params, at::TensorList grads, at::TensorList m, at::TensorList v, at::TensorList emas,
               c10::ArrayRef<double> decays, double lr, double beta1, double beta2, double eps, double weight_decay, int64_t step,
               double grad_scale) {
  if (params.empty()) return;
  TORCH_CHECK(step >= 1, "retouch::adamw_ema_: steps count from 1, got ", step);
  check_like(params, params, "parameter");
  check_like(params, grads, "gradient");
  check_like(params, m, "first moment");
  check_like(params, v, "second moment");
  TORCH_CHECK(emas.size() == params.size() * decays.size(), "retouch::adamw_ema_: ", decays.size(), " averages need ",
              params.size() * decays.size(), " tensors, got ", emas.size());
  for (size_t e = 0; e < decays.size(); ++e) check_like(params, emas.slice(e * params.size(), params.size()), "average");
  const Hyper h{lr, beta1, beta2, eps, weight_decay, 1 - std::pow(beta1, static_cast<double>(step)),
                std::sqrt(1 - std::pow(beta2, static_cast<double>(step))), grad_scale};
  if (params[0].scalar_type() == at::kFloat) {
    adamw_typed<float>(params, grads, m, v, emas, decays, h);
  } else {
    TORCH_CHECK(params[0].scalar_type() == at::kDouble, "retouch::adamw_ema_ computes in float32 or float64, not ",
                params[0].scalar_type());
    adamw_typed<double>(params, grads, m, v, emas, decays, h);
  }
}

double global_norm(at::TensorList tensors) {
  const auto ranges = chunks(tensors);
  std::vector<double> partial(ranges.size());
  for (const auto& t : tensors)
    TORCH_CHECK(t.is_contiguous() && t.device().is_cpu() && (t.scalar_type() == at::kFloat || t.scalar_type() == at::kDouble),
                "retouch::global_norm takes contiguous float32 or float64 CPU tensors");
  at::parallel_for(0, static_cast<int64_t>(ranges.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto& c = ranges[static_cast<size_t>(r)];
      const auto& t = tensors[c.tensor];
      partial[static_cast<size_t>(r)] = t.scalar_type() == at::kFloat ? square_sum(t.data_ptr<float>() + c.begin, c.count)
                                                                      : square_sum(t.data_ptr<double>() + c.begin, c.count);
    }
  });
  double total = 0;
  for (double s : partial) total += s;
  return std::sqrt(total);
}

}  // namespace

TORCH_LIBRARY(retouch, m) {
  m.def("adamw_ema_(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] exp_avgs, Tensor(c!)[] exp_avg_sqs, Tensor(d!)[] emas, "
        "float[] ema_decays, float lr, float beta1, float beta2, float eps, float weight_decay, int step, float grad_scale) -> ()");
  m.def("global_norm(Tensor[] tensors) -> float");
}

TORCH_LIBRARY_IMPL(retouch, CPU, m) {
  m.impl("adamw_ema_", adamw_ema);
  m.impl("global_norm", global_norm);
}
