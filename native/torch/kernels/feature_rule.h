// Loss and gradient of a pair of maps as functions of their statistics: shared by the kernels for processors and for GPUs. Included once
// per element type: no guard.

constexpr double kVarianceFloor = 1e-6;

// Variance by which both maps are divided: none, the estimate's, each map's own, or the target's.
enum Statistics { kNone = 0, kEstimate = 1, kOwn = 2, kTarget = 3 };

// Statistics of a map for its backward pass and for logging.
enum Field {
  kKept,
  kSquaredError,
  kTargetMean,
  kTargetVariance,
  kEstimateMean,
  kEstimateVariance,
  kCovariance,
  kAbsoluteError,
  kFields
};

// Comparison of two maps.
struct Rule {
  int statistics;
  bool absolute;
  // Variance floor, as a fraction of the target map's variance.
  double floor;
};

__device__ inline double at_least_one(double n) { return n > 1 ? n : 1; }

__device__ inline double spread(const double* s, Field variance, const Rule& rule) {
  return s[variance] + rule.floor * s[kTargetVariance] + kVarianceFloor;
}

__device__ inline double loss_of(const double* s, const Rule& rule, double pixels) {
  const double error = rule.absolute ? s[kAbsoluteError] : s[kSquaredError];
  if (rule.statistics == kNone) return error / pixels;
  if (rule.statistics != kOwn) {
    const double variance = spread(s, rule.statistics == kTarget ? kTargetVariance : kEstimateVariance, rule);
    return error / ((rule.absolute ? sqrt(variance) : variance) * pixels);
  }
  const double target = spread(s, kTargetVariance, rule), estimate = spread(s, kEstimateVariance, rule), n = at_least_one(s[kKept]);
  return n * (s[kTargetVariance] / target + s[kEstimateVariance] / estimate - 2 * s[kCovariance] / sqrt(target * estimate)) / pixels;
}

// Gradient at a pixel: target·(φ − its mean) + difference·(φ − φ̂) + sign·sgn(φ − φ̂) + estimate·(φ̂ − its mean).
struct Slope {
  double target, difference, sign, estimate, target_mean, estimate_mean;
};

// The gradient of the loss is linear in both maps and in the sign of their difference. Derivation, with d = φ − φ̂, N kept pixels, P
// the divisor, s² the variance with its floor:
//   none      squared −2d/P, absolute −sgn(d)/P
//   target    the same, divided by s² or by s
//   estimate  squared −2/(P s²)·[d + Σd²/(s² N)·(φ̂ − mean)], absolute −1/(P s)·[sgn(d) + Σ|d|/(s² N)·(φ̂ − mean)]
//   own       −2/(P ŝ)·[u − w − w·Σ(u − w)w/N], u and w the normalised maps
// The second summand of each bracket is the gradient through the statistics; `through` scales it.
__device__ inline Slope slope_of(const double* s, const Rule& rule, double through, double pixels, double gradient) {
  const double n = at_least_one(s[kKept]), unit = (rule.absolute ? -1 : -2) * gradient / pixels;
  if (rule.statistics != kOwn) {
    const bool estimate = rule.statistics == kEstimate;
    const double variance = rule.statistics == kNone ? 1 : spread(s, estimate ? kEstimateVariance : kTargetVariance, rule);
    const double scale = unit / (rule.absolute ? sqrt(variance) : variance);
    Slope slope = {0, rule.absolute ? 0 : scale, rule.absolute ? scale : 0, 0, 0, 0};
    if (estimate) {
      slope.estimate = scale * through * (rule.absolute ? s[kAbsoluteError] : s[kSquaredError]) / (variance * n);
      slope.estimate_mean = s[kEstimateMean];
    }
    return slope;
  }
  const double target = spread(s, kTargetVariance, rule), estimate = spread(s, kEstimateVariance, rule);
  const double root = sqrt(target * estimate);
  const double way = through * (s[kCovariance] / root - s[kEstimateVariance] / estimate);
  return {unit / root, 0, 0, -unit / estimate * (1 + way), s[kTargetMean], s[kEstimateMean]};
}
