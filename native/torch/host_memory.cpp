// Allocator of large CPU tensors. glibc maps every block above 32 MiB separately and unmaps it on free, so that a feature map of 33 MiB
// costs 8,192 page faults per operator output: as measured, this doubles the time of a decoder's convolutions and quintuples that of
// its normalisations. Here, freed blocks are kept for reuse by size, under one limit: live and idle blocks together do not exceed the
// peak of live blocks (plus a little slack).
#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <torch/library.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <map>
#include <mutex>
#include <unordered_map>

#include "internal.h"
#include "versions.h"

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace {

constexpr size_t kSmallest = size_t{1} << 20;
constexpr size_t kGranule = size_t{1} << 16;
constexpr size_t kHugePage = size_t{1} << 21;
constexpr size_t kSlack = size_t{64} << 20;

// Larger blocks are aligned to huge pages, if available: a fault then maps 2 MiB instead of 4 KiB.
constexpr size_t kHugeFrom = 2 * kHugePage;

class LargeBlocks {
 public:
  void* take(size_t bytes) {
    const size_t size = (bytes + kGranule - 1) / kGranule * kGranule;
    const std::lock_guard<std::mutex> lock(mutex_);
    auto found = idle_.lower_bound(size);
    if (found != idle_.end() && found->first <= size + size / 8) {
      const Idle block = found->second;
      const size_t block_size = found->first;
      idle_.erase(found);
      idle_bytes_ -= block_size;
      return hand_out(block.data, block_size);
    }
    const size_t bound = std::max(peak_, live_ + size) + kSlack;
    while (!idle_.empty() && live_ + size + idle_bytes_ > bound) release_oldest();
    void* data = map(size);
    while (data == nullptr && !idle_.empty()) {
      release_oldest();
      data = map(size);
    }
    TORCH_CHECK(data != nullptr, "out of memory: no room for a tensor of ", bytes, " bytes beside ", live_, " bytes of large tensors");
    return hand_out(data, size);
  }

  // False for a block of another allocator.
  bool give_back(void* data) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = sizes_.find(data);
    if (found == sizes_.end()) return false;
    const size_t size = found->second;
    sizes_.erase(found);
    live_ -= size;
    idle_bytes_ += size;
    idle_.emplace(size, Idle{data, ++clock_});
    while (idle_bytes_ > idle_limit_) release_oldest();
    return true;
  }

  // Frees the idle blocks and resets the peak to the live blocks.
  void release() {
    const std::lock_guard<std::mutex> lock(mutex_);
    while (!idle_.empty()) release_oldest();
    peak_ = live_;
  }

  at::Tensor figures(bool reset_peak) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto figures = at::tensor(
        {static_cast<int64_t>(live_), static_cast<int64_t>(high_), static_cast<int64_t>(idle_bytes_)}, at::kLong);
    if (reset_peak) high_ = live_;
    return figures;
  }

 private:
  struct Idle {
    void* data;
    uint64_t since;
  };

  void* hand_out(void* data, size_t size) {
    sizes_.emplace(data, size);
    live_ += size;
    peak_ = std::max(peak_, live_);
    high_ = std::max(high_, live_);
    return data;
  }

  void release_oldest() {
    const auto oldest =
        std::min_element(idle_.begin(), idle_.end(), [](const auto& a, const auto& b) { return a.second.since < b.second.since; });
    munmap(oldest->second.data, oldest->first);
    idle_bytes_ -= oldest->first;
    idle_.erase(oldest);
  }

  static void* map(size_t size) {
    const bool huge = size >= kHugeFrom;
    const size_t extra = huge ? kHugePage : 0;
    auto* start = static_cast<char*>(mmap(nullptr, size + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (start == MAP_FAILED) return nullptr;
    if (!huge) return start;
    const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(start) % kHugePage) % kHugePage;
    if (before > 0) munmap(start, before);
    if (extra > before) munmap(start + before + size, extra - before);
    madvise(start + before, size / kHugePage * kHugePage, MADV_HUGEPAGE);
    return start + before;
  }

  std::mutex mutex_;
  std::multimap<size_t, Idle> idle_;
  std::unordered_map<void*, size_t> sizes_;
  size_t live_ = 0, peak_ = 0, high_ = 0, idle_bytes_ = 0;
  size_t idle_limit_ = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGE_SIZE)) / 4;
  uint64_t clock_ = 0;
};

// Never destroyed, since tensors can outlive it at exit.
LargeBlocks& blocks() {
  static auto* const instance = new LargeBlocks();
  return *instance;
}

c10::Allocator* usual() { return c10::GetDefaultCPUAllocator(); }

void free_any(void* data) {
  if (data != nullptr && !blocks().give_back(data)) usual()->raw_deleter()(data);
}

class HostAllocator final : public retouch::HostAllocatorBase {
 public:
  at::DeleterFnPtr raw_deleter() const override { return &free_any; }

 private:
  at::DataPtr make(size_t bytes) const override {
    if (bytes < kSmallest) return usual()->allocate(bytes);
    void* data = blocks().take(bytes);
    return {data, data, &free_any, at::Device(at::kCPU)};
  }
};

bool user_chose() {
  for (const char* name : {"MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"})
    if (std::getenv(name) != nullptr) return true;
  const char* tunables = std::getenv("GLIBC_TUNABLES");
  return tunables != nullptr && (std::strstr(tunables, "malloc.mmap_") != nullptr || std::strstr(tunables, "malloc.trim_") != nullptr);
}

// Blocks store their deleter, so they are freed correctly after the allocator is switched.
void install(bool enabled) {
  static HostAllocator allocator;
  c10::SetCPUAllocator(enabled ? static_cast<c10::Allocator*>(&allocator) : usual());
#if defined(__GLIBC__)
  // oneDNN's scratch memory is allocated by malloc and freed after each convolution; the heap is set to keep its pages too.
  if (!enabled || user_chose()) return;
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
#endif
}

at::Tensor host_memory(bool reset_peak) { return blocks().figures(reset_peak); }

at::Tensor release_host_memory() {
  blocks().release();
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
  return blocks().figures(false);
}

}  // namespace

#else

namespace {
void install(bool) {}
at::Tensor host_memory(bool) { return at::zeros({3}, at::kLong); }
at::Tensor release_host_memory() { return at::zeros({3}, at::kLong); }
}  // namespace

#endif

extern "C" int rt_host_cache_set(int32_t enabled) {
  return retouch::guarded([&] { install(enabled != 0); });
}

TORCH_LIBRARY_FRAGMENT(retouch, m) {
  // Bytes of CPU tensors of at least 1 MiB: live, peak since the last reset, idle.
  m.def("host_memory(bool reset_peak) -> Tensor", host_memory);
  // Frees idle blocks and unused heap memory; returns the same values afterwards.
  m.def("release_host_memory() -> Tensor", release_host_memory);
}
