using Retouch.Core.Errors;

namespace Retouch.Training.Options;

/// <summary>Validation on held-out samples, with timesteps and noise that are fixed for the whole run.</summary>
public sealed record ValidationOptions
{
    internal const int DefaultCount = 64;
    internal const int DefaultParts = 4;

    /// <summary>
    /// Held-out pictures (the validation split of a folder with splits), or a list of pairs with data.pairs. Default: samples split off
    /// from the training data.
    /// </summary>
    public string? Folder { get; init; }

    /// <summary>Number of held-out samples, at least 1. Default: 64; at most a tenth of the data if they are split off.</summary>
    [Bounds(AtLeast = 1)]
    public int? Count { get; init; }

    /// <summary>Fraction of the data to split off instead of a count, in (0, 1).</summary>
    [Bounds(Above = 0, Below = 1)]
    public double? Fraction { get; init; }

    /// <summary>Steps between validations, at least 1; also before the first and after the last step.</summary>
    [Bounds(AtLeast = 1)]
    public long Every { get; init; } = 500;

    /// <summary>
    /// Equal parts of the noise schedule, from 1 to 100: every sample is evaluated at one timestep of each, and each has its loss. Default:
    /// 4.
    /// </summary>
    [Bounds(AtLeast = 1, AtMost = 100)]
    public int? Timesteps { get; init; }

    /// <summary>Early stop; null trains all steps.</summary>
    public EarlyStopOptions? Stop { get; init; }

    internal void Validate(TrainingOptions options, Requirements check)
    {
        check.Members(this);
        check.That(Fraction is null || Count is null, "validation.count and validation.fraction exclude each other; give one of them");
        check.That(
            Fraction is null || Folder is null,
            "validation.fraction is for samples split off from the data; with validation.folder give validation.count"
        );
        check.That(
            Timesteps is null || options.Task == TrainingTaskKind.Denoiser,
            "validation.timesteps has no effect with task autoencoder; leave it out"
        );
        check.That(
            options.Objective?.Preference is not { PrecomputesReference: true },
            "validation needs the reference model's predictions on held-out pairs, which objective.preference.reference precomputed does "
                + "not keep; use live"
        );
        if (Stop is { } stop)
            check.Under(nameof(Stop)).Members(stop);
    }
}

/// <summary>Early stop of a run by its validation.</summary>
public sealed record EarlyStopOptions
{
    /// <summary>
    /// Watched term of the validation, such as latent, lpl or pixel, of the first weight average (of the weights without averages).
    /// Default: the first term.
    /// </summary>
    public string? Term { get; init; }

    /// <summary>Validations without improvement after which the run stops, at least 1.</summary>
    [Bounds(AtLeast = 1)]
    public int Patience { get; init; } = 5;

    /// <summary>Decrease of the best value that counts as an improvement, as a fraction of it, in [0, 1).</summary>
    [Bounds(AtLeast = 0, Below = 1)]
    public double SmallestImprovement { get; init; }
}
