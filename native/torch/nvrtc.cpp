#include "nvrtc.h"

#include <ATen/Context.h>
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace retouch {
namespace {

namespace fs = std::filesystem;

// The part of nvrtc.h that is used. Its ABI is the same in all versions of CUDA from 11.2 on.
using Program = void*;
struct Nvrtc {
  int (*version)(int*, int*);
  int (*create)(Program*, const char*, const char*, int, const char* const*, const char* const*);
  int (*compile)(Program, int, const char* const*);
  int (*log_size)(Program, size_t*);
  int (*log)(Program, char*);
  int (*cubin_size)(Program, size_t*);
  int (*cubin)(Program, char*);
  int (*ptx_size)(Program, size_t*);
  int (*ptx)(Program, char*);
  int (*destroy)(Program*);
  const char* (*describe)(int);
  int (*count_architectures)(int*);
  int (*architectures)(int*);
  std::vector<int> supported;
  std::string name;
};

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

// Names by which the dynamic loader may know NVRTC: first that of the CUDA which libtorch uses.
std::vector<std::string> loader_names() {
  std::vector<std::string> names;
  const auto version_of_runtime = reinterpret_cast<int (*)(int*)>(loaded_function("cudaRuntimeGetVersion"));
  int version = 0;
  if (version_of_runtime != nullptr && version_of_runtime(&version) == 0)
    names.push_back("libnvrtc.so." + std::string(version / 1000 == 11 ? "11.2" : std::to_string(version / 1000)));
  for (const char* suffix : {".13", ".12", ".11.2", ""}) names.push_back(std::string("libnvrtc.so") + suffix);
  return names;
}

// Files in the folders of libtorch, of the Python packages beside it, and of CUDA's own installation.
std::vector<std::string> files() {
  std::vector<fs::path> folders;
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&at::globalContext), &info) != 0 && info.dli_fname != nullptr) {
    const auto folder = fs::path(info.dli_fname).parent_path(), packages = folder / "../../nvidia";
    folders = {folder, packages / "cuda_nvrtc/lib", packages / "cu13/lib", packages / "cu12/lib"};
  }
  if (const char* home = std::getenv("CUDA_HOME")) folders.push_back(fs::path(home) / "lib64");
  folders.emplace_back("/usr/local/cuda/lib64");
  std::vector<std::string> found;
  for (const auto& folder : folders) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      const auto name = entry->path().filename().string();
      if (name.rfind("libnvrtc", 0) != 0 || name.find(".so") == std::string::npos) continue;
      // NVRTC loads its second library by name, which the dynamic loader finds outside its folders only if it is loaded already.
      if (name.find("builtins") == std::string::npos)
        found.push_back(entry->path().string());
      else
        dlopen(entry->path().c_str(), RTLD_NOW | RTLD_LOCAL);
    }
  }
  return found;
}

// Whether the library is an NVRTC with all functions.
bool load_from(const std::string& name, Nvrtc& n) {
  void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr || !find(library, "nvrtcVersion", n.version) || !find(library, "nvrtcCreateProgram", n.create) ||
      !find(library, "nvrtcCompileProgram", n.compile) || !find(library, "nvrtcGetProgramLogSize", n.log_size) ||
      !find(library, "nvrtcGetProgramLog", n.log) || !find(library, "nvrtcGetCUBINSize", n.cubin_size) ||
      !find(library, "nvrtcGetCUBIN", n.cubin) || !find(library, "nvrtcGetPTXSize", n.ptx_size) ||
      !find(library, "nvrtcGetPTX", n.ptx) || !find(library, "nvrtcDestroyProgram", n.destroy) ||
      !find(library, "nvrtcGetErrorString", n.describe) || !find(library, "nvrtcGetNumSupportedArchs", n.count_architectures) ||
      !find(library, "nvrtcGetSupportedArchs", n.architectures))
    return false;
  int major = 0, minor = 0, count = 0;
  if (n.version(&major, &minor) != 0 || n.count_architectures(&count) != 0 || count <= 0) return false;
  n.supported.resize(static_cast<size_t>(count));
  n.name = "NVRTC " + std::to_string(major) + "." + std::to_string(minor);
  return n.architectures(n.supported.data()) == 0;
}

Nvrtc load() {
  Nvrtc n{};
  for (const auto& name : loader_names())
    if (load_from(name, n)) return n;
  for (const auto& name : files())
    if (load_from(name, n)) return n;
  TORCH_CHECK(false, "CUDA's compiler library libnvrtc.so was not found (version 11.2 or newer; it is part of CUDA's toolkit and of "
                     "PyTorch's packages)");
}

const Nvrtc& nvrtc() {
  static const Nvrtc loaded = load();
  return loaded;
}

