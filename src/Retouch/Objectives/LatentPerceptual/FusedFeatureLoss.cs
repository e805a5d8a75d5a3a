using Retouch.Torch;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>
/// <see cref="FeatureLoss"/> as one kernel over the maps, with a closed-form gradient: native/torch/feature_loss.cpp on the CPU,
/// native/torch/kernels/feature_loss.cu on GPUs. The graph keeps the features and one byte per pixel, instead of about twelve maps with
/// separate operators.
/// </summary>
internal static class FusedFeatureLoss
{
    // Columns of the kernel's statistics output.
    private const int Kept = 0,
        SquaredError = 1,
        TargetVariance = 3,
        EstimateVariance = 5;

    /// <summary>
    /// Whether there is a kernel for this type, device and settings: on the CPU for float32 and float64, on a GPU also for bfloat16 and
    /// float16, if its kernels compile.
    /// </summary>
    public static bool Supports(Tensor features, FeatureSettings settings) =>
        settings
            is { Normalisation: Normalisation.Standardise or Normalisation.None }
                and not {
                    Normalisation: Normalisation.Standardise,
                    Statistics: StatisticsSource.Own,
                    Difference: FeatureDifference.Absolute
                }
        && Ops.HasKernels(features, "feature_loss");

    /// <inheritdoc cref="FeatureLoss.Compare(Tensor, Tensor, FeatureSettings, LossMask?)"/>
    public static FeatureTerms Compare(Tensor target, Tensor estimate, FeatureSettings settings)
    {
        using var scope = TensorScope.Enter();
        Tensor f,
            g,
            loss,
            statistics,
            mask;
        Tensor Column(int k) => scope.Keep(statistics.Select(2, k));
        var statisticsOf =
            settings.Normalisation == Normalisation.None
                ? 0
                : settings.Statistics switch
                {
                    StatisticsSource.Estimate => 1,
                    StatisticsSource.Own => 2,
                    _ => 3,
                };
        var absolute = settings.Difference == FeatureDifference.Absolute;
        using (Autograd.NoGrad())
        {
            f = target.Detach().Contiguous();
            g = estimate.Detach().Contiguous();
            var m = settings.Mask;
            (loss, statistics, mask) = Ops.FeatureLoss(
                f,
                g,
                statisticsOf,
                absolute,
                settings.Floor,
                m is not null,
                m?.Source == MaskSource.Target,
                m?.Quantile ?? 0,
                m?.Margin ?? 0,
                m?.Closing ?? 1,
                m?.Opening ?? 1,
                settings.Kept
            );
        }

        if (Autograd.IsEnabled && estimate.RequiresGrad)
        {
            Tensor[] saved = [.. new[] { f, g, statistics, mask }.Select(static t => t.Share().Escape())];
            loss = Autograd.Function(
                [estimate],
                [loss],
                flow =>
                    [
                        flow[0] is { } gradient
                            ? Ops.FeatureLossBackward(
                                gradient,
                                saved[0],
                                saved[1],
                                saved[2],
                                saved[3],
                                statisticsOf,
                                absolute,
                                settings.Floor,
                                settings.Through,
                                settings.Kept
                            )
                            : null,
                    ],
                () => Array.ForEach(saved, static t => t.Dispose())
            )[0];
        }

        return new FeatureTerms(scope.Keep(loss), Column(Kept), Column(SquaredError), Column(TargetVariance), Column(EstimateVariance));
    }
}
