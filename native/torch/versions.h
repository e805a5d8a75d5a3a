// All that differs between the versions of libtorch that this library is written for. No other file asks for a version.
#pragma once
#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <c10/core/Allocator.h>
#include <torch/csrc/autograd/function.h>
#include <torch/version.h>

#include <cstring>
#include <memory>
#include <type_traits>

// The versions that the suites have passed with, oldest and newest; eng/build-native.sh warns of others, and tries them.
#define RETOUCH_TORCH_OLDEST "1.13"
#define RETOUCH_TORCH_NEWEST "2.14"

#define RETOUCH_TORCH_SINCE(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

#if RETOUCH_TORCH_SINCE(2, 4)
#include <optional>
#endif

namespace retouch {

// libtorch's own optional became the standard one.
#if RETOUCH_TORCH_SINCE(2, 4)
template <typename T>
using Optional = std::optional<T>;
#else
template <typename T>
using Optional = c10::optional<T>;
#endif

// Nodes of the graph are held by std::shared_ptr, later by c10::intrusive_ptr.
template <typename T>
using NodePtr =
    std::conditional_t<std::is_same_v<decltype(torch::autograd::Edge::function), std::shared_ptr<torch::autograd::Node>>,
                       std::shared_ptr<T>, c10::intrusive_ptr<T>>;

template <typename T, typename Pointer = NodePtr<T>>
Pointer make_node() {
  if constexpr (std::is_same_v<Pointer, std::shared_ptr<T>>) {
    // deleteNode takes long chains of nodes apart without recursion. It is found by its argument, since later versions have none.
    return Pointer(new T(), [](auto* node) { deleteNode(node); });
  } else {
    return c10::make_intrusive<T>();
  }
}

// Mixed precision of one kind of device, as this thread has it.
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

// An allocator of host memory. Constness and members of libtorch's base class changed; what a version does not know is an overload that
// nobody calls.
class HostAllocatorBase : public c10::Allocator {
 public:
  at::DataPtr allocate(size_t bytes) const { return make(bytes); }
  at::DataPtr allocate(size_t bytes) { return make(bytes); }
  void copy_data(void* target, const void* source, size_t count) const { std::memcpy(target, source, count); }

 private:
  virtual at::DataPtr make(size_t bytes) const = 0;
};

}  // namespace retouch
