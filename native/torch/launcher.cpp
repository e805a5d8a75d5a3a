// Which kernels a device has: those of the processor (feature_loss.cpp, norm_silu.cpp), those compiled for NVIDIA's GPUs, or none.
#include "kernels.h"

#include <ATen/Parallel.h>
#include <torch/library.h>

#include <array>
#include <atomic>

namespace retouch {
namespace {

// By device type, of which libtorch has about twenty.
std::array<std::atomic<rt_launch_fn>, 64> launchers{};

std::atomic<rt_launch_fn>& launcher_of(c10::DeviceType type) { return launchers.at(static_cast<size_t>(type)); }

Source source_of(const std::string& name) {
  for (const Source source : kSources)
    if (name == name_of(source)) return source;
  TORCH_CHECK(false, "retouch::has_kernels: there are no kernels named ", name);
}

}  // namespace

bool has_kernels(const at::Tensor& like, Source source) {
  const int stored = stored_of(like.scalar_type());
  if (stored < 0) return false;
  if (launcher_of(like.device().type()).load() != nullptr) return true;
  return like.device().is_cuda() && cuda_has_kernels(like.device(), source, stored);
}

void launch_raw(const at::Tensor& like, const Launch& launch, void** arguments, const int32_t* sizes, int32_t count) {
  TORCH_CHECK(launch.blocks > 0 && launch.blocks <= INT32_MAX, launch.kernel, ": ", launch.blocks, " blocks");
  const int stored = stored_of(like.scalar_type());
  if (const auto function = launcher_of(like.device().type()).load()) {
    const char* error = function(launch.kernel, stored, static_cast<int32_t>(launch.blocks), launch.threads, arguments, sizes, count);
    TORCH_CHECK(error == nullptr, launch.kernel, ": ", error);
    return;
  }
  cuda_launch(like.device(), stored, launch, arguments);
}

}  // namespace retouch

extern "C" {

int rt_launcher_set(int32_t device_type, rt_launch_fn function) {
  return retouch::guarded([&] {
    TORCH_CHECK(device_type != static_cast<int32_t>(c10::DeviceType::CPU), "the processor's kernels are not launched");
    retouch::launcher_of(static_cast<c10::DeviceType>(device_type)) = function;
  });
}

}  // extern "C"

TORCH_LIBRARY_FRAGMENT(retouch, m) {
  m.def("has_kernels(Tensor like, str source) -> bool");
  // Threads that share a loop of the processor's kernels: one in a library compiled without OpenMP.
  m.def("kernel_threads() -> int", [] {
    std::atomic<int64_t> threads{0};
    at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) { ++threads; });
    return threads.load();
  });
}

TORCH_LIBRARY_IMPL(retouch, CPU, m) {
  m.impl("has_kernels", [](const at::Tensor& like, const std::string&) {
    return like.scalar_type() == at::kFloat || like.scalar_type() == at::kDouble;
  });
}

TORCH_LIBRARY_IMPL(retouch, CompositeExplicitAutograd, m) {
  m.impl("has_kernels", [](const at::Tensor& like, const std::string& source) {
    return retouch::has_kernels(like, retouch::source_of(source));
  });
}

// The caller computes gradients by a separate node (FusedFeatureLoss). Without this, libtorch rejects device types of third parties.
TORCH_LIBRARY_IMPL(retouch, Autograd, m) {
  m.impl("has_kernels", torch::CppFunction::makeFallthrough());
  m.impl("feature_loss", torch::CppFunction::makeFallthrough());
  m.impl("feature_loss_backward", torch::CppFunction::makeFallthrough());
}
