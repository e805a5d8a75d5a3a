// The boxed entry point: calls any dispatcher operator by handle with a flat array of tagged values.
#include <ATen/ThreadLocalState.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <future>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "internal.h"
#include "versions.h"

namespace retouch {
namespace {

thread_local std::string last_error;

// Plain pointers: a thread's destructors must not call managed code, which may have shut down.
thread_local std::shared_ptr<void>* last_failure = nullptr;
thread_local void* postponed_failure = nullptr;
void (*free_failure)(void*) = nullptr;

// Boxed calls nest (autograd calls managed code, which calls operators), so the cached stack is taken rather than shared.
thread_local torch::jit::Stack cached_stack;

class StackLease {
 public:
  StackLease() { stack.swap(cached_stack); stack.clear(); }
  ~StackLease() { stack.clear(); stack.swap(cached_stack); }
  torch::jit::Stack stack;
};

template <typename T>
c10::List<T> to_list(const void* data, int32_t n) {
  c10::List<T> list;
  list.reserve(n);
  for (int32_t k = 0; k < n; ++k) list.push_back(static_cast<const T*>(data)[k]);
  return list;
}

c10::IValue to_ivalue(const rt_value& v) {
  switch (v.tag) {
    case RT_NONE: return c10::IValue();
    case RT_TENSOR: return c10::IValue(borrow(const_cast<void*>(v.p)));
    case RT_INT: return c10::IValue(v.i);
    case RT_DOUBLE: return c10::IValue(v.d);
    case RT_BOOL: return c10::IValue(v.i != 0);
    case RT_INT_LIST: return c10::IValue(to_list<int64_t>(v.p, v.length));
    case RT_DOUBLE_LIST: return c10::IValue(to_list<double>(v.p, v.length));
    case RT_BOOL_LIST: {
      c10::List<bool> list;
      for (int32_t k = 0; k < v.length; ++k) list.push_back(static_cast<const int64_t*>(v.p)[k] != 0);
      return c10::IValue(std::move(list));
    }
    case RT_TENSOR_LIST: {
      c10::List<at::Tensor> list;
      list.reserve(v.length);
      for (int32_t k = 0; k < v.length; ++k) list.push_back(borrow(static_cast<void* const*>(v.p)[k]));
      return c10::IValue(std::move(list));
    }
    case RT_OPTIONAL_TENSOR_LIST: {
      c10::List<Optional<at::Tensor>> list;
      list.reserve(v.length);
      for (int32_t k = 0; k < v.length; ++k) {
        void* handle = static_cast<void* const*>(v.p)[k];
        list.push_back(handle == nullptr ? Optional<at::Tensor>() : Optional<at::Tensor>(borrow(handle)));
      }
      return c10::IValue(std::move(list));
    }
    case RT_STRING: return c10::IValue(std::string(static_cast<const char*>(v.p), static_cast<size_t>(v.length)));
    case RT_GENERATOR: return c10::IValue(*static_cast<const at::Generator*>(v.p));
    case RT_DEVICE:
      return c10::IValue(c10::Device(static_cast<c10::DeviceType>(v.i >> 32), static_cast<c10::DeviceIndex>(static_cast<int32_t>(v.i))));
    default: TORCH_CHECK(false, "argument tag ", v.tag, " is not known to this shim");
  }
}

void push_arguments(const c10::OperatorHandle& op, const rt_value* args, int32_t nargs, torch::jit::Stack& stack) {
  const auto& declared = op.schema().arguments();
  TORCH_CHECK(nargs <= static_cast<int32_t>(declared.size()), op.schema().name(), " takes ", declared.size(),
              " arguments in this libtorch, the caller passes ", nargs);
  for (size_t k = 0; k < declared.size(); ++k) {
    if (static_cast<int32_t>(k) < nargs && args[k].tag != RT_DEFAULT) {
      stack.push_back(to_ivalue(args[k]));
      continue;
    }
    const auto& value = declared[k].default_value();
    TORCH_CHECK(value.has_value(), op.schema().name(), ": argument '", declared[k].name(), "' has no default in this libtorch");
    stack.push_back(*value);
  }
}

// Frees a result when the call as a whole fails.
void discard(rt_value& v) noexcept {
  if (v.tag == RT_TENSOR) rt_tensor_free(const_cast<void*>(v.p));
  if (v.tag == RT_TENSOR_LIST) {
    rt_tensors_free(static_cast<void* const*>(v.p), v.length);
    rt_list_free(const_cast<void*>(v.p));
  }
  v = rt_value{RT_NONE, 0, {0}};
}

void* allocate(size_t bytes) {
  void* data = std::malloc(bytes);
  if (data == nullptr) throw std::bad_alloc();
  return data;
}

void to_value(c10::IValue&& source, rt_value& v) {
  v = rt_value{RT_NONE, 0, {0}};
  if (source.isTensor()) {
    v.p = release(std::move(source).toTensor());
    v.tag = RT_TENSOR;
  } else if (source.isTensorList()) {
    auto tensors = std::move(source).toTensorVector();
    auto** out = static_cast<void**>(allocate(sizeof(void*) * (tensors.size() + 1)));
    for (size_t k = 0; k < tensors.size(); ++k) out[k] = release(std::move(tensors[k]));
    v.tag = RT_TENSOR_LIST;
    v.length = static_cast<int32_t>(tensors.size());
    v.p = out;
  } else if (source.isInt()) {
    v.tag = RT_INT;
    v.i = source.toInt();
  } else if (source.isDouble()) {
    v.tag = RT_DOUBLE;
    v.d = source.toDouble();
  } else if (source.isBool()) {
    v.tag = RT_BOOL;
    v.i = source.toBool() ? 1 : 0;
  } else {
    TORCH_CHECK(source.isNone(), "a result of kind ", source.tagKind(), " is not known to this shim");
  }
}

// Empties oneDNN's cache of primitives, where libtorch exports oneDNN's functions. Primitives in use live on.
void forget_primitives() noexcept {
  const auto read = reinterpret_cast<int (*)(int*)>(dlsym(RTLD_DEFAULT, "dnnl_get_primitive_cache_capacity"));
  const auto write = reinterpret_cast<int (*)(int)>(dlsym(RTLD_DEFAULT, "dnnl_set_primitive_cache_capacity"));
  int capacity = 0;
  if (read != nullptr && write != nullptr && read(&capacity) == 0 && write(0) == 0) write(capacity);
}

// Repeats a call in a new thread, whose stack has no remains of earlier calls, with this thread's modes.
void repeat(const c10::OperatorHandle& op, const rt_value* args, int32_t nargs, torch::jit::Stack& stack) {
  stack.clear();
  push_arguments(op, args, nargs, stack);
  std::exception_ptr failure;
  const at::ThreadLocalState state;
  std::thread([&] {
    try {
      const at::ThreadLocalStateGuard guard(state);
      op.callBoxed(stack);
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

// The creation of a oneDNN primitive for a bfloat16 product has been seen to ask for an array of 2^46 bytes, or of impossible length, with
// plenty of memory free. That exception leaves a broken promise in oneDNN's cache, with which every later call of the same shapes fails.
// Calls with these exceptions are repeated once, without the cache; an operator that writes to its arguments may have begun, and fails.
void call(const c10::OperatorHandle& op, const rt_value* args, int32_t nargs, torch::jit::Stack& stack) {
  push_arguments(op, args, nargs, stack);
  std::exception_ptr failure;
  try {
    op.callBoxed(stack);
    return;
  } catch (const std::future_error&) {
    failure = std::current_exception();
  } catch (const std::bad_alloc&) {
    failure = std::current_exception();
  }

  forget_primitives();
  if (op.schema().is_mutable()) std::rethrow_exception(failure);
  try {
    repeat(op, args, nargs, stack);
  } catch (const std::system_error&) {
    // No room for a thread.
    std::rethrow_exception(failure);
  }
}

}  // namespace

void set_error(std::string message) { last_error = std::move(message); }

CallbackFailure::CallbackFailure(void* failure)
    : std::runtime_error("a function of managed code failed"), handle(failure, [](void* h) { free_failure(h); }) {}

void set_failure(std::shared_ptr<void> handle) {
  if (last_failure == nullptr) {
    if (handle == nullptr) return;
    last_failure = new std::shared_ptr<void>();
  }
  *last_failure = std::move(handle);
}

void postpone_failure(void* handle) noexcept {
  if (handle == nullptr) return;
  if (postponed_failure == nullptr)
    postponed_failure = handle;
  else
    free_failure(handle);
}

void throw_postponed() {
  if (postponed_failure != nullptr) throw CallbackFailure(std::exchange(postponed_failure, nullptr));
}

char* copy_string(const std::string& text) {
  auto* copy = static_cast<char*>(allocate(text.size() + 1));
  std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

}  // namespace retouch

using namespace retouch;

extern "C" {

const char* rt_last_error(void) { return last_error.c_str(); }
void* rt_last_failure(void) { return last_failure == nullptr ? nullptr : last_failure->get(); }
void rt_failure_free_set(void (*function)(void*)) { free_failure = function; }

int rt_operator_find(const char* name, const char* overload, void** op) {
  return guarded([&] {
    auto found = c10::Dispatcher::singleton().findSchema({name, overload});
    TORCH_CHECK(found.has_value(), "operator ", name, overload[0] ? "." : "", overload, " does not exist");
    *op = new c10::OperatorHandle(*found);
  });
}

int rt_operator_schema(void* op, char** text) {
  return guarded([&] {
    std::ostringstream out;
    out << static_cast<c10::OperatorHandle*>(op)->schema();
    *text = copy_string(out.str());
  });
}

int rt_call(void* op, const rt_value* args, int32_t nargs, rt_value* results, int32_t nresults) {
  return guarded([&] {
    const auto& handle = *static_cast<c10::OperatorHandle*>(op);
    StackLease lease;
    call(handle, args, nargs, lease.stack);
    TORCH_CHECK(static_cast<int32_t>(lease.stack.size()) == nresults, handle.schema().name(), " returned ", lease.stack.size(),
                " values, the caller expects ", nresults);
    int32_t done = 0;
    try {
      for (; done < nresults; ++done) to_value(std::move(lease.stack[static_cast<size_t>(done)]), results[done]);
    } catch (...) {
      while (done-- > 0) discard(results[done]);
      throw;
    }
  });
}

int rt_call_repeat(void* op, const rt_value* args, int32_t nargs, int64_t times, int64_t hold) {
  return guarded([&] {
    const auto& handle = *static_cast<c10::OperatorHandle*>(op);
    std::vector<at::Tensor> held;
    held.reserve(static_cast<size_t>(hold));
    for (int64_t k = 0; k < times; ++k) {
      StackLease lease;
      call(handle, args, nargs, lease.stack);
      held.push_back(std::move(lease.stack.back()).toTensor());
      if (static_cast<int64_t>(held.size()) >= hold) held.clear();
    }
  });
}

void rt_list_free(void* list) { std::free(list); }
void rt_string_free(char* text) { std::free(text); }

}  // extern "C"
