// What the translation units of the shim share: borrowed and owned tensors, and the wall that no exception passes.
#pragma once
#include <ATen/ATen.h>

#include <exception>
#include <string>

#include "retouch_torch.h"

namespace retouch {

enum Status : int { kOk = 0, kFailed = 1 };

void set_error(std::string message);

using TensorPtr = c10::intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl>;

// Borrowed: the caller keeps its reference.
inline at::Tensor borrow(void* handle) {
  if (handle == nullptr) return at::Tensor();
  return at::Tensor(TensorPtr::reclaim_copy(static_cast<at::TensorImpl*>(handle)));
}

// Owned: the receiver frees it. An undefined tensor crosses as null.
inline void* release(at::Tensor tensor) {
  return tensor.defined() ? tensor.unsafeReleaseTensorImpl() : nullptr;
}

template <typename Body>
int guarded(Body&& body) noexcept {
  try {
    body();
    return kOk;
  } catch (const c10::Error& e) {
    set_error(e.what_without_backtrace());
  } catch (const std::exception& e) {
    set_error(e.what());
  } catch (...) {
    set_error("an exception of unknown type left libtorch");
  }
  return kFailed;
}

char* copy_string(const std::string& text);

}  // namespace retouch
