// Launches of the kernels in native/torch/kernels, by name, on the GPU of a tensor.
#pragma once
#include <initializer_list>
#include <type_traits>

#include "internal.h"

namespace retouch {

// A file of kernels.
enum class Source { feature_loss, norm_silu };

constexpr Source kSources[] = {Source::feature_loss, Source::norm_silu};

inline const char* name_of(Source source) { return source == Source::feature_loss ? "feature_loss" : "norm_silu"; }

// Number of a type as RETOUCH_STORED in kernels/common.h; −1 without kernels.
inline int stored_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat: return 0;
    case at::kDouble: return 1;
    case at::kBFloat16: return 2;
    case at::kHalf: return 3;
    default: return -1;
  }
}

// Type in which kernels compute.
inline at::ScalarType real_of(at::ScalarType type) { return type == at::kDouble ? at::kDouble : at::kFloat; }

// Whether the kernels of a source can be launched for tensors like this. The first call for a type compiles them; if that fails, the
// reason is printed once.
bool has_kernels(const at::Tensor& like, Source source);

struct Launch {
  Source source;
  const char* kernel;
  int64_t blocks;
  // A power of two; the kernels' results do not depend on it beyond rounding.
  int threads;
};

// Requires has_kernels.
void launch_raw(const at::Tensor& like, const Launch& launch, void** arguments, const int32_t* sizes, int32_t count);

// The arguments have exactly the types of the kernel's parameters.
template <typename... A>
void launch(const at::Tensor& like, const Launch& launch, A... arguments) {
  static_assert((std::is_trivially_copyable_v<A> && ...), "kernels take numbers and pointers");
  void* pointers[] = {static_cast<void*>(&arguments)...};
  const int32_t sizes[] = {static_cast<int32_t>(sizeof(A))...};
  launch_raw(like, launch, pointers, sizes, static_cast<int32_t>(sizeof...(A)));
}

// Elements of a tensor as a kernel's argument.
inline void* data_of(const at::Tensor& x) { return x.defined() ? x.data_ptr() : nullptr; }

// Launches on NVIDIA's GPUs (cuda_launcher.cpp).
bool cuda_has_kernels(c10::Device device, Source source, int stored);
void cuda_launch(c10::Device device, int stored, const Launch& launch, void** arguments);

}  // namespace retouch
