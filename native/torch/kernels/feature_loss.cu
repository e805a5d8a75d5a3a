// The latent perceptual loss of a layer on a GPU: native/torch/feature_loss.cpp and outlier_mask.cpp with a block for each map. Two passes
// over both maps and one over the map with the mask, unless it has outliers; quantiles are selected by their bits, eight at a time.

struct Moments {
  double n, mean_f, mean_g, ff, gg, fg, error, absolute;
};

struct Extent {
  Real low, high;
};

// The smallest and the largest value of the block's threads.
__device__ inline Extent extent_of_block(Extent e, double* shared) {
  const int thread = threadIdx.x, threads = blockDim.x;
  double *low = shared, *high = shared + threads;
  low[thread] = e.low;
  high[thread] = e.high;
  __syncthreads();
  for (int half = threads / 2; half > 0; half /= 2) {
    if (thread < half) {
      if (low[thread + half] < low[thread]) low[thread] = low[thread + half];
      if (high[thread + half] > high[thread]) high[thread] = high[thread + half];
    }
    __syncthreads();
  }
  const Extent found = {static_cast<Real>(low[0]), static_cast<Real>(high[0])};
  __syncthreads();
  return found;
}

// Moments about the mean avoid cancellation for maps far from zero; the means' rounding to the element type is subtracted. Multiplies by
// the mask instead of selecting, so that non-finite values propagate rather than being masked. The extent is that of `bounded`.
template <bool Masked>
__device__ inline Moments moments(const Stored* f, const Stored* g, const unsigned char* mask, int n, const Stored* bounded, Extent& extent,
                                  double* shared) {
  double sums[3];
  sum_elements(n, sums, shared, [=](int k, Real(&part)[3]) {
    const Real m = Masked ? static_cast<Real>(mask[k]) : Real(1);
    part[0] += load(f[k]) * m;
    part[1] += load(g[k]) * m;
    part[2] += m;
  });
  Moments s;
  s.n = sums[2];
  s.mean_f = sums[0] / at_least_one(s.n);
  s.mean_g = sums[1] / at_least_one(s.n);
  const Real p = static_cast<Real>(s.mean_f), q = static_cast<Real>(s.mean_g);
  const double dp = s.mean_f - static_cast<double>(p), dq = s.mean_g - static_cast<double>(q);
  Real low = load(bounded[0]), high = low;
  double squares[5];
  sum_elements(n, squares, shared, [=, &low, &high](int k, Real(&part)[5]) {
    const Real m = Masked ? static_cast<Real>(mask[k]) : Real(1);
    const Real x = load(f[k]), y = load(g[k]), a = (x - p) * m, b = (y - q) * m, d = (x - y) * m;
    part[0] += a * a;
    part[1] += b * b;
    part[2] += a * b;
    part[3] += d * d;
    part[4] += d < 0 ? -d : d;
    if (!Masked) {
      const Real v = bounded == f ? x : y;
      low = v < low ? v : low;
      high = v > high ? v : high;
    }
  });
  s.ff = squares[0] - s.n * dp * dp;
  s.gg = squares[1] - s.n * dq * dq;
  s.fg = squares[2] - s.n * dp * dq;
  s.error = squares[3];
  s.absolute = squares[4];
  if (!Masked) extent = extent_of_block({low, high}, shared);
  return s;
}

