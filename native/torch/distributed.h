// Process groups of c10d, shared by the functions of the C interface and the reduction of gradients.
#pragma once
#include <memory>
#include <string>

#include "internal.h"
#include "versions.h"

#ifdef RETOUCH_C10D
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace retouch {

// A process group behind a handle of the C interface.
struct GroupHandle {
  c10::intrusive_ptr<CommunicationGroup> group;
};

inline c10::intrusive_ptr<CommunicationGroup>& group_of(void* handle) { return static_cast<GroupHandle*>(handle)->group; }

// Starts the sum of a tensor over all processes, in place.
c10::intrusive_ptr<c10d::Work> start_sum(CommunicationGroup& group, const at::Tensor& tensor);

// Starts the sum of a tensor over all processes in the tensor of one of them; the others' contents are undefined afterwards.
c10::intrusive_ptr<c10d::Work> start_sum_at(CommunicationGroup& group, const at::Tensor& tensor, int root);

// In distributed_nccl.cpp, which is compiled if NCCL's headers are found.
c10::intrusive_ptr<CommunicationGroup> make_nccl_group(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                                       std::chrono::milliseconds timeout);

}  // namespace retouch
#endif
