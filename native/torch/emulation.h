// Compiles kernels as C++ for the tests. The threads of a block are coroutines on one thread of the system, each of which runs to the
// next barrier, in ascending or descending order; shared memory contains NaN at the beginning of every block. A missing barrier or an
// uninitialised element therefore changes results, and a barrier that some threads do not reach is an error.
#pragma once
#include <ucontext.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <utility>

#define RETOUCH_EMULATED
#define RETOUCH_KERNEL static void
#define __device__
#define __shared__ __attribute__((section("emulated_shared"))) static

extern "C" {
extern char __start_emulated_shared[] __attribute__((visibility("hidden")));
extern char __stop_emulated_shared[] __attribute__((visibility("hidden")));
}

namespace emulation {

struct Index {
  unsigned int x;
};

extern Index thread_index, block_index, block_size, grid_size;

// Suspends the running thread until all threads of its block have come here.
void barrier();

// Runs all blocks of a kernel; returns null, or an error.
const char* run(void (*body)(void* const*), void* const* arguments, unsigned int blocks, unsigned int threads, bool descending);

template <typename To, typename From>
To bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "sizes differ");
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

// A kernel by name, called with pointers to its arguments; `sizes` are the arguments' sizes, to find wrong types.
struct Entry {
  const char* name;
  void (*call)(void* const* arguments);
  const int* sizes;
  int count;
};

template <auto Kernel>
struct Caller;

template <typename... A, void (*Kernel)(A...)>
struct Caller<Kernel> {
  static constexpr int sizes[] = {static_cast<int>(sizeof(A))...};
  static constexpr int count = sizeof...(A);

  static void call(void* const* arguments) { unpack(arguments, std::index_sequence_for<A...>()); }

 private:
  template <std::size_t... I>
  static void unpack(void* const* arguments, std::index_sequence<I...>) {
    Kernel(*static_cast<A*>(arguments[I])...);
  }
};

template <auto Kernel>
constexpr Entry entry(const char* name) {
  return {name, &Caller<Kernel>::call, Caller<Kernel>::sizes, Caller<Kernel>::count};
}

}  // namespace emulation

// The names that CUDA C++ gives them.
#define threadIdx emulation::thread_index
#define blockIdx emulation::block_index
#define blockDim emulation::block_size
#define gridDim emulation::grid_size
#define __syncthreads emulation::barrier

inline int atomicAdd(int* at, int value) { return std::exchange(*at, *at + value); }
inline unsigned int __float_as_uint(float x) { return emulation::bits<unsigned int>(x); }
inline float __uint_as_float(unsigned int x) { return emulation::bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulation::bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emulation::bits<double>(x); }
using std::exp;
using std::sqrt;
