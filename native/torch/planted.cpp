// Deliberate failures. libtorch's exceptions for exhausted GPU memory, results of unknown type, and failures of oneDNN's cache cannot be
// provoked on every machine; the tests of the exception barrier between native and managed code request them here.
#include <torch/library.h>

#include <atomic>
#include <future>
#include <new>

#include "internal.h"

namespace {

std::tuple<at::Tensor, std::string> planted_failure(std::string kind) {
  if (kind == "OutOfMemoryError") throw c10::OutOfMemoryError({__func__, __FILE__, __LINE__}, "no room");
  if (kind == "bad_alloc") throw std::bad_alloc();
  if (kind == "number") throw 42;
  // Every second call fails.
  static std::atomic<int> promises{0}, arrays{0};
  if (kind == "future_error" && promises++ % 2 == 0) throw std::future_error(std::future_errc::broken_promise);
  if (kind == "bad_array_new_length" && arrays++ % 2 == 0) throw std::bad_array_new_length();
  // A result type unknown to this library, after one that must be freed.
  return {at::zeros({1024, 1024}), "text"};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(retouch, m) { m.def("planted_failure(str kind) -> (Tensor, str)", planted_failure); }
