using System.Text.Json.Serialization;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Experiments.Ablations;

/// <summary>Evaluation of the arms. Lists are axes that require no additional training.</summary>
public sealed record AblationEvaluation
{
    /// <summary>Names as in 'retouch evaluate --metrics', except metrics that need originals or captions.</summary>
    public IReadOnlyList<string> Metrics { get; init; } = MetricCatalog.Usual;

    /// <summary>Decisive figure, chosen in advance: fwd, spectrum, fid, ….</summary>
    public string Decisive { get; init; } = "fwd";

    /// <summary>Sampled pictures per model.</summary>
    [Bounds(AtLeast = 4, AtMost = 100_000)]
    public int Samples { get; init; } = 128;

    /// <summary>Maximum number of reference pictures; default: as many as are sampled.</summary>
    [Bounds(AtLeast = 2, AtMost = 1_000_000)]
    public int? References { get; init; }

    /// <summary>Sampler steps; several values form an axis.</summary>
    [Bounds(AtLeast = 1, AtMost = 1000)]
    public IReadOnlyList<int> SamplerSteps { get; init; } = [25];

    /// <summary>Scales of classifier-free guidance; several values form an axis.</summary>
    [Bounds(AtLeast = 0)]
    public IReadOnlyList<double> Guidance { get; init; } = [1.5];

    /// <summary>
    /// Decays of the evaluated weight averages, all from one run; 0 for the weights themselves. Default: the options' first average.
    /// </summary>
    [Bounds(AtLeast = 0, Below = 1)]
    public IReadOnlyList<double>? Decays { get; init; }

    /// <summary>Seed of the first picture; all arms use the same seeds.</summary>
    public ulong FirstSeed { get; init; } = 1000;

    /// <summary>Evaluate the initial model of the arms, too.</summary>
    public bool Before { get; init; } = true;

    /// <summary>Number of bootstrap resamples.</summary>
    [Bounds(AtLeast = BootstrapOptions.FewestResamples, AtMost = BootstrapOptions.MostResamples)]
    public int Resamples { get; init; } = 1000;

    /// <summary>Confidence of the intervals.</summary>
    [Bounds(AtLeast = 0.5, Below = 1)]
    public double Confidence { get; init; } = 0.95;

    /// <summary>Smallest relevant difference, as a share of the figure; default 0.01. 0 accepts every significant difference.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    [Bounds(AtLeast = 0, Below = 1)]
    public double? SmallestDifference { get; init; }

    /// <summary>For fid, kid, prdc: Inception-v3 weights in pytorch-fid's layout.</summary>
    public string? Inception { get; init; }

    /// <summary>For fd, kid, prdc: SqueezeNet 1.0 weights.</summary>
    public string? SqueezeNet { get; init; }

    /// <summary>For fd, kid, prdc: folder of a feature network trained by 'retouch features'.</summary>
    public string? RetouchFeatures { get; init; }

    /// <summary>For fd, kid, prdc: folder of a CLIP model.</summary>
    public string? Clip { get; init; }

    /// <summary>Options of the evaluator, with opened networks.</summary>
    /// <param name="device">Device of the computation.</param>
    /// <param name="opened">Receives the objects to dispose of.</param>
    public EvaluationOptions Open(Device device, List<IDisposable> opened)
    {
        List<IFeatureExtractor> networks = [];
        void Add(string? file, Func<string, Device, IFeatureExtractor> open)
        {
            if (file is null)
                return;
            networks.Add(open(file, device));
            opened.Add(networks[^1]);
        }

        Add(Inception, InceptionFeatures.Open);
        Add(SqueezeNet, SqueezeNetFeatures.Open);
        Add(Clip, ClipFeatures.Open);
        Add(RetouchFeatures, Retouch.Evaluation.Features.RetouchFeatures.Open);
        return new EvaluationOptions
        {
            Metrics = Asked,
            Networks = networks,
            Bootstrap = Bootstrap,
            Device = device,
        };
    }

    /// <summary>Options of the intervals.</summary>
    public BootstrapOptions Bootstrap => new() { Resamples = Resamples, Confidence = Confidence };

    /// <summary>Checks the options.</summary>
    /// <param name="check">Receives the problems.</param>
    public void Validate(Requirements check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.Members(this);
        foreach (var metric in Metrics.Where(static name => !MetricCatalog.All.Any(m => m.Name == name && IsOfDrawn(m))))
            check.That(false, $"{check.Name(nameof(Metrics))}: '{metric}' is not one of {MetricCatalog.Listed(IsOfDrawn)}");
        check.That(Metrics.Count > 0, nameof(Metrics), "is empty");
        check.That(SamplerSteps.Count > 0, nameof(SamplerSteps), "is empty; give at least one number of steps");
        check.That(Guidance.Count > 0, nameof(Guidance), "is empty; give at least one scale");
        check.That(Decays is null or { Count: > 0 }, nameof(Decays), "is empty; omit it, or give at least one decay");
        check.That(
            Metrics.Contains(Decisive.Split('.', '@')[0]),
            nameof(Decisive),
            $"is '{Decisive}', which is not a figure of evaluation.metrics"
        );
        var needs = MetricCatalog.All.Any(m => m.Needs.HasFlag(MetricNeeds.Network) && Metrics.Contains(m.Name));
        var has = (Inception ?? SqueezeNet ?? RetouchFeatures ?? Clip) is not null;
        check.That(
            !needs || has,
            $"{check.Name(nameof(Metrics))}: {OfNetworks("and")} need a network: evaluation.inception, squeezeNet, retouchFeatures or clip"
        );
        check.That(!has || needs, $"evaluation names a feature network that no metric uses; add {OfNetworks("or")}");
    }

    private IReadOnlyList<IMetric> Asked => [.. MetricCatalog.All.Where(m => Metrics.Contains(m.Name) && IsOfDrawn(m))];

    // Sampled pictures have no originals and, if class-conditional, no captions.
    private static bool IsOfDrawn(IMetric metric) => (metric.Needs & (MetricNeeds.Pairs | MetricNeeds.Captions)) == MetricNeeds.None;

    private static string OfNetworks(string conjunction) =>
        MetricCatalog.Listed(static m => m.Needs.HasFlag(MetricNeeds.Network), conjunction);
}
