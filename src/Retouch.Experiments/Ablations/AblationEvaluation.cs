using System.Text.Json.Serialization;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Experiments.Ablations;

/// <summary>How arms are measured. Lists are axes that need no training again.</summary>
public sealed record AblationEvaluation
{
    /// <summary>Names of 'retouch evaluate --metrics', but for those that need originals or captions.</summary>
    public IReadOnlyList<string> Metrics { get; init; } = MetricCatalog.Usual;

    /// <summary>The figure that decides, chosen before the result is known: fwd, spectrum, fid, ….</summary>
    public string Decisive { get; init; } = "fwd";

    /// <summary>Pictures drawn from every model.</summary>
    [Bounds(AtLeast = 4, AtMost = 100_000)]
    public int Samples { get; init; } = 128;

    /// <summary>Real pictures measured against, at most; default as many as are drawn.</summary>
    [Bounds(AtLeast = 2, AtMost = 1_000_000)]
    public int? References { get; init; }

    /// <summary>Sampler steps of a picture; several are an axis.</summary>
    [Bounds(AtLeast = 1, AtMost = 1000)]
    public IReadOnlyList<int> SamplerSteps { get; init; } = [25];

    /// <summary>Scales of classifier-free guidance; several are an axis.</summary>
    [Bounds(AtLeast = 0)]
    public IReadOnlyList<double> Guidance { get; init; } = [1.5];

    /// <summary>
    /// Decays of the weights' averages that are drawn from, all kept by one run; 0 is the weights themselves. Default: the options'
    /// first average.
    /// </summary>
    [Bounds(AtLeast = 0, Below = 1)]
    public IReadOnlyList<double>? Decays { get; init; }

    /// <summary>The seed of the first picture; all arms draw the same seeds.</summary>
    public ulong FirstSeed { get; init; } = 1000;

    /// <summary>Measure the model that arms start from, too.</summary>
    public bool Before { get; init; } = true;

    /// <summary>Bootstrap resamples.</summary>
    [Bounds(AtLeast = BootstrapOptions.FewestResamples, AtMost = BootstrapOptions.MostResamples)]
    public int Resamples { get; init; } = 1000;

    /// <summary>Confidence of the intervals.</summary>
    [Bounds(AtLeast = 0.5, Below = 1)]
    public double Confidence { get; init; } = 0.95;

    /// <summary>Smallest difference worth naming, as a share of the figure; default 0.01. 0 names all that the intervals show.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    [Bounds(AtLeast = 0, Below = 1)]
    public double? SmallestDifference { get; init; }

    /// <summary>For fid, kid, prdc: Inception-v3 weights in pytorch-fid's layout.</summary>
    public string? Inception { get; init; }

    /// <summary>For fd, kid, prdc: SqueezeNet 1.0 weights.</summary>
    public string? SqueezeNet { get; init; }

    /// <summary>For fd, kid, prdc: folder of a feature network that 'retouch features' trained.</summary>
    public string? RetouchFeatures { get; init; }

    /// <summary>For fd, kid, prdc: folder of a CLIP model.</summary>
    public string? Clip { get; init; }

    /// <summary>What decides the figures, as the evaluator takes it; networks are opened.</summary>
    /// <param name="device">Where to compute.</param>
    /// <param name="opened">Takes what is to be disposed of.</param>
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

    /// <summary>How intervals are made.</summary>
    public BootstrapOptions Bootstrap => new() { Resamples = Resamples, Confidence = Confidence };

    /// <summary>Validates the options.</summary>
    /// <param name="check">Receives the problems.</param>
    public void Validate(Requirements check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.Members(this);
        foreach (var metric in Metrics.Where(static name => !MetricCatalog.All.Any(m => m.Name == name && IsOfDrawn(m))))
            check.That(false, $"{check.Name(nameof(Metrics))}: '{metric}' is none of {MetricCatalog.Listed(IsOfDrawn)}");
        check.That(Metrics.Count > 0, nameof(Metrics), "is empty");
        check.That(SamplerSteps.Count > 0, nameof(SamplerSteps), "is empty; give at least one number of steps");
        check.That(Guidance.Count > 0, nameof(Guidance), "is empty; give at least one scale");
        check.That(Decays is null or { Count: > 0 }, nameof(Decays), "is empty; leave it out, or give at least one decay");
        check.That(
            Metrics.Contains(Decisive.Split('.', '@')[0]),
            nameof(Decisive),
            $"is '{Decisive}', which evaluation.metrics does not measure"
        );
        var needs = MetricCatalog.All.Any(m => m.Needs.HasFlag(MetricNeeds.Network) && Metrics.Contains(m.Name));
        var has = (Inception ?? SqueezeNet ?? RetouchFeatures ?? Clip) is not null;
        check.That(
            !needs || has,
            $"{check.Name(nameof(Metrics))}: {OfNetworks("and")} need a network: evaluation.inception, squeezeNet, retouchFeatures or clip"
        );
        check.That(!has || needs, $"evaluation names a feature network that no metric uses; ask for {OfNetworks("or")}");
    }

    private IReadOnlyList<IMetric> Asked => [.. MetricCatalog.All.Where(m => Metrics.Contains(m.Name) && IsOfDrawn(m))];

    // A drawn picture has no original and, drawn from a class, no caption.
    private static bool IsOfDrawn(IMetric metric) => (metric.Needs & (MetricNeeds.Pairs | MetricNeeds.Captions)) == MetricNeeds.None;

    private static string OfNetworks(string conjunction) =>
        MetricCatalog.Listed(static m => m.Needs.HasFlag(MetricNeeds.Network), conjunction);
}
