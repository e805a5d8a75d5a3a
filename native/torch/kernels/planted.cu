// Kernels with mistakes, by which the tests show that the emulation finds them. Not compiled for GPUs.

// The sum of the threads' numbers, 1 and upwards; without the barriers between the steps of the sum if `broken`.
RETOUCH_KERNEL planted_sum(float* result, int broken) {
  __shared__ float shared[kLargestBlock];
  const int thread = threadIdx.x;
  shared[thread] = static_cast<float>(thread + 1);
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    if (!broken) __syncthreads();
    if (thread < half) shared[thread] += shared[thread + half];
  }
  if (thread == 0) *result = shared[0];
}

// Only every second thread reaches the barrier.
RETOUCH_KERNEL planted_divergence() {
  if (threadIdx.x % 2 == 0) __syncthreads();
}
