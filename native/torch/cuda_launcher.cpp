// Launches kernels on NVIDIA's GPUs through the CUDA driver, in libtorch's context and on its current stream. The driver is loaded at run
// time, so that one source compiles against every build of libtorch.
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>

#include "nvrtc.h"

namespace retouch {
namespace {

using Context = void*;
using Module = void*;
using Function = void*;
using Stream = void*;

// The part of cuda.h that is used.
constexpr int kCapabilityMajor = 75, kCapabilityMinor = 76;

struct Driver {
  int (*init)(unsigned int);
  int (*describe)(int, const char**);
  int (*device)(int*, int);
  int (*attribute)(int*, int, int);
  int (*retain)(Context*, int);
  int (*current)(Context*);
  int (*make_current)(Context);
  int (*load)(Module*, const void*);
  int (*function)(Function*, Module, const char*);
  int (*launch)(Function, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, Stream, void**,
                void**);
  // c10::cuda::CUDAStream::stream() const. A CUDAStream consists of a c10::Stream.
  Stream (*stream)(const c10::Stream*);
};

template <typename F>
void find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  TORCH_CHECK(function != nullptr, "the NVIDIA driver's library has no function ", name);
}

Driver load_driver() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  TORCH_CHECK(library != nullptr, "the NVIDIA driver's library libcuda.so.1 cannot be loaded");
  Driver d{};
  find(library, "cuInit", d.init);
  find(library, "cuGetErrorString", d.describe);
  find(library, "cuDeviceGet", d.device);
  find(library, "cuDeviceGetAttribute", d.attribute);
  find(library, "cuDevicePrimaryCtxRetain", d.retain);
  find(library, "cuCtxGetCurrent", d.current);
  find(library, "cuCtxSetCurrent", d.make_current);
  find(library, "cuModuleLoadData", d.load);
  find(library, "cuModuleGetFunction", d.function);
  find(library, "cuLaunchKernel", d.launch);
  d.stream = reinterpret_cast<decltype(d.stream)>(loaded_function("_ZNK3c104cuda10CUDAStream6streamEv"));
  TORCH_CHECK(d.stream != nullptr, "libtorch's library libc10_cuda.so has no function CUDAStream::stream");
  return d;
}

const Driver& driver() {
  static const Driver loaded = load_driver();
  return loaded;
}

void check(int result, const char* what) {
  if (result == 0) return;
  const char* text = nullptr;
  driver().describe(result, &text);
  TORCH_CHECK(false, what, ": ", text == nullptr ? "CUDA error" : text, " (", result, ")");
}

// The primary context of a device, which the CUDA runtime and so libtorch use, and its modules by source and type. Lives as long as the
// process.
struct Gpu {
  Context context = nullptr;
  int architecture = 0;
  bool ready = false;
  std::string failure;
  std::map<std::pair<Source, int>, Module> modules;
  std::map<std::pair<Module, std::string>, Function> functions;
};

std::mutex mutex;
std::map<int, Gpu> gpus;

bool switched_off() {
  const char* value = std::getenv("RETOUCH_KERNELS");
  return value != nullptr && std::string(value) == "0";
}

void open(Gpu& gpu, int index) {
  const auto& d = driver();
  check(d.init(0), "cuInit");
  int device = 0, major = 0, minor = 0;
  check(d.device(&device, index), "cuDeviceGet");
  check(d.attribute(&major, kCapabilityMajor, device), "cuDeviceGetAttribute");
  check(d.attribute(&minor, kCapabilityMinor, device), "cuDeviceGetAttribute");
  check(d.retain(&gpu.context, device), "cuDevicePrimaryCtxRetain");
  gpu.architecture = 10 * major + minor;
  gpu.ready = true;
}

// The runtime makes a device's context current to a thread only when it first needs it there.
void enter(const Gpu& gpu) {
  Context current = nullptr;
  check(driver().current(&current), "cuCtxGetCurrent");
  if (current != gpu.context) check(driver().make_current(gpu.context), "cuCtxSetCurrent");
}

Module load_module(const Gpu& gpu, Source source, int stored) {
  Module module = nullptr;
  auto image = compile_kernels(source, stored, gpu.architecture, kernel_cache());
  if (driver().load(&module, image.code.c_str()) == 0) return module;
  // Possibly a damaged file of the cache.
  forget(image);
  image = compile_kernels(source, stored, gpu.architecture, kernel_cache());
  check(driver().load(&module, image.code.c_str()), "cuModuleLoadData");
  return module;
}

}  // namespace

bool cuda_has_kernels(c10::Device device, Source source, int stored) {
  const std::lock_guard<std::mutex> lock(mutex);
  auto& gpu = gpus[device.index()];
  // What was compiled stays in use after another failure: a backward pass must use the kernels of its forward pass.
  if (gpu.modules.count({source, stored}) > 0) return true;
  if (!gpu.failure.empty()) return false;
  if (switched_off()) {
    gpu.failure = "switched off by RETOUCH_KERNELS=0";
    return false;
  }
  try {
    const c10::DeviceGuard guard(device);
    if (!gpu.ready) open(gpu, device.index());
    enter(gpu);
    gpu.modules[{source, stored}] = load_module(gpu, source, stored);
    return true;
  } catch (const c10::Error& e) {
    gpu.failure = e.what_without_backtrace();
  } catch (const std::exception& e) {
    gpu.failure = e.what();
  }
  std::fprintf(stderr,
               "retouch: warning: there are no kernels for %s: %s\nlibtorch's operators replace them, with the same results, at more time "
               "and memory.\n",
               device.str().c_str(), gpu.failure.c_str());
  return false;
}

void cuda_launch(c10::Device device, int stored, const Launch& launch, void** arguments) {
  const c10::DeviceGuard guard(device);
  Function function = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    auto& gpu = gpus[device.index()];
    enter(gpu);
    const Module module = gpu.modules.at({launch.source, stored});
    auto& known = gpu.functions[{module, launch.kernel}];
    if (known == nullptr) check(driver().function(&known, module, launch.kernel), launch.kernel);
    function = known;
  }
  const auto stream = c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).getStream(device);
  check(driver().launch(function, static_cast<unsigned int>(launch.blocks), 1, 1, static_cast<unsigned int>(launch.threads), 1, 1, 0,
                        driver().stream(&stream), arguments, nullptr),
        launch.kernel);
}

}  // namespace retouch

extern "C" {

int rt_kernels_failure(int32_t index, char** text) {
  return retouch::guarded([&] {
    const std::lock_guard<std::mutex> lock(retouch::mutex);
    const auto found = retouch::gpus.find(index);
    *text = retouch::copy_string(found == retouch::gpus.end() ? std::string() : found->second.failure);
  });
}

}  // extern "C"
