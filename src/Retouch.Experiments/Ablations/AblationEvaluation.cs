using System.Text.Json.Serialization;
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
    public int Samples { get; init; } = 128;

    /// <summary>Real pictures measured against, at most; default as many as are drawn.</summary>
    public int? References { get; init; }

    /// <summary>Sampler steps of a picture; several are an axis.</summary>
    public IReadOnlyList<int> SamplerSteps { get; init; } = [25];

    /// <summary>Scales of classifier-free guidance; several are an axis.</summary>
    public IReadOnlyList<double> Guidance { get; init; } = [1.5];

    /// <summary>
    /// Decays of the weights' averages that are drawn from, all kept by one run; 0 is the weights themselves. Default: the options'
    /// first average.
    /// </summary>
    public IReadOnlyList<double>? Decays { get; init; }

    /// <summary>The seed of the first picture; all arms draw the same seeds.</summary>
    public ulong FirstSeed { get; init; } = 1000;

    /// <summary>Measure the model that arms start from, too.</summary>
    public bool Before { get; init; } = true;

    /// <summary>Bootstrap resamples.</summary>
    public int Resamples { get; init; } = 1000;

    /// <summary>Confidence of the intervals.</summary>
    public double Confidence { get; init; } = 0.95;

    /// <summary>Smallest difference worth naming, as a share of the figure; default 0.01. 0 names all that the intervals show.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
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

    /// <summary>Checks the options.</summary>
    /// <param name="require">Takes whether a rule holds, and the message if not.</param>
    public void Validate(Action<bool, string> require)
    {
        foreach (var metric in Metrics.Where(static name => !MetricCatalog.All.Any(m => m.Name == name && IsOfDrawn(m))))
            require(false, $"evaluation.metrics: '{metric}' is none of {MetricCatalog.Listed(IsOfDrawn)}");
        require(Metrics.Count > 0, "evaluation.metrics is empty");
        require(
            Metrics.Contains(Decisive.Split('.', '@')[0]),
            $"evaluation.decisive is '{Decisive}', which evaluation.metrics does not measure"
        );
        require(Samples is >= 4 and <= 100_000, $"evaluation.samples is {Samples}; it lies between 4 and 100000");
        require(References is null or (>= 2 and <= 1_000_000), $"evaluation.references is {References}; it is at least 2");
        require(
            SamplerSteps.Count > 0 && SamplerSteps.All(static s => s is >= 1 and <= 1000),
            "evaluation.samplerSteps: each lies between 1 and 1000"
        );
        require(Guidance.Count > 0 && Guidance.All(static g => g >= 0 && double.IsFinite(g)), "evaluation.guidance: each is at least 0");
        require(
            Decays is null || (Decays.Count > 0 && Decays.All(static d => d is >= 0 and < 1)),
            "evaluation.decays: each lies in [0, 1)"
        );
        require(Resamples is >= 100 and <= 100_000, $"evaluation.resamples is {Resamples}; 100 to 100000 are possible");
        require(
            SmallestDifference is null or (>= 0 and < 1),
            $"evaluation.smallestDifference is {SmallestDifference}; it is a share of the figure, from 0 up to 1"
        );
        require(Confidence is >= 0.5 and < 1, $"evaluation.confidence is {Confidence}; it lies between 0.5 and 1");
        var needs = MetricCatalog.All.Any(m => m.Needs.HasFlag(MetricNeeds.Network) && Metrics.Contains(m.Name));
        var has = (Inception ?? SqueezeNet ?? RetouchFeatures ?? Clip) is not null;
        require(
            !needs || has,
            $"evaluation.metrics: {OfNetworks("and")} need a network: evaluation.inception, squeezeNet, retouchFeatures or clip"
        );
        require(!has || needs, $"evaluation names a feature network that no metric uses; ask for {OfNetworks("or")}");
    }

    private IReadOnlyList<IMetric> Asked => [.. MetricCatalog.All.Where(m => Metrics.Contains(m.Name) && IsOfDrawn(m))];

    // A drawn picture has no original and, drawn from a class, no caption.
    private static bool IsOfDrawn(IMetric metric) => (metric.Needs & (MetricNeeds.Pairs | MetricNeeds.Captions)) == MetricNeeds.None;

    private static string OfNetworks(string conjunction) =>
        MetricCatalog.Listed(static m => m.Needs.HasFlag(MetricNeeds.Network), conjunction);
}
