// Process groups of NCCL. Compiled if libtorch has them and the headers of NCCL and of CUDA's runtime are installed.
#include <cstdlib>

#include "distributed.h"

#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace retouch {

c10::intrusive_ptr<CommunicationGroup> make_nccl_group(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                                       std::chrono::milliseconds timeout) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
}

}  // namespace retouch
