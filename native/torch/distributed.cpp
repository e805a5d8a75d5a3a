// Processes that train together: c10d's TCP store, through which they find each other, and its process groups. A libtorch without c10d, or
// without a backend, is an error of the call that needs it.
#include "distributed.h"

#include <chrono>
#include <cstdlib>
#include <cstring>

#ifdef RETOUCH_C10D
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

using namespace retouch;

namespace {

std::string reason_without(const std::string& backend) {
#ifdef RETOUCH_C10D
  if (backend == "gloo") return "";
  if (backend != "nccl") return "there is no backend '" + backend + "'; use gloo or nccl";
#ifdef RETOUCH_NCCL
  return "";
#else
  return "the native library was compiled without NCCL: it needs a libtorch built for CUDA with NCCL, and the headers nccl.h and "
         "cuda_runtime_api.h (Debian: libnccl-dev and nvidia-cuda-dev; Python's torch has them in its nvidia packages)";
#endif
#else
  (void)backend;
  return "this libtorch was built without torch.distributed and Gloo; install Debian's libtorch-dev, or set RETOUCH_LIBTORCH to Python's "
         "torch, which have both";
#endif
}

void require(const char* backend) {
  const auto reason = reason_without(backend);
  if (!reason.empty()) throw std::runtime_error(reason);
}

}  // namespace

#ifdef RETOUCH_C10D

namespace retouch {

c10::intrusive_ptr<c10d::Work> start_sum(CommunicationGroup& group, const at::Tensor& tensor) {
  std::vector<at::Tensor> tensors{tensor};
  c10d::AllreduceOptions options;
  options.reduceOp = c10d::ReduceOp::SUM;
  return group.allreduce(tensors, options);
}

c10::intrusive_ptr<c10d::Work> start_sum_at(CommunicationGroup& group, const at::Tensor& tensor, int root) {
  std::vector<at::Tensor> tensors{tensor};
  c10d::ReduceOptions options;
  options.reduceOp = c10d::ReduceOp::SUM;
  options.rootRank = root;
  return group.reduce(tensors, options);
}

}  // namespace retouch

namespace {

using Milliseconds = std::chrono::milliseconds;

struct StoreHandle {
  c10::intrusive_ptr<c10d::Store> store;
  // The same store without a prefix.
  c10::intrusive_ptr<c10d::TCPStore> base;
};

c10d::Store& store_of(void* handle) { return *static_cast<StoreHandle*>(handle)->store; }

std::vector<uint8_t> bytes_of(const void* data, int64_t n) {
  const auto* first = static_cast<const uint8_t*>(data);
  return {first, first + n};
}

c10::intrusive_ptr<CommunicationGroup> make_gloo_group(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                                       Milliseconds timeout, const std::string& address) {
  using Gloo = c10d::ProcessGroupGloo;
  auto options = Gloo::Options::create(timeout);
  // As in PyTorch: the interfaces that the user names, else the address, else that of the machine's name.
  const char* interfaces = std::getenv("GLOO_SOCKET_IFNAME");
  if (interfaces != nullptr && *interfaces != 0) {
    std::string names = interfaces;
    for (size_t at = 0; at != std::string::npos;) {
      const auto comma = names.find(',', at);
      options->devices.push_back(Gloo::createDeviceForInterface(names.substr(at, comma == std::string::npos ? comma : comma - at)));
      at = comma == std::string::npos ? comma : comma + 1;
    }
  } else if (!address.empty()) {
    options->devices.push_back(Gloo::createDeviceForHostname(address));
  } else {
    options->devices.push_back(Gloo::createDefaultDevice());
  }
  options->threads = static_cast<int>(options->devices.size()) * 2;
  return c10::make_intrusive<Gloo>(store, rank, size, options);
}

}  // namespace

#endif

