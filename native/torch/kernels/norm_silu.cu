// Group normalisation and SiLU on a GPU, as native/torch/norm_silu.cpp. A part is a stretch of part_size elements, of a group or of a
// channel; each block processes one part.

// Mean in the element type; its rounding error is added to the constants, so that inputs far from zero keep their precision.
struct Centre {
  Real value;
  double lost;
};

__device__ inline Centre centre_of(double mean) {
  const Real value = static_cast<Real>(mean);
  return {value, static_cast<double>(value) - mean};
}

// Mean of each part, and the sum of squares about it.
RETOUCH_KERNEL norm_moments(const Stored* x, double* partials, int parts, int part_size, long long group_size) {
  __shared__ double shared[kMostSums * kLargestBlock];
  const int group = blockIdx.x / parts, part = blockIdx.x - group * parts;
  const long long begin = static_cast<long long>(part) * part_size, left = group_size - begin;
  const int n = left < part_size ? static_cast<int>(left) : part_size;
  const Stored* values = x + group * group_size + begin;
  double sum[1], squares[1];
  sum_elements(n, sum, shared, [=](int k, Real(&add)[1]) { add[0] += load(values[k]); });
  const double mean = sum[0] / n;
  const Centre centre = centre_of(mean);
  sum_elements(n, squares, shared, [=](int k, Real(&add)[1]) {
    const Real d = load(values[k]) - centre.value;
    add[0] += d * d;
  });
  if (threadIdx.x != 0) return;
  partials[2 * static_cast<long long>(blockIdx.x)] = mean;
  partials[2 * static_cast<long long>(blockIdx.x) + 1] = squares[0] - centre.lost * centre.lost * n;
}

// Mean and reciprocal deviation of each group.
RETOUCH_KERNEL norm_statistics(const double* partials, double* means, double* rstds, int groups, int parts, int part_size,
                               long long group_size, double eps) {
  for (int g = blockIdx.x * blockDim.x + threadIdx.x; g < groups; g += gridDim.x * blockDim.x) {
    double mean = 0, squares = 0, seen = 0;
    for (int part = 0; part < parts; ++part) {
      const double* found = partials + 2 * (static_cast<long long>(g) * parts + part);
      const long long left = group_size - static_cast<long long>(part) * part_size;
      const double count = left < part_size ? static_cast<double>(left) : part_size, total = seen + count, delta = found[0] - mean;
      mean += delta * count / total;
      squares += found[1] + delta * delta * seen * count / total;
      seen = total;
    }
    means[g] = mean;
    rstds[g] = 1 / sqrt(squares / static_cast<double>(group_size) + eps);
  }
}

// A channel of a sample: its group's centre and the factors of the normalisation.
struct Row {
  Centre centre;
  Real scale, offset;
};

__device__ inline Row row_of(const Stored* weight, const Stored* bias, const double* means, const double* rstds, int row, int channels,
                             int group_channels) {
  const int channel = row % channels, group = row / group_channels;
  const Centre centre = centre_of(means[group]);
  const double scale = static_cast<double>(load(weight[channel])) * rstds[group];
  return {centre, static_cast<Real>(scale), static_cast<Real>(static_cast<double>(load(bias[channel])) + centre.lost * scale)};
}

RETOUCH_KERNEL norm_silu_forward(const Stored* x, const Stored* weight, const Stored* bias, const double* means, const double* rstds,
                                 Stored* out, int channels, int group_channels, int pixels, int parts, int part_size) {
  const int row = blockIdx.x / parts, part = blockIdx.x - row * parts;
  const Row r = row_of(weight, bias, means, rstds, row, channels, group_channels);
  const long long start = static_cast<long long>(row) * pixels;
  const int end = smaller((part + 1) * part_size, pixels);
  for (int k = part * part_size + static_cast<int>(threadIdx.x); k < end; k += blockDim.x) {
    const Real y = (load(x[start + k]) - r.centre.value) * r.scale + r.offset;
    out[start + k] = store(y / (Real(1) + exp(-y)));
  }
}

