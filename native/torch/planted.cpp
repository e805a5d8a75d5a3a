// Failures on purpose. What libtorch throws when a GPU has no memory left, or what a result of an unknown kind does, cannot be brought
// about on every machine; the tests of the wall between native and managed code ask for it here.
#include <torch/library.h>

#include <new>

#include "internal.h"

namespace {

std::tuple<at::Tensor, std::string> planted_failure(std::string kind) {
  if (kind == "OutOfMemoryError") throw c10::OutOfMemoryError({__func__, __FILE__, __LINE__}, "no room");
  if (kind == "bad_alloc") throw std::bad_alloc();
  if (kind == "number") throw 42;
  // A result that no caller of this library understands, behind one that has to be freed.
  return {at::zeros({1024, 1024}), "text"};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(retouch, m) { m.def("planted_failure(str kind) -> (Tensor, str)", planted_failure); }
