// Deliberate failures. libtorch's exceptions for exhausted GPU memory, and results of unknown type, cannot be provoked on every
// machine; the tests of the exception barrier between native and managed code request them here.
#include <torch/library.h>

#include <new>

#include "internal.h"

namespace {

std::tuple<at::Tensor, std::string> planted_failure(std::string kind) {
  if (kind == "OutOfMemoryError") throw c10::OutOfMemoryError({__func__, __FILE__, __LINE__}, "no room");
  if (kind == "bad_alloc") throw std::bad_alloc();
  if (kind == "number") throw 42;
  // A result type unknown to this library, after one that must be freed.
  return {at::zeros({1024, 1024}), "text"};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(retouch, m) { m.def("planted_failure(str kind) -> (Tensor, str)", planted_failure); }
