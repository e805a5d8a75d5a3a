// Sums of gradients over processes, in buckets, while backward still runs: as PyTorch's DistributedDataParallel, but between any two
// backward passes that the caller chooses. A bucket is sent when the gradients of all its parameters have arrived; buckets are sent in one
// order on all processes, from the last parameter to the first.
#include "distributed.h"

#ifdef RETOUCH_C10D

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <mutex>

using namespace retouch;

namespace {

class Buckets {
 public:
  Buckets(c10::intrusive_ptr<CommunicationGroup> group, std::vector<at::Tensor> parameters, int64_t bytes)
      : group_(std::move(group)), parameters_(std::move(parameters)), bucket_of_(parameters_.size()) {
    int64_t filled = bytes;
    for (size_t k = parameters_.size(); k-- > 0;) {
      const auto& parameter = parameters_[k];
      const auto size = parameter.numel() * static_cast<int64_t>(parameter.element_size());
      const bool fits = !buckets_.empty() && filled + size <= bytes && like(parameters_[buckets_.back().members[0]], parameter);
      if (!fits) {
        buckets_.emplace_back();
        filled = 0;
      }
      filled += size;
      bucket_of_[k] = buckets_.size() - 1;
      buckets_.back().members.push_back(k);
    }
  }

  // The next backward passes contribute to the sums: each parameter's gradient is complete when it arrives the first time.
  void arm() {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto& bucket : buckets_) bucket.missing = bucket.members.size();
    arrived_.assign(parameters_.size(), false);
    next_ = 0;
    armed_ = true;
  }

  void arrive(size_t parameter) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!armed_ || arrived_[parameter]) return;
    arrived_[parameter] = true;
    --buckets_[bucket_of_[parameter]].missing;
    while (next_ < buckets_.size() && buckets_[next_].missing == 0) send(buckets_[next_++]);
  }

  // Sends what has not been sent: buckets with parameters that this process's loss does not depend on.
  int64_t flush() {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto before = static_cast<int64_t>(next_);
    if (!armed_) throw std::logic_error("gradient buckets are flushed before they are armed");
    while (next_ < buckets_.size()) send(buckets_[next_++]);
    armed_ = false;
    return before;
  }

  // Waits for the sums, which become the parameters' gradients.
  void finish() {
    const at::NoGradGuard quiet;
    for (auto& bucket : buckets_) {
      bucket.work->wait();
      bucket.work.reset();
      bucket.flat = bucket.flat.to(parameters_[bucket.members[0]].scalar_type());
      int64_t offset = 0;
      for (const auto k : bucket.members) {
        auto& parameter = parameters_[k];
        parameter.mutable_grad() = bucket.flat.narrow(0, offset, parameter.numel()).view(parameter.sizes());
        offset += parameter.numel();
      }
      bucket.flat.reset();
    }
  }

  int64_t count() const { return static_cast<int64_t>(buckets_.size()); }
  const std::vector<at::Tensor>& parameters() const { return parameters_; }

 private:
  struct Bucket {
    std::vector<size_t> members;
    size_t missing = 0;
    at::Tensor flat;
    c10::intrusive_ptr<c10d::Work> work;
  };

  static bool like(const at::Tensor& a, const at::Tensor& b) { return a.scalar_type() == b.scalar_type() && a.device() == b.device(); }

  void send(Bucket& bucket) {
    const at::NoGradGuard quiet;
    std::vector<at::Tensor> parts;
    parts.reserve(bucket.members.size());
    for (const auto k : bucket.members) {
      const auto& parameter = parameters_[k];
      const auto& gradient = parameter.grad();
      parts.push_back(gradient.defined() ? gradient.reshape({-1}) : at::zeros({parameter.numel()}, parameter.options()));
    }
    bucket.flat = at::cat(parts);
    // Older versions of Gloo have no sums in bfloat16.
    if (bucket.flat.scalar_type() == at::kBFloat16 && group_->getBackendName() == "gloo") bucket.flat = bucket.flat.to(at::kFloat);
    bucket.work = start_sum(*group_, bucket.flat);
  }

  c10::intrusive_ptr<CommunicationGroup> group_;
  std::vector<at::Tensor> parameters_;
  std::vector<size_t> bucket_of_;
  std::vector<Bucket> buckets_;
  std::vector<bool> arrived_;
  size_t next_ = 0;
  bool armed_ = false;
  std::mutex mutex_;
};

// Runs on autograd's thread after a leaf's gradient has been accumulated. It outlives the buckets if the leaf does.
struct ArrivalHook final : torch::autograd::FunctionPostHook {
  ArrivalHook(std::weak_ptr<Buckets> buckets, size_t parameter) : buckets_(std::move(buckets)), parameter_(parameter) {}

  torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs, const torch::autograd::variable_list&) override {
    if (const auto buckets = buckets_.lock()) buckets->arrive(parameter_);
    return outputs;
  }

 private:
  std::weak_ptr<Buckets> buckets_;
  size_t parameter_;
};

struct BucketsHandle {
  std::shared_ptr<Buckets> buckets;
  // A leaf refers to its accumulator weakly.
  std::vector<decltype(torch::autograd::impl::grad_accumulator(std::declval<at::Tensor&>()))> accumulators;
  std::vector<uintptr_t> hooks;
};

Buckets& buckets_of(void* handle) { return *static_cast<BucketsHandle*>(handle)->buckets; }

}  // namespace

extern "C" {

int rt_buckets_new(void* group, void* const* parameters, int32_t n, int64_t bytes, void** buckets) {
  return guarded([&] {
    auto handle = std::make_unique<BucketsHandle>();
    handle->buckets = std::make_shared<Buckets>(group_of(group), borrow_all(parameters, n), bytes);
    for (int32_t k = 0; k < n; ++k) {
      auto accumulator = torch::autograd::impl::grad_accumulator(handle->buckets->parameters()[static_cast<size_t>(k)]);
      TORCH_CHECK(accumulator != nullptr, "parameter ", k, " of the gradient buckets requires no gradient");
      handle->hooks.push_back(accumulator->add_post_hook(std::make_unique<ArrivalHook>(handle->buckets, static_cast<size_t>(k))));
      handle->accumulators.push_back(std::move(accumulator));
    }
    *buckets = handle.release();
  });
}

void rt_buckets_free(void* buckets) {
  const std::unique_ptr<BucketsHandle> handle(static_cast<BucketsHandle*>(buckets));
  for (size_t k = 0; k < handle->hooks.size(); ++k) handle->accumulators[k]->del_post_hook(handle->hooks[k]);
}

int64_t rt_buckets_count(void* buckets) { return buckets_of(buckets).count(); }

int rt_buckets_arm(void* buckets) {
  return guarded([&] { buckets_of(buckets).arm(); });
}

int rt_buckets_flush(void* buckets, int64_t* sent) {
  return guarded([&] { *sent = buckets_of(buckets).flush(); });
}

int rt_buckets_finish(void* buckets) {
  return guarded([&] { buckets_of(buckets).finish(); });
}

}  // extern "C"

#else

extern "C" {

int rt_buckets_new(void*, void* const*, int32_t, int64_t, void**) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }
void rt_buckets_free(void*) {}
int64_t rt_buckets_count(void*) { return 0; }
int rt_buckets_arm(void*) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }
int rt_buckets_flush(void*, int64_t*) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }
int rt_buckets_finish(void*) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }

}  // extern "C"

#endif
