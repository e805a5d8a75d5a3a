// The beginning of every kernel source. Kernels are compiled by NVRTC, without headers, and as C++ by emulation.h. RETOUCH_STORED, given
// by the compiler's options, is the type of the maps: 0 float32, 1 float64, 2 bfloat16, 3 float16. Included once per type: no guard.
//
// A kernel must give the same result for every power of two up to kLargestBlock as blockDim.x, and for every order of its threads and
// blocks: sums have a fixed order, and only integers are added atomically.
#if RETOUCH_STORED == 1
typedef double Stored;
typedef double Real;
typedef unsigned long long Key;
#else
typedef float Real;
typedef unsigned int Key;
#if RETOUCH_STORED == 0
typedef float Stored;
#else
typedef unsigned short Stored;
#endif
#endif

#ifndef RETOUCH_EMULATED
#define RETOUCH_KERNEL extern "C" __global__ void __launch_bounds__(512)
#endif

constexpr int kLargestBlock = 512;
// Number of terms that a thread adds in the element type before it adds their sum in float64.
constexpr int kStripe = 16;
// Values of each thread in a reduction.
constexpr int kMostSums = 5;

#if RETOUCH_STORED == 2

__device__ inline Real load(Stored x) { return __uint_as_float(static_cast<unsigned int>(x) << 16); }

// To the nearest, ties to even.
__device__ inline Stored store(Real x) {
  const unsigned int bits = __float_as_uint(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<Stored>((bits >> 16) | 0x40u);
  return static_cast<Stored>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

#elif RETOUCH_STORED == 3

// 2^112 moves the exponent to float32's bias, and normalises small numbers.
__device__ inline Real load(Stored x) {
  const unsigned int sign = static_cast<unsigned int>(x & 0x8000u) << 16, rest = static_cast<unsigned int>(x & 0x7fffu) << 13;
  if (rest >= 0x0f800000u) return __uint_as_float(sign | 0x70000000u | rest);
  return __uint_as_float(sign | __float_as_uint(__uint_as_float(rest) * 5192296858534827628530496329220096.0f));
}

// To the nearest, ties to even.
__device__ inline Stored store(Real x) {
  const unsigned int bits = __float_as_uint(x), sign = (bits >> 16) & 0x8000u, size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) return static_cast<Stored>(sign | 0x7e00u);
  // 65520 and more round to infinity; less than 2^-14 is rounded by adding 0.5, whose last bit is the smallest number.
  if (size >= 0x477ff000u) return static_cast<Stored>(sign | 0x7c00u);
  if (size < 0x38800000u) return static_cast<Stored>(sign | (__float_as_uint(__uint_as_float(size) + 0.5f) - 0x3f000000u));
  return static_cast<Stored>(sign | ((size + 0xfffu + ((size >> 13) & 1u) - 0x38000000u) >> 13));
}

#else

__device__ inline Real load(Stored x) { return x; }
__device__ inline Stored store(Real x) { return x; }

#endif

__device__ inline int smaller(int a, int b) { return a < b ? a : b; }
__device__ inline int larger(int a, int b) { return a > b ? a : b; }

// Every thread's values become their sums over the block. `shared` has kMostSums * kLargestBlock elements.
template <int N>
__device__ inline void sum_over_block(double (&values)[N], double* shared) {
  static_assert(N <= kMostSums, "more sums than shared memory");
  const int thread = threadIdx.x, threads = blockDim.x;
  for (int v = 0; v < N; ++v) shared[v * threads + thread] = values[v];
  __syncthreads();
  for (int half = threads / 2; half > 0; half /= 2) {
    if (thread < half)
      for (int v = 0; v < N; ++v) shared[v * threads + thread] += shared[v * threads + thread + half];
    __syncthreads();
  }
  for (int v = 0; v < N; ++v) values[v] = shared[v * threads];
  __syncthreads();
}

// Sums over the elements 0 to n - 1: add(k, partial) adds the terms of element k.
template <int N, typename Add>
__device__ inline void sum_elements(int n, double (&totals)[N], double* shared, Add add) {
  const int stride = blockDim.x;
  for (int v = 0; v < N; ++v) totals[v] = 0;
  for (int start = threadIdx.x; start < n; start += stride * kStripe) {
    Real partial[N] = {};
    if (start + stride * (kStripe - 1) < n) {
#pragma unroll
      for (int j = 0; j < kStripe; ++j) add(start + j * stride, partial);
    } else {
      for (int k = start; k < n; k += stride) add(k, partial);
    }
    for (int v = 0; v < N; ++v) totals[v] += static_cast<double>(partial[v]);
  }
  sum_over_block(totals, shared);
}