void check(int result, const char* what) { TORCH_CHECK(result == 0, nvrtc().name, ": ", what, ": ", nvrtc().describe(result)); }

struct OwnedProgram {
  Program handle = nullptr;
  ~OwnedProgram() {
    if (handle != nullptr) nvrtc().destroy(&handle);
  }
};

std::string text_from(Program program, int (*size_of)(Program, size_t*), int (*get)(Program, char*)) {
  size_t size = 0;
  check(size_of(program, &size), "size of the result");
  std::string text(size, '\0');
  check(get(program, text.data()), "result");
  return text;
}

std::string compile(Source source, const std::vector<std::string>& options, bool binary) {
  const auto& n = nvrtc();
  OwnedProgram program;
  check(n.create(&program.handle, text_of(source), name_of(source), 0, nullptr, nullptr), "program");
  std::vector<const char*> words;
  for (const auto& option : options) words.push_back(option.c_str());
  const int result = n.compile(program.handle, static_cast<int>(words.size()), words.data());
  TORCH_CHECK(result == 0, n.name, " does not compile ", name_of(source), ": ", n.describe(result), "\n",
              text_from(program.handle, n.log_size, n.log));
  return binary ? text_from(program.handle, n.cubin_size, n.cubin) : text_from(program.handle, n.ptx_size, n.ptx);
}

// FNV-1a.
uint64_t hash(const std::string& text) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return h;
}

// A cache that cannot be written costs time, not results: no error.
void write(const fs::path& file, const std::string& code) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  const auto part = file.string() + "." + std::to_string(getpid());
  std::ofstream out(part, std::ios::binary);
  out.write(code.data(), static_cast<std::streamsize>(code.size()));
  out.close();
  if (out) fs::rename(part, file, error);
  if (!out || error) fs::remove(part, error);
}

}  // namespace

void* loaded_function(const char* name) { return dlsym(RTLD_DEFAULT, name); }

std::string kernel_cache() {
  const char *chosen = std::getenv("RETOUCH_CACHE"), *home = std::getenv("HOME");
  if (chosen != nullptr && *chosen != 0) return (fs::path(chosen) / "kernels").string();
  return home != nullptr && *home != 0 ? (fs::path(home) / ".cache/retouch/kernels").string() : std::string();
}

KernelImage compile_kernels(Source source, int stored, int architecture, const std::string& cache) {
  const auto& known = nvrtc().supported;
  const bool binary = std::find(known.begin(), known.end(), architecture) != known.end();
  int target = 0;
  for (const int k : known)
    if (k <= architecture) target = std::max(target, k);
  TORCH_CHECK(target > 0, nvrtc().name, " does not compile for sm_", architecture);
  // For a GPU newer than the compiler, the driver compiles the intermediate code of the newest known architecture.
  const auto name = (binary ? "sm_" : "compute_") + std::to_string(target);
  const std::vector<std::string> options = {"--gpu-architecture=" + name, "--std=c++17", "-DRETOUCH_STORED=" + std::to_string(stored)};
  std::string inputs = nvrtc().name + "\n" + text_of(source);
  for (const auto& option : options) inputs += "\n" + option;
  char key[17];
  std::snprintf(key, sizeof(key), "%016llx", static_cast<unsigned long long>(hash(inputs)));
  KernelImage image;
  if (!cache.empty()) {
    image.file = (fs::path(cache) / (std::string(name_of(source)) + "-" + std::to_string(stored) + "-" + name + "-" + key)).string();
    std::ifstream in(image.file, std::ios::binary);
    image.code.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    if (!image.code.empty()) return image;
  }
  image.code = compile(source, options, binary);
  if (!cache.empty()) write(image.file, image.code);
  return image;
}

void forget(const KernelImage& image) {
  std::error_code error;
  if (!image.file.empty()) fs::remove(image.file, error);
}

}  // namespace retouch

extern "C" {

int rt_kernels_can_compile(void) {
  try {
    retouch::nvrtc();
    return 1;
  } catch (...) {
    return 0;
  }
}

int rt_kernels_compile(const char* architecture, const char* cache, char** text) {
  return retouch::guarded([&] {
    int number = 0;
    TORCH_CHECK(std::sscanf(architecture, "sm_%d", &number) == 1, "'", architecture, "' is no architecture such as sm_80");
    std::string report;
    for (const auto source : retouch::kSources)
      for (const auto type : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
        const auto image = retouch::compile_kernels(source, retouch::stored_of(type), number, cache);
        report += std::string(retouch::name_of(source)) + " " + c10::toString(type) + " " + std::to_string(image.code.size()) + "\n";
      }
    *text = retouch::copy_string(report);
  });
}

}  // extern "C"
