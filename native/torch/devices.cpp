// GPUs, their memory and float32 arithmetic; threads. CUDA is used through libtorch's hooks, since most builds of this shim have no
// CUDA headers. Before 2.10, libtorch's memory statistics need the headers, which CMake looks for; without them the statistics are
// unknown.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstdlib>

#include "internal.h"
#include "versions.h"

#if RETOUCH_TORCH_SINCE(2, 10)
#include <c10/core/CachingDeviceAllocator.h>
#elif defined(RETOUCH_CUDA_HEADERS)
#include <c10/cuda/CUDACachingAllocator.h>
#endif

using namespace retouch;

namespace {

// A function of the CUDA runtime loaded by libtorch, or null.
template <typename Function>
Function runtime_function(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

void check_device(int32_t index) {
  const int count = rt_cuda_count();
  TORCH_CHECK(index >= 0 && index < count, "there is no device cuda:", index, "; libtorch sees ", count, " GPUs");
}

template <typename Stats>
void take_figures(const Stats& stats, rt_device_memory_info& info) {
  info.allocated_bytes = stats.allocated_bytes[0].current;
  info.reserved_bytes = stats.reserved_bytes[0].current;
  info.peak_bytes = stats.allocated_bytes[0].peak;
}

#if RETOUCH_TORCH_SINCE(2, 10)

void read_allocator(int32_t index, bool reset_peak, rt_device_memory_info& info) {
  auto* allocator = c10::getDeviceAllocator(c10::DeviceType::CUDA);
  const auto device = static_cast<c10::DeviceIndex>(index);
  take_figures(allocator->getDeviceStats(device), info);
  if (reset_peak) allocator->resetPeakStats(device);
}

void release_cache() { c10::getDeviceAllocator(c10::DeviceType::CUDA)->emptyCache(); }

#elif defined(RETOUCH_CUDA_HEADERS)

void read_allocator(int32_t index, bool reset_peak, rt_device_memory_info& info) {
  const auto device = static_cast<c10::DeviceIndex>(index);
  take_figures(c10::cuda::CUDACachingAllocator::getDeviceStats(device), info);
  if (reset_peak) c10::cuda::CUDACachingAllocator::resetPeakStats(device);
}

void release_cache() { c10::cuda::CUDACachingAllocator::emptyCache(); }

#else

void read_allocator(int32_t, bool, rt_device_memory_info&) {}
void release_cache() {}

#endif

}  // namespace

extern "C" {

int rt_torch_is_known(void) {
  constexpr auto number = [](const char* text) {
    int major = 0, minor = 0;
    for (; *text != '.'; ++text) major = major * 10 + (*text - '0');
    for (++text; *text != 0; ++text) minor = minor * 10 + (*text - '0');
    return major * 1000 + minor;
  };
  constexpr int built = TORCH_VERSION_MAJOR * 1000 + TORCH_VERSION_MINOR;
  return built >= number(RETOUCH_TORCH_OLDEST) && built <= number(RETOUCH_TORCH_NEWEST) ? 1 : 0;
}

int rt_cuda_is_built(void) { return at::detail::getCUDAHooks().hasCUDART() ? 1 : 0; }

int rt_cuda_count(void) {
  try {
    return at::hasCUDA() ? at::detail::getCUDAHooks().getNumGPUs() : 0;
  } catch (...) {
    return 0;
  }
}

int rt_cuda_status(int32_t* code, char** text) {
  return guarded([&] {
    const auto count_devices = runtime_function<int (*)(int*)>("cudaGetDeviceCount");
    const auto describe = runtime_function<const char* (*)(int)>("cudaGetErrorString");
    int count = 0;
    *code = count_devices == nullptr || describe == nullptr ? -1 : count_devices(&count);
    *text = copy_string(*code < 0 ? "no CUDA runtime is loaded" : describe(*code));
  });
}

int rt_cuda_memory(int32_t index, int32_t reset_peak, rt_device_memory_info* info) {
  return guarded([&] {
    check_device(index);
    *info = {-1, -1, -1, -1, -1};
    read_allocator(index, reset_peak != 0, *info);
    const c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
    const auto before = guard.exchangeDevice(c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index)));
    size_t free_now = 0, total = 0;
    const auto query = runtime_function<int (*)(size_t*, size_t*)>("cudaMemGetInfo");
    const bool known = query != nullptr && query(&free_now, &total) == 0;
    guard.setDevice(before);
    if (!known) return;
    info->free_bytes = static_cast<int64_t>(free_now);
    info->total_bytes = static_cast<int64_t>(total);
  });
}

int rt_cuda_release_cache(void) {
  return guarded([] {
    if (rt_cuda_count() > 0) release_cache();
  });
}

int rt_cuda_synchronize(int32_t index) {
  return guarded([&] {
    check_device(index);
    at::detail::getCUDAHooks().deviceSynchronize(static_cast<c10::DeviceIndex>(index));
  });
}

int rt_arithmetic_set(int32_t allow_tf32, int32_t deterministic) {
  return guarded([&] {
    auto& context = at::globalContext();
    // cuBLAS reads the variable when its first handle is created.
    if (deterministic != 0) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
    context.setAllowTF32CuBLAS(allow_tf32 != 0);
    context.setAllowTF32CuDNN(allow_tf32 != 0);
    context.setDeterministicAlgorithms(deterministic != 0, false);
    context.setDeterministicCuDNN(deterministic != 0);
    context.setBenchmarkCuDNN(false);
  });
}

void rt_threads_set(int32_t n) { at::set_num_threads(n); }
int rt_threads_get(void) { return at::get_num_threads(); }

int rt_show_config(char** text) {
  return guarded([&] { *text = copy_string(at::show_config() + "\n" + at::get_parallel_info()); });
}

}  // extern "C"
