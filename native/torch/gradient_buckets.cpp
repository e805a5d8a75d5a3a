// Sums of gradients over processes, in buckets, while backward still runs: as PyTorch's DistributedDataParallel, but between any two
// backward passes that the caller chooses. A bucket is sent when the gradients of all its parameters have arrived; buckets are sent in one
// order on all processes, from the last parameter to the first. With owners, only the owner of a parameter receives the sum of its
// gradients, and every gradient is freed when it is sent (ZeRO stage 2).
#include "distributed.h"

#ifdef RETOUCH_C10D

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>

using namespace retouch;

namespace {

// Buckets on their way with owners: more of them would hold the memory that divided gradients save.
constexpr size_t kOnTheWay = 2;

constexpr int kNobody = -1;

class Buckets {
 public:
  // Owners: a rank for each parameter; empty if all processes receive all sums.
  Buckets(c10::intrusive_ptr<CommunicationGroup> group, std::vector<at::Tensor> parameters, int64_t bytes, const std::vector<int>& owners)
      : group_(std::move(group)), parameters_(std::move(parameters)), bucket_of_(parameters_.size()), divided_(!owners.empty()) {
    struct Open {
      size_t bucket;
      int64_t filled;
    };
    std::map<int, Open> open;
    for (size_t k = parameters_.size(); k-- > 0;) {
      const auto& parameter = parameters_[k];
      const int owner = divided_ ? owners[k] : kNobody;
      const auto size = parameter.numel() * static_cast<int64_t>(parameter.element_size());
      const auto found = open.find(owner);
      const bool fits = found != open.end() && found->second.filled + size <= bytes &&
                        like(parameters_[buckets_[found->second.bucket].members[0]], parameter);
      if (!fits) {
        buckets_.emplace_back();
        buckets_.back().owner = owner;
        open[owner] = {buckets_.size() - 1, 0};
      }
      auto& current = open[owner];
      current.filled += size;
      buckets_[current.bucket].members.push_back(k);
    }
    // In the order in which the last gradient of each arrives.
    std::sort(buckets_.begin(), buckets_.end(), [](const Bucket& a, const Bucket& b) { return a.members.back() > b.members.back(); });
    for (size_t b = 0; b < buckets_.size(); ++b)
      for (const auto k : buckets_[b].members) bucket_of_[k] = b;
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
    while (next_ < buckets_.size() && buckets_[next_].missing == 0) send(next_++);
  }

  // Sends what has not been sent: buckets with parameters that this process's loss does not depend on.
  int64_t flush() {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto before = static_cast<int64_t>(next_);
    if (!armed_) throw std::logic_error("gradient buckets are flushed before they are armed");
    while (next_ < buckets_.size()) send(next_++);
    armed_ = false;
    return before;
  }

  // Waits for the sums. The last time of a step they, and those before, become the gradients of the parameters: of all, or of this
  // process's own.
  void finish(bool last) {
    const at::NoGradGuard quiet;
    const std::lock_guard<std::mutex> lock(mutex_);
    while (!on_the_way_.empty()) complete();
    if (!last) return;
    for (auto& bucket : buckets_) {
      if (!bucket.sum.defined()) continue;
      bucket.sum = bucket.sum.to(parameters_[bucket.members[0]].scalar_type());
      int64_t offset = 0;
      for (const auto k : bucket.members) {
        auto& parameter = parameters_[k];
        parameter.mutable_grad() = bucket.sum.narrow(0, offset, parameter.numel()).view(parameter.sizes());
        offset += parameter.numel();
      }
      bucket.sum.reset();
    }
  }

  int64_t count() const { return static_cast<int64_t>(buckets_.size()); }
  const std::vector<at::Tensor>& parameters() const { return parameters_; }

 private:
  struct Bucket {
    // From the last parameter to the first.
    std::vector<size_t> members;
    int owner = kNobody;
    size_t missing = 0;
    at::Tensor flat;
    at::Tensor sum;
    c10::intrusive_ptr<c10d::Work> work;
  };

  static bool like(const at::Tensor& a, const at::Tensor& b) { return a.scalar_type() == b.scalar_type() && a.device() == b.device(); }

  void send(size_t index) {
    const at::NoGradGuard quiet;
    auto& bucket = buckets_[index];
    std::vector<at::Tensor> parts;
    parts.reserve(bucket.members.size());
    for (const auto k : bucket.members) {
      const auto& parameter = parameters_[k];
      const auto& gradient = parameter.grad();
      parts.push_back(gradient.defined() ? gradient.reshape({-1}) : at::zeros({parameter.numel()}, parameter.options()));
    }
    while (divided_ && on_the_way_.size() >= kOnTheWay) complete();
    bucket.flat = at::cat(parts);
    if (divided_)
      for (const auto k : bucket.members) parameters_[k].mutable_grad().reset();
    // Older versions of Gloo have no sums in bfloat16.
    if (bucket.flat.scalar_type() == at::kBFloat16 && group_->getBackendName() == "gloo") bucket.flat = bucket.flat.to(at::kFloat);
    bucket.work = divided_ ? start_sum_at(*group_, bucket.flat, bucket.owner) : start_sum(*group_, bucket.flat);
    on_the_way_.push_back(index);
  }

  // Waits for the bucket that was sent first, and adds what it brings to the sums of the step.
  void complete() {
    auto& bucket = buckets_[on_the_way_.front()];
    on_the_way_.pop_front();
    bucket.work->wait();
    bucket.work.reset();
    if (!divided_ || bucket.owner == group_->getRank()) bucket.sum = bucket.sum.defined() ? bucket.sum.add_(bucket.flat) : bucket.flat;
    bucket.flat.reset();
  }

  c10::intrusive_ptr<CommunicationGroup> group_;
  std::vector<at::Tensor> parameters_;
  std::vector<size_t> bucket_of_;
  std::vector<Bucket> buckets_;
  std::deque<size_t> on_the_way_;
  std::vector<bool> arrived_;
  size_t next_ = 0;
  bool armed_ = false;
  bool divided_;
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

int rt_buckets_new(void* group, void* const* parameters, int32_t n, int64_t bytes, const int32_t* owners, void** buckets) {
  return guarded([&] {
    auto handle = std::make_unique<BucketsHandle>();
    const auto ranks = owners == nullptr ? std::vector<int>() : std::vector<int>(owners, owners + n);
    handle->buckets = std::make_shared<Buckets>(group_of(group), borrow_all(parameters, n), bytes, ranks);
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

int rt_buckets_finish(void* buckets, int32_t last) {
  return guarded([&] { buckets_of(buckets).finish(last != 0); });
}

}  // extern "C"

#else

extern "C" {

int rt_buckets_new(void*, void* const*, int32_t, int64_t, const int32_t*, void**) {
  return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr);
}
void rt_buckets_free(void*) {}
int64_t rt_buckets_count(void*) { return 0; }
int rt_buckets_arm(void*) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }
int rt_buckets_flush(void*, int64_t*) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }
int rt_buckets_finish(void*, int32_t) { return rt_store_new(nullptr, 0, 0, nullptr, 0, nullptr); }

}  // extern "C"

#endif
