// All differences between the supported versions of libtorch. No other file checks the version.
#pragma once
#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <c10/core/Allocator.h>
#include <torch/csrc/autograd/function.h>
#include <torch/version.h>

#include <cstring>
#include <memory>
#include <type_traits>

// Oldest and newest tested versions; eng/build-native.sh warns about others, but tries them.
#define RETOUCH_TORCH_OLDEST "1.13"
#define RETOUCH_TORCH_NEWEST "2.14"

#define RETOUCH_TORCH_SINCE(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

#if RETOUCH_TORCH_SINCE(2, 4)
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/DeviceType.h>

#include <optional>
#endif

// c10d: process groups are Backends in newer versions.
#ifdef RETOUCH_C10D
#if RETOUCH_TORCH_SINCE(2, 0)
#include <torch/csrc/distributed/c10d/Backend.hpp>
namespace retouch {
using CommunicationGroup = c10d::Backend;
}
#else
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
namespace retouch {
using CommunicationGroup = c10d::ProcessGroup;
}
#endif

namespace retouch {

// Newer versions of the store can use libuv, and do by default even if they were built without it, as Debian's.
template <typename Options>
auto serve_without_libuv(Options& options, int) -> decltype(options.useLibUV, void()) {
  options.useLibUV = false;
}

template <typename Options>
void serve_without_libuv(Options&, long) {}

}  // namespace retouch
#endif

namespace retouch {

// Newer versions of libtorch use the standard optional.
#if RETOUCH_TORCH_SINCE(2, 4)
template <typename T>
using Optional = std::optional<T>;
#else
template <typename T>
using Optional = c10::optional<T>;
#endif

// Graph nodes are held by std::shared_ptr, in newer versions by c10::intrusive_ptr.
template <typename T>
using NodePtr =
    std::conditional_t<std::is_same_v<decltype(torch::autograd::Edge::function), std::shared_ptr<torch::autograd::Node>>,
                       std::shared_ptr<T>, c10::intrusive_ptr<T>>;

template <typename T, typename Pointer = NodePtr<T>>
Pointer make_node() {
  if constexpr (std::is_same_v<Pointer, std::shared_ptr<T>>) {
    // deleteNode destroys long chains of nodes without recursion. It is found by argument-dependent lookup, since newer versions lack
    // it.
    return Pointer(new T(), [](auto* node) { deleteNode(node); });
  } else {
    return c10::make_intrusive<T>();
  }
}

// This thread's autocast mode of a device type.
struct AutocastState {
  bool enabled;
  at::ScalarType dtype;
};

inline AutocastState get_autocast(c10::DeviceType type) {
#if RETOUCH_TORCH_SINCE(2, 4)
  return {at::autocast::is_autocast_enabled(type), at::autocast::get_autocast_dtype(type)};
#else
  return type == c10::DeviceType::CPU ? AutocastState{at::autocast::is_cpu_enabled(), at::autocast::get_autocast_cpu_dtype()}
                                      : AutocastState{at::autocast::is_enabled(), at::autocast::get_autocast_gpu_dtype()};
#endif
}

inline void set_autocast(c10::DeviceType type, AutocastState state) {
#if RETOUCH_TORCH_SINCE(2, 4)
  at::autocast::set_autocast_dtype(type, state.dtype);
  at::autocast::set_autocast_enabled(type, state.enabled);
#else
  if (type == c10::DeviceType::CPU) {
    at::autocast::set_autocast_cpu_dtype(state.dtype);
    at::autocast::set_cpu_enabled(state.enabled);
  } else {
    at::autocast::set_autocast_gpu_dtype(state.dtype);
    at::autocast::set_enabled(state.enabled);
  }
#endif
}

// Makes the device type for third-party backends this process's accelerator, as newer versions require for backward on it: they take
// streams from the accelerator alone, which is a backend with a name and hooks. The name is the device type's default, so that messages
// are the same in all versions. A GPU stays the accelerator.
#if RETOUCH_TORCH_SINCE(2, 4)
struct ThirdPartyHooks final : at::PrivateUse1HooksInterface {
  // Some of these are virtual in newer versions only.
  bool isBuilt() const { return true; }
  bool isAvailable() const { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const { return true; }
};

inline void register_third_party_backend() {
  if (at::hasCUDA()) return;
  static ThirdPartyHooks hooks;
  at::RegisterPrivateUse1HooksInterface(&hooks);
  c10::register_privateuse1_backend("privateuseone");
}
#else
inline void register_third_party_backend() {}
#endif

// Base of host memory allocators. Constness and members of libtorch's base class differ between versions; members that a version lacks
// are unused overloads.
class HostAllocatorBase : public c10::Allocator {
 public:
  at::DataPtr allocate(size_t bytes) const { return make(bytes); }
  at::DataPtr allocate(size_t bytes) { return make(bytes); }
  void copy_data(void* target, const void* source, size_t count) const { std::memcpy(target, source, count); }

 private:
  virtual at::DataPtr make(size_t bytes) const = 0;
};

}  // namespace retouch