extern "C" {

int rt_distributed_reason(const char* backend, char** text) {
  return guarded([&] { *text = copy_string(reason_without(backend)); });
}

#ifdef RETOUCH_C10D

int rt_store_new(const char* host, int32_t port, int32_t serves, const char* prefix, int64_t timeout_ms, void** store) {
  return guarded([&] {
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(port);
    options.isServer = serves != 0;
    options.waitWorkers = false;
    options.timeout = Milliseconds(timeout_ms);
    retouch::serve_without_libuv(options, 0);
    auto handle = std::make_unique<StoreHandle>();
    handle->base = c10::make_intrusive<c10d::TCPStore>(host, options);
    handle->store = handle->base;
    if (*prefix != 0) handle->store = c10::make_intrusive<c10d::PrefixStore>(prefix, handle->base);
    *store = handle.release();
  });
}

int rt_store_port(void* store) { return static_cast<StoreHandle*>(store)->base->getPort(); }

void rt_store_free(void* store) { delete static_cast<StoreHandle*>(store); }

int rt_store_set(void* store, const char* key, const void* data, int64_t n) {
  return guarded([&] { store_of(store).set(key, bytes_of(data, n)); });
}

int rt_store_get(void* store, const char* key, int64_t timeout_ms, void** data, int64_t* n) {
  return guarded([&] {
    store_of(store).wait({key}, Milliseconds(timeout_ms));
    const auto value = store_of(store).get(key);
    auto* copy = std::malloc(value.size() + 1);
    if (copy == nullptr) throw std::bad_alloc();
    std::memcpy(copy, value.data(), value.size());
    *data = copy;
    *n = static_cast<int64_t>(value.size());
  });
}

int rt_store_has(void* store, const char* key, int32_t* found) {
  return guarded([&] { *found = store_of(store).check({key}) ? 1 : 0; });
}

int rt_store_add(void* store, const char* key, int64_t amount, int64_t* sum) {
  return guarded([&] { *sum = store_of(store).add(key, amount); });
}

int rt_group_new(void* store, const char* backend, const char* name, int32_t rank, int32_t size, int64_t timeout_ms, const char* address,
                 void** group) {
  return guarded([&] {
    require(backend);
    const auto part = c10::make_intrusive<c10d::PrefixStore>(name, static_cast<StoreHandle*>(store)->store);
    auto handle = std::make_unique<GroupHandle>();
    if (std::strcmp(backend, "gloo") == 0) handle->group = make_gloo_group(part, rank, size, Milliseconds(timeout_ms), address);
#ifdef RETOUCH_NCCL
    if (std::strcmp(backend, "nccl") == 0) handle->group = make_nccl_group(part, rank, size, Milliseconds(timeout_ms));
#endif
    *group = handle.release();
  });
}

void rt_group_free(void* group) { delete static_cast<GroupHandle*>(group); }

int rt_group_all_reduce(void* group, void* tensor, int32_t maximum) {
  return guarded([&] {
    std::vector<at::Tensor> tensors{borrow(tensor)};
    c10d::AllreduceOptions options;
    options.reduceOp = maximum != 0 ? c10d::ReduceOp::MAX : c10d::ReduceOp::SUM;
    group_of(group)->allreduce(tensors, options)->wait();
  });
}

int rt_group_broadcast(void* group, void* tensor, int32_t root) {
  return guarded([&] {
    std::vector<at::Tensor> tensors{borrow(tensor)};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    group_of(group)->broadcast(tensors, options)->wait();
  });
}

int rt_group_all_gather(void* group, void* tensor, void* const* outputs, int32_t n) {
  return guarded([&] {
    std::vector<at::Tensor> inputs{borrow(tensor)};
    std::vector<std::vector<at::Tensor>> gathered{borrow_all(outputs, n)};
    group_of(group)->allgather(gathered, inputs, c10d::AllgatherOptions())->wait();
  });
}

int rt_group_barrier(void* group) {
  return guarded([&] { group_of(group)->barrier(c10d::BarrierOptions())->wait(); });
}

#else

int rt_store_new(const char*, int32_t, int32_t, const char*, int64_t, void**) {
  return guarded([] { require("gloo"); });
}
int rt_store_port(void*) { return 0; }
void rt_store_free(void*) {}
int rt_store_set(void*, const char*, const void*, int64_t) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }
int rt_store_get(void*, const char*, int64_t, void**, int64_t*) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }
int rt_store_has(void*, const char*, int32_t*) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }
int rt_store_add(void*, const char*, int64_t, int64_t*) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }
int rt_group_new(void*, const char*, const char*, int32_t, int32_t, int64_t, const char*, void**) {
  return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr);
}
void rt_group_free(void*) {}
int rt_group_all_reduce(void*, void*, int32_t) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }
int rt_group_broadcast(void*, void*, int32_t) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }
int rt_group_all_gather(void*, void*, void* const*, int32_t) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }
int rt_group_barrier(void*) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }

#endif

}  // extern "C"
