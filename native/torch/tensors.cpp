// Tensor facts, autograd, generators and the machine: what is no operator of the dispatcher.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include "internal.h"
#include "versions.h"

using namespace retouch;

namespace {

std::vector<at::Tensor> borrow_all(void* const* handles, int32_t n) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(static_cast<size_t>(n));
  for (int32_t k = 0; k < n; ++k) tensors.push_back(borrow(handles[k]));
  return tensors;
}

// A function in managed code and what it is called with, freed once.
struct CallbackContext {
  rt_backward_fn backward = nullptr;
  void (*free_context)(void*) = nullptr;
  void* context = nullptr;

  CallbackContext() = default;
  CallbackContext(rt_backward_fn function, void (*free)(void*), void* argument) : backward(function), free_context(free), context(argument) {}
  CallbackContext(CallbackContext&& other) noexcept { *this = std::move(other); }
  CallbackContext& operator=(CallbackContext&& other) noexcept {
    std::swap(backward, other.backward);
    std::swap(free_context, other.free_context);
    std::swap(context, other.context);
    return *this;
  }
  ~CallbackContext() {
    if (free_context != nullptr) free_context(context);
  }
};

// A backward function in managed code. The engine may run it on another thread than the forward pass (it does for CUDA).
struct CallbackNode : torch::autograd::Node {
  CallbackContext callback;

  std::string name() const override { return "RetouchFunction"; }

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    std::vector<void*> in(grads.size()), out(num_outputs(), nullptr);
    for (size_t k = 0; k < grads.size(); ++k) in[k] = grads[k].defined() ? grads[k].unsafeGetTensorImpl() : nullptr;
    int status = callback.backward(callback.context, in.data(), static_cast<int32_t>(in.size()), out.data(), static_cast<int32_t>(out.size()));
    torch::autograd::variable_list result(out.size());
    for (size_t k = 0; k < out.size(); ++k) {
      result[k] = borrow(out[k]);
      rt_tensor_free(out[k]);
    }
    TORCH_CHECK(status == 0, "a backward function in managed code failed");
    return result;
  }
};

}  // namespace

