// What the translation units of the shim share: borrowed and owned tensors, and the wall that no exception passes.
#pragma once
#include <ATen/ATen.h>

#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "retouch_torch.h"

namespace retouch {

void set_error(std::string message);

// An exception of managed code on its way through libtorch, held by a handle of the managed side. The engine of autograd carries it from
// its threads to the caller's.
class CallbackFailure : public std::runtime_error {
 public:
  explicit CallbackFailure(void* handle);
  std::shared_ptr<void> handle;
};

// Of this thread: the failure behind the last error, null where it was none of managed code's.
void set_failure(std::shared_ptr<void> handle);

// What a release function of managed code threw where nothing could be thrown on, in a destructor: the next call of this thread fails
// with it.
void postpone_failure(void* handle) noexcept;
void throw_postponed();

using TensorPtr = c10::intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl>;

// Borrowed: the caller keeps its reference.
inline at::Tensor borrow(void* handle) {
  if (handle == nullptr) return at::Tensor();
  return at::Tensor(TensorPtr::reclaim_copy(static_cast<at::TensorImpl*>(handle)));
}

inline std::vector<at::Tensor> borrow_all(void* const* handles, int32_t n) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(static_cast<size_t>(n));
  for (int32_t k = 0; k < n; ++k) tensors.push_back(borrow(handles[k]));
  return tensors;
}

// Owned: the receiver frees it. An undefined tensor crosses as null.
inline void* release(at::Tensor tensor) {
  return tensor.defined() ? tensor.unsafeReleaseTensorImpl() : nullptr;
}

template <typename Body>
int guarded(Body&& body) noexcept {
  set_failure(nullptr);
  try {
    throw_postponed();
    body();
    return RT_OK;
  } catch (const CallbackFailure& e) {
    set_error(e.what());
    set_failure(e.handle);
    return RT_CALLBACK_FAILED;
  } catch (const c10::OutOfMemoryError& e) {
    set_error(e.what_without_backtrace());
    return RT_OUT_OF_MEMORY;
  } catch (const std::bad_alloc& e) {
    set_error(e.what());
    return RT_OUT_OF_MEMORY;
  } catch (const c10::Error& e) {
    set_error(e.what_without_backtrace());
  } catch (const std::exception& e) {
    set_error(e.what());
  } catch (...) {
    set_error("an exception of unknown type left libtorch");
  }
  return RT_FAILED;
}

char* copy_string(const std::string& text);

}  // namespace retouch
