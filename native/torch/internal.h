// Shared by the shim's translation units: borrowed and owned tensors, and the exception barrier of the C ABI.
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

// A managed exception that propagates through libtorch, held by a managed handle. The autograd engine transfers it from its threads to
// the caller's.
class CallbackFailure : public std::runtime_error {
 public:
  explicit CallbackFailure(void* handle);
  std::shared_ptr<void> handle;
};

// Sets this thread's failure behind the last error; null if it was not a managed exception.
void set_failure(std::shared_ptr<void> handle);

// Stores a failure of a managed release function called in a destructor, which cannot throw: the next call of this thread fails with
// it.
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

// Owned: the receiver must free it. An undefined tensor is passed as null.
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
    set_error("libtorch threw an exception of unknown type");
  }
  return RT_FAILED;
}

char* copy_string(const std::string& text);

}  // namespace retouch