// Gradient with respect to the normalised value.
__device__ inline Real silu_gradient(Real gradient, Real centred, const Row& r) {
  const Real y = centred * r.scale + r.offset, s = Real(1) / (Real(1) + exp(-y));
  return gradient * s * (Real(1) + y * (Real(1) - s));
}

// Of each part of a channel: the sum of the gradient with respect to the normalised values, and of its product with the centred input.
RETOUCH_KERNEL norm_silu_sums(const Stored* gradient, const Stored* x, const Stored* weight, const Stored* bias, const double* means,
                              const double* rstds, double* partials, int channels, int group_channels, int pixels, int parts,
                              int part_size) {
  __shared__ double shared[kMostSums * kLargestBlock];
  const int row = blockIdx.x / parts, part = blockIdx.x - row * parts;
  const Row r = row_of(weight, bias, means, rstds, row, channels, group_channels);
  const long long start = static_cast<long long>(row) * pixels + static_cast<long long>(part) * part_size;
  const Stored *g = gradient + start, *v = x + start;
  double sums[2];
  sum_elements(smaller(part_size, pixels - part * part_size), sums, shared, [=](int k, Real(&add)[2]) {
    const Real centred = load(v[k]) - r.centre.value, dy = silu_gradient(load(g[k]), centred, r);
    add[0] += dy;
    add[1] += dy * centred;
  });
  if (threadIdx.x != 0) return;
  partials[2 * static_cast<long long>(blockIdx.x)] = sums[0];
  partials[2 * static_cast<long long>(blockIdx.x) + 1] = sums[1] + r.centre.lost * sums[0];
}

// Per channel the sums of its parts; per group the two terms of the gradient that its mean and deviation contribute.
RETOUCH_KERNEL norm_silu_terms(const double* partials, const Stored* weight, const double* means, const double* rstds, double* rows,
                               double* terms, int groups, int channels, int group_channels, int pixels, int parts) {
  for (int g = blockIdx.x * blockDim.x + threadIdx.x; g < groups; g += gridDim.x * blockDim.x) {
    double sum = 0, product = 0;
    for (int c = 0; c < group_channels; ++c) {
      const long long row = static_cast<long long>(g) * group_channels + c;
      double row_sum = 0, row_product = 0;
      for (int part = 0; part < parts; ++part) {
        row_sum += partials[2 * (row * parts + part)];
        row_product += partials[2 * (row * parts + part) + 1];
      }
      rows[2 * row] = row_sum;
      rows[2 * row + 1] = row_product * rstds[g];
      const double w = static_cast<double>(load(weight[row % channels]));
      sum += w * row_sum;
      product += w * row_product;
    }
    const double rstd = rstds[g], count = static_cast<double>(group_channels) * pixels, from_x = -rstd * rstd * rstd * product / count;
    terms[2 * g] = from_x;
    terms[2 * g + 1] = -rstd * sum / count + from_x * centre_of(means[g]).lost;
  }
}

RETOUCH_KERNEL norm_silu_backward(const Stored* gradient, const Stored* x, const Stored* weight, const Stored* bias, const double* means,
                                  const double* rstds, const double* terms, Stored* dx, int channels, int group_channels, int pixels,
                                  int parts, int part_size) {
  const int row = blockIdx.x / parts, part = blockIdx.x - row * parts;
  const Row r = row_of(weight, bias, means, rstds, row, channels, group_channels);
  const int group = row / group_channels;
  const Real from_x = static_cast<Real>(terms[2 * group]), constant = static_cast<Real>(terms[2 * group + 1]);
  const long long start = static_cast<long long>(row) * pixels;
  const int end = smaller((part + 1) * part_size, pixels);
  for (int k = part * part_size + static_cast<int>(threadIdx.x); k < end; k += blockDim.x) {
    const Real centred = load(x[start + k]) - r.centre.value, dy = silu_gradient(load(gradient[start + k]), centred, r);
    dx[start + k] = store(r.scale * dy + (from_x * centred + constant));
  }
}
