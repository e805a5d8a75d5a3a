// The kernels for GPUs, compiled for the processor (emulation.h). Not part of the engine: a separate library, loaded only by the tests,
// which pass its function rt_emulated_launch to rt_launcher_set.
#include "emulation.h"

#include <mutex>
#include <string>
#include <vector>

#define RETOUCH_STORED 0
namespace of_float {
#include "kernels/common.h"
#include "kernels/feature_rule.h"
#include "kernels/feature_loss.cu"
#include "kernels/norm_silu.cu"
#include "kernels/planted.cu"
}  // namespace of_float
#undef RETOUCH_STORED

#define RETOUCH_STORED 1
namespace of_double {
#include "kernels/common.h"
#include "kernels/feature_rule.h"
#include "kernels/feature_loss.cu"
#include "kernels/norm_silu.cu"
}  // namespace of_double
#undef RETOUCH_STORED

#define RETOUCH_STORED 2
namespace of_bfloat16 {
#include "kernels/common.h"
#include "kernels/feature_rule.h"
#include "kernels/feature_loss.cu"
#include "kernels/norm_silu.cu"
}  // namespace of_bfloat16
#undef RETOUCH_STORED

#define RETOUCH_STORED 3
namespace of_half {
#include "kernels/common.h"
#include "kernels/feature_rule.h"
#include "kernels/feature_loss.cu"
#include "kernels/norm_silu.cu"
}  // namespace of_half
#undef RETOUCH_STORED

namespace emulation {

Index thread_index, block_index, block_size, grid_size;

namespace {

constexpr std::size_t kStack = 128 << 10;

struct Thread {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(kStack);
  bool done = false;
};

ucontext_t scheduler;
std::vector<Thread> all_threads;
void (*running)(void* const*);
void* const* running_arguments;

void start() {
  running(running_arguments);
  all_threads[thread_index.x].done = true;
}

// Runs the threads of a block from barrier to barrier; returns whether all of them met at each.
bool run_block(unsigned int threads, bool descending) {
  std::memset(__start_emulated_shared, 0xFF, static_cast<std::size_t>(__stop_emulated_shared - __start_emulated_shared));
  for (unsigned int t = 0; t < threads; ++t) {
    auto& thread = all_threads[t];
    thread.done = false;
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = thread.stack.size();
    thread.context.uc_link = &scheduler;
    makecontext(&thread.context, start, 0);
  }
  for (;;) {
    unsigned int finished = 0;
    for (unsigned int k = 0; k < threads; ++k) {
      thread_index.x = descending ? threads - 1 - k : k;
      swapcontext(&scheduler, &all_threads[thread_index.x].context);
      finished += all_threads[thread_index.x].done ? 1 : 0;
    }
    if (finished == threads) return true;
    if (finished > 0) return false;
  }
}

}  // namespace

void barrier() {
  const Index self = thread_index;
  swapcontext(&all_threads[self.x].context, &scheduler);
}

const char* run(void (*body)(void* const*), void* const* arguments, unsigned int blocks, unsigned int threads, bool descending) {
  if (all_threads.size() < threads) all_threads.resize(threads);
  running = body;
  running_arguments = arguments;
  block_size.x = threads;
  grid_size.x = blocks;
  for (unsigned int k = 0; k < blocks; ++k) {
    block_index.x = descending ? blocks - 1 - k : k;
    if (!run_block(threads, descending)) return "some threads of a block ended while others wait at a barrier";
  }
  return nullptr;
}

}  // namespace emulation

#define RETOUCH_ENTRY(type, kernel) emulation::entry<type::kernel>(#kernel)
#define RETOUCH_ENTRIES(type)                                                                                              \
  RETOUCH_ENTRY(type, feature_loss_forward), RETOUCH_ENTRY(type, feature_loss_backward), RETOUCH_ENTRY(type, norm_moments), \
      RETOUCH_ENTRY(type, norm_statistics), RETOUCH_ENTRY(type, norm_silu_forward), RETOUCH_ENTRY(type, norm_silu_sums),    \
      RETOUCH_ENTRY(type, norm_silu_terms), RETOUCH_ENTRY(type, norm_silu_backward)

namespace {

using Entries = std::vector<emulation::Entry>;

const Entries& entries_of(int32_t stored) {
  static const Entries all[] = {
      {RETOUCH_ENTRIES(of_float), RETOUCH_ENTRY(of_float, planted_sum), RETOUCH_ENTRY(of_float, planted_divergence)},
      {RETOUCH_ENTRIES(of_double)},
      {RETOUCH_ENTRIES(of_bfloat16)},
      {RETOUCH_ENTRIES(of_half)}};
  return all[stored];
}

std::mutex mutex;
unsigned int threads_per_block = 16;
bool last_first = false;
int64_t launches = 0;

}  // namespace

extern "C" {

// Number of threads in every block, a power of two up to 512, and whether blocks and threads run in descending order.
__attribute__((visibility("default"))) void rt_emulated_set(int32_t threads, int32_t descending) {
  const std::lock_guard<std::mutex> lock(mutex);
  threads_per_block = static_cast<unsigned int>(threads);
  last_first = descending != 0;
}

__attribute__((visibility("default"))) int64_t rt_emulated_launches(void) {
  const std::lock_guard<std::mutex> lock(mutex);
  return launches;
}

// An rt_launch_fn. The number of threads is the emulation's, not the caller's.
__attribute__((visibility("default"))) const char* rt_emulated_launch(const char* kernel, int32_t stored, int32_t blocks, int32_t,
                                                                      void* const* arguments, const int32_t* sizes, int32_t count) {
  const std::lock_guard<std::mutex> lock(mutex);
  for (const auto& entry : entries_of(stored)) {
    if (std::strcmp(entry.name, kernel) != 0) continue;
    if (entry.count != count) return "the kernel has another number of arguments";
    for (int32_t k = 0; k < count; ++k)
      if (sizes[k] != entry.sizes[k]) return "an argument's type differs from the kernel's";
    ++launches;
    return emulation::run(entry.call, arguments, static_cast<unsigned int>(blocks), threads_per_block, last_first);
  }
  return "there is no kernel of that name";
}

}  // extern "C"