extern "C" {

int rt_abi_version(void) { return RT_ABI_VERSION; }
const char* rt_torch_version(void) { return TORCH_VERSION; }

void rt_tensor_free(void* tensor) {
  if (tensor == nullptr) return;
  TensorPtr::reclaim(static_cast<at::TensorImpl*>(tensor));
}

void rt_tensors_free(void* const* tensors, int32_t n) {
  for (int32_t k = 0; k < n; ++k) rt_tensor_free(tensors[k]);
}

void* rt_tensor_share(void* tensor) { return release(borrow(tensor)); }

void rt_tensor_info_get(void* handle, rt_tensor_info* info) {
  const auto tensor = borrow(handle);
  info->count = tensor.numel();
  info->dim = static_cast<int32_t>(tensor.dim());
  for (int32_t k = 0; k < info->dim && k < RT_MAX_DIM; ++k) info->sizes[k] = tensor.size(k);
  info->dtype = static_cast<int32_t>(tensor.scalar_type());
  info->device_type = static_cast<int32_t>(tensor.device().type());
  info->device_index = tensor.device().index();
  info->contiguous = tensor.is_contiguous() ? 1 : 0;
  info->requires_grad = tensor.requires_grad() ? 1 : 0;
  const bool backed = tensor.has_storage() && !tensor.is_meta();
  info->data = backed ? tensor.data_ptr() : nullptr;
  info->storage_bytes = backed ? static_cast<int64_t>(tensor.storage().nbytes()) : 0;
}

int rt_tensor_from_blob(void* data, const int64_t* sizes, int32_t dim, int32_t dtype, void (*release_data)(void*), void* context, void** tensor) {
  return guarded([&] {
    auto options = at::TensorOptions().dtype(static_cast<c10::ScalarType>(dtype));
    c10::IntArrayRef shape(sizes, static_cast<size_t>(dim));
    *tensor = release(release_data == nullptr
                          ? at::from_blob(data, shape, options)
                          : at::from_blob(data, shape, [release_data, context](void*) { release_data(context); }, options));
  });
}

int rt_tensor_set_requires_grad(void* tensor, int32_t value) {
  return guarded([&] { borrow(tensor).set_requires_grad(value != 0); });
}

int rt_tensor_grad(void* tensor, void** grad) {
  return guarded([&] { *grad = release(borrow(tensor).grad()); });
}

int rt_tensor_set_grad(void* tensor, void* grad) {
  return guarded([&] { borrow(tensor).mutable_grad() = borrow(grad); });
}

int rt_grad_mode_get(void) { return c10::GradMode::is_enabled() ? 1 : 0; }
void rt_grad_mode_set(int32_t enabled) { c10::GradMode::set_enabled(enabled != 0); }

int rt_backward(void* const* outputs, int32_t n, void* const* grads, int32_t retain_graph, int32_t create_graph) {
  return guarded([&] {
    auto seeds = grads == nullptr ? std::vector<at::Tensor>() : borrow_all(grads, n);
    torch::autograd::backward(borrow_all(outputs, n), seeds, retain_graph != 0, create_graph != 0);
  });
}

int rt_grad(void* const* outputs, int32_t n, void* const* inputs, int32_t m, void* const* grads, int32_t retain_graph,
            int32_t create_graph, int32_t allow_unused, void** results) {
  return guarded([&] {
    auto seeds = grads == nullptr ? std::vector<at::Tensor>() : borrow_all(grads, n);
    auto found = torch::autograd::grad(borrow_all(outputs, n), borrow_all(inputs, m), seeds, retain_graph != 0, create_graph != 0,
                                       allow_unused != 0);
    for (int32_t k = 0; k < m; ++k) results[k] = release(found[static_cast<size_t>(k)]);
  });
}

int rt_custom_function(void* const* inputs, int32_t n, void* const* outputs, int32_t m, rt_backward_fn backward,
                       void (*release_context)(void*), void* context, void** results) {
  // Whatever happens, the context is freed once: by the node, or here when there is no node.
  CallbackContext owned{backward, release_context, context};
  return guarded([&] {
    auto node = make_node<CallbackNode>();
    node->callback = std::move(owned);
    auto sources = borrow_all(inputs, n);
    node->set_next_edges(torch::autograd::collect_next_edges(sources));
    std::vector<at::Tensor> fresh;
    for (int32_t k = 0; k < m; ++k) {
      fresh.push_back(borrow(outputs[k]).detach());
      torch::autograd::set_history(fresh.back(), node);
    }
    for (int32_t k = 0; k < m; ++k) results[k] = release(std::move(fresh[static_cast<size_t>(k)]));
  });
}

int rt_autocast_set(int32_t device_type, int32_t enabled, int32_t dtype) {
  return guarded([&] { set_autocast(static_cast<c10::DeviceType>(device_type), {enabled != 0, static_cast<c10::ScalarType>(dtype)}); });
}

void rt_autocast_clear_cache(void) { at::autocast::clear_cache(); }

int rt_generator_new(int32_t device_type, int32_t device_index, uint64_t seed, void** generator) {
  return guarded([&] {
    if (static_cast<c10::DeviceType>(device_type) == c10::DeviceType::CPU) {
      *generator = new at::Generator(at::make_generator<at::CPUGeneratorImpl>(seed));
      return;
    }
    TORCH_CHECK(at::hasCUDA(), "this libtorch has no CUDA");
    const c10::Device device(static_cast<c10::DeviceType>(device_type), static_cast<c10::DeviceIndex>(device_index));
    auto fresh = at::globalContext().defaultGenerator(device).clone();
    fresh.set_current_seed(seed);
    *generator = new at::Generator(fresh);
  });
}

void rt_generator_free(void* generator) { delete static_cast<at::Generator*>(generator); }

int rt_generator_set_seed(void* generator, uint64_t seed) {
  return guarded([&] { static_cast<at::Generator*>(generator)->set_current_seed(seed); });
}

int rt_generator_get_state(void* generator, void** tensor) {
  return guarded([&] { *tensor = release(static_cast<at::Generator*>(generator)->get_state()); });
}

int rt_generator_set_state(void* generator, void* tensor) {
  return guarded([&] { static_cast<at::Generator*>(generator)->set_state(borrow(tensor)); });
}

void rt_threads_set(int32_t n) { at::set_num_threads(n); }
int rt_threads_get(void) { return at::get_num_threads(); }

int rt_cuda_count(void) {
  try {
    return at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().getNumGPUs()) : 0;
  } catch (...) {
    return 0;
  }
}

int rt_cuda_memory(int64_t* free_bytes, int64_t* total_bytes) {
  // The CUDA runtime is there when libtorch brought it; looking it up spares the shim the CUDA headers.
  using mem_info = int (*)(size_t*, size_t*);
  mem_info query = nullptr;
  for (const char* name : {"libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0"}) {
    if (void* runtime = dlopen(name, RTLD_NOLOAD | RTLD_LAZY)) query = reinterpret_cast<mem_info>(dlsym(runtime, "cudaMemGetInfo"));
    if (query != nullptr) break;
  }
  size_t free_now = 0, total = 0;
  if (query == nullptr || query(&free_now, &total) != 0) {
    set_error("the CUDA runtime does not answer");
    return kFailed;
  }
  *free_bytes = static_cast<int64_t>(free_now);
  *total_bytes = static_cast<int64_t>(total);
  return kOk;
}

int rt_cuda_synchronize(int32_t index) {
  return guarded([&] {
    const c10::Device device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index));
    c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
    guard.getStream(device).synchronize();
  });
}

int rt_show_config(char** text) {
  return guarded([&] { *text = copy_string(at::show_config() + "\n" + at::get_parallel_info()); });
}

}  // extern "C"