// Integers with the order of the numbers.
#if RETOUCH_STORED == 1
__device__ inline Key key_of(Real x) {
  const Key bits = static_cast<Key>(__double_as_longlong(x));
  return bits >> 63 ? ~bits : bits | (1ull << 63);
}
__device__ inline Real value_of(Key key) { return __longlong_as_double(static_cast<long long>(key >> 63 ? key & ~(1ull << 63) : ~key)); }
#else
__device__ inline Key key_of(Real x) {
  const Key bits = __float_as_uint(x);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ inline Real value_of(Key key) { return __uint_as_float(key >> 31 ? key & 0x7fffffffu : ~key); }
#endif

constexpr int kBins = 256;

// The values of two ranks, counted from 1: each pass counts the next eight bits of the values that have a rank's bits so far.
__device__ inline void two_ranks(const Stored* h, int n, const int (&ranks)[2], Real (&found)[2], int* counts, int* chosen) {
  Key prefix[2] = {0, 0};
  int rank[2] = {ranks[0], ranks[1]};
  for (int shift = static_cast<int>(sizeof(Key)) * 8 - 8; shift >= 0; shift -= 8) {
    for (int k = threadIdx.x; k < 2 * kBins; k += blockDim.x) counts[k] = 0;
    __syncthreads();
    for (int k = threadIdx.x; k < n; k += blockDim.x) {
      const Key bits = key_of(load(h[k])) >> shift;
      for (int r = 0; r < 2; ++r)
        if (bits >> 8 == prefix[r]) atomicAdd(counts + r * kBins + static_cast<int>(bits & (kBins - 1)), 1);
    }
    __syncthreads();
    for (int r = threadIdx.x; r < 2; r += blockDim.x) {
      int bin = 0, before = 0;
      while (before + counts[r * kBins + bin] < rank[r]) before += counts[r * kBins + bin++];
      chosen[2 * r] = bin;
      chosen[2 * r + 1] = before;
    }
    __syncthreads();
    for (int r = 0; r < 2; ++r) {
      prefix[r] = prefix[r] << 8 | static_cast<Key>(chosen[2 * r]);
      rank[r] -= chosen[2 * r + 1];
    }
    __syncthreads();
  }
  for (int r = 0; r < 2; ++r) found[r] = value_of(prefix[r]);
}

// Maximum or minimum in a square window, separable; the border is neutral. `rows` is memory for an intermediate result.
__device__ inline void pool(unsigned char* mask, unsigned char* rows, int height, int width, int side, bool maximum) {
  if (side <= 1) return;
  const int r = (side - 1) / 2, n = height * width;
  for (int k = threadIdx.x; k < n; k += blockDim.x) {
    const int x = k % width, start = k - x, last = smaller(x + r, width - 1);
    int value = mask[k];
    for (int other = larger(x - r, 0); other <= last; ++other)
      value = maximum ? value | mask[start + other] : value & mask[start + other];
    rows[k] = static_cast<unsigned char>(value);
  }
  __syncthreads();
  for (int k = threadIdx.x; k < n; k += blockDim.x) {
    const int y = k / width, x = k - y * width, last = smaller(y + r, height - 1);
    int value = rows[k];
    for (int other = larger(y - r, 0); other <= last; ++other)
      value = maximum ? value | rows[other * width + x] : value & rows[other * width + x];
    mask[k] = static_cast<unsigned char>(value);
  }
  __syncthreads();
}

// Returns whether all pixels are kept; the mask is valid only if not.
__device__ inline bool find_outliers(const Stored* h, unsigned char* mask, unsigned char* rows, int height, int width, double mean,
                                     double squares, Extent extent, double deviations, const int (&ranks)[2], int closing, int opening,
                                     double* shared, int* counts, int* chosen) {
  const int n = height * width;
  if (!(mean - mean == 0)) {
    for (int k = threadIdx.x; k < n; k += blockDim.x) mask[k] = 0;
    __syncthreads();
    return false;
  }
  const double margin = n > 1 && deviations != 0 ? deviations * sqrt((squares > 0 ? squares : 0) / (n - 1)) : 0;
  // The smallest value is kept if at least as many values as its rank are less than a margin above it; counting them is cheaper than
  // selecting the quantile. The margin is slightly reduced, so that rounding cannot contradict the comparison below.
  const double lowest = extent.low, highest = extent.high;
  const double reach = margin * (1 - 1e-6) - 1e-6 * ((lowest < 0 ? -lowest : lowest) + (highest < 0 ? -highest : highest));
  if (reach > 0) {
    const Real near_low = static_cast<Real>(lowest + reach), near_high = static_cast<Real>(highest - reach);
    double tails[2];
    sum_elements(n, tails, shared, [=](int k, Real(&part)[2]) {
      const Real v = load(h[k]);
      part[0] += v < near_low ? Real(1) : Real(0);
      part[1] += v > near_high ? Real(1) : Real(0);
    });
    if (tails[0] >= ranks[0] && tails[1] >= n - ranks[1] + 1) return true;
  }
  Real found[2];
  two_ranks(h, n, ranks, found, counts, chosen);
  const Real low = found[0] - static_cast<Real>(margin), high = found[1] + static_cast<Real>(margin);
  double kept[1];
  sum_elements(n, kept, shared, [=](int k, Real(&part)[1]) {
    const Real v = load(h[k]);
    const bool inside = v > low && v < high;
    mask[k] = inside ? 1 : 0;
    part[0] += inside ? Real(1) : Real(0);
  });
  if (kept[0] == n) return true;
  pool(mask, rows, height, width, closing, true);
  pool(mask, rows, height, width, opening, false);
  sum_elements(n, kept, shared, [=](int k, Real(&part)[1]) { part[0] += static_cast<Real>(mask[k]); });
  return kept[0] == n;
}

// One block per map. `deviations` is the mask's margin in standard deviations; low_rank and high_rank are counted from 1.
RETOUCH_KERNEL feature_loss_forward(const Stored* target, const Stored* estimate, Real* loss, double* statistics, unsigned char* mask,
                                    unsigned char* rows, int height, int width, int statistics_of, int absolute, double floor, int masked,
                                    int mask_from_target, double deviations, int low_rank, int high_rank, int closing, int opening,
                                    int kept) {
  __shared__ double shared[kMostSums * kLargestBlock];
  __shared__ int counts[2 * kBins];
  __shared__ int chosen[4];
  const int n = height * width;
  const long long start = static_cast<long long>(blockIdx.x) * n;
  const Stored *f = target + start, *g = estimate + start, *h = mask_from_target ? f : g;
  const Rule rule = {statistics_of, absolute != 0, floor};
  const int ranks[2] = {low_rank, high_rank};
  Extent extent = {0, 0};
  Moments m = moments<false>(f, g, nullptr, n, h, extent, shared);
  if (masked && !find_outliers(h, mask + start, rows + start, height, width, mask_from_target ? m.mean_f : m.mean_g,
                               mask_from_target ? m.ff : m.gg, extent, deviations, ranks, closing, opening, shared, counts, chosen))
    m = moments<true>(f, g, mask + start, n, h, extent, shared);
  if (threadIdx.x != 0) return;
  const double count = at_least_one(m.n);
  double* s = statistics + static_cast<long long>(blockIdx.x) * kFields;
  s[kKept] = m.n;
  s[kSquaredError] = m.error;
  s[kTargetMean] = m.mean_f;
  s[kTargetVariance] = m.ff / count;
  s[kEstimateMean] = m.mean_g;
  s[kEstimateVariance] = m.gg / count;
  s[kCovariance] = m.fg / count;
  s[kAbsoluteError] = m.absolute;
  loss[blockIdx.x] = static_cast<Real>(loss_of(s, rule, kept ? count : static_cast<double>(n)));
}

// `parts` blocks per map.
RETOUCH_KERNEL feature_loss_backward(const Real* gradient, const Stored* target, const Stored* estimate, const double* statistics,
                                     const unsigned char* mask, Stored* result, int pixels, int parts, int part_size, int statistics_of,
                                     int absolute, double floor, double through, int kept, int masked) {
  __shared__ Real terms[6];
  const int map = blockIdx.x / parts, part = blockIdx.x - map * parts;
  const double* s = statistics + static_cast<long long>(map) * kFields;
  if (threadIdx.x == 0) {
    const Rule rule = {statistics_of, absolute != 0, floor};
    const Slope slope = slope_of(s, rule, through, kept ? at_least_one(s[kKept]) : static_cast<double>(pixels), gradient[map]);
    terms[0] = static_cast<Real>(slope.target);
    terms[1] = static_cast<Real>(slope.difference);
    terms[2] = static_cast<Real>(slope.sign);
    terms[3] = static_cast<Real>(slope.estimate);
    terms[4] = static_cast<Real>(slope.target_mean);
    terms[5] = static_cast<Real>(slope.estimate_mean);
  }
  __syncthreads();
  const Real a = terms[0], d = terms[1], e = terms[2], b = terms[3], p = terms[4], q = terms[5];
  // No mask is written if all pixels are kept.
  const bool some = masked && s[kKept] != pixels;
  const long long start = static_cast<long long>(map) * pixels;
  const int end = smaller((part + 1) * part_size, pixels);
  for (int k = part * part_size + static_cast<int>(threadIdx.x); k < end; k += blockDim.x) {
    const Real x = load(target[start + k]), y = load(estimate[start + k]), difference = x - y;
    const Real sign = static_cast<Real>(difference > 0) - static_cast<Real>(difference < 0);
    const Real value = a * (x - p) + d * difference + e * sign + b * (y - q);
    result[start + k] = store(some ? value * static_cast<Real>(mask[start + k]) : value);
  }
}
