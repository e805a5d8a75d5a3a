// Autograd, managed functions in its graph, and autocast.
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <mutex>
#include <utility>

#include "internal.h"
#include "versions.h"

using namespace retouch;

namespace {

// A managed backward function and its context, which is freed once.
class Callback {
 public:
  Callback() = default;
  Callback(rt_backward_fn backward, rt_release_fn free_context, void* context)
      : backward_(backward), free_context_(free_context), context_(context) {}
  Callback(Callback&& other) noexcept { *this = std::move(other); }
  Callback& operator=(Callback&& other) noexcept {
    std::swap(backward_, other.backward_);
    std::swap(free_context_, other.free_context_);
    std::swap(context_, other.context_);
    return *this;
  }
  ~Callback() { postpone_failure(free()); }

  bool is_freed() const { return context_ == nullptr; }

  void* run(void* const* grads, int32_t ngrads, void** results, int32_t nresults) {
    return backward_(context_, grads, ngrads, results, nresults);
  }

  // Null, or a handle of an exception.
  void* free() {
    void* context = std::exchange(context_, nullptr);
    return context == nullptr ? nullptr : free_context_(context);
  }

 private:
  rt_backward_fn backward_ = nullptr;
  rt_release_fn free_context_ = nullptr;
  void* context_ = nullptr;
};

// The engine may run it on a different thread than the forward pass (as for CUDA).
struct CallbackNode : torch::autograd::Node {
  Callback callback;

  std::string name() const override { return "RetouchFunction"; }

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    TORCH_CHECK(!callback.is_freed(), "a managed backward function was run a second time, after it freed its saved values; retain the "
                                      "graph");
    std::vector<void*> in(grads.size()), out(num_outputs(), nullptr);
    for (size_t k = 0; k < grads.size(); ++k) in[k] = grads[k].defined() ? grads[k].unsafeGetTensorImpl() : nullptr;
    void* failure = callback.run(in.data(), static_cast<int32_t>(in.size()), out.data(), static_cast<int32_t>(out.size()));
    torch::autograd::variable_list result(out.size());
    for (size_t k = 0; k < out.size(); ++k) {
      result[k] = borrow(out[k]);
      rt_tensor_free(out[k]);
    }
    if (failure != nullptr) throw CallbackFailure(failure);
    return result;
  }

  // Called after backward if the graph is not retained, not only when the last result is freed.
  void release_variables() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (void* failure = callback.free()) throw CallbackFailure(failure);
  }
};

}  // namespace

extern "C" {

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
                       rt_release_fn release_context, void* context, void** results) {
  // The context is freed once in all cases: by the node, or here if there is no node.
  Callback owned(backward, release_context, context);
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

int rt_autocast_enter(int32_t device_type, int32_t enabled, int32_t dtype, rt_autocast_mode* outer) {
  return guarded([&] {
    const auto type = static_cast<c10::DeviceType>(device_type);
    const auto before = get_autocast(type);
    set_autocast(type, {enabled != 0, static_cast<c10::ScalarType>(dtype)});
    at::autocast::increment_nesting();
    *outer = {device_type, before.enabled ? 1 : 0, static_cast<int32_t>(before.dtype)};
  });
}

int rt_autocast_leave(const rt_autocast_mode* outer) {
  return guarded([&] {
    set_autocast(static_cast<c10::DeviceType>(outer->device_type), {outer->enabled != 0, static_cast<c10::ScalarType>(outer->dtype)});
    // Cached low-precision weights are valid until the outermost scope ends.
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  });
}

void rt_autocast_clear_cache(void) { at::autocast::clear_cache(); }

}  // extern "C"
