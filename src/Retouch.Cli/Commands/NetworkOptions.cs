using System.CommandLine;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Metrics;
using Retouch.Perception;
using Retouch.Torch;

namespace Retouch.Cli.Commands;

/// <summary>Options for feature networks and saved statistics.</summary>
internal sealed class NetworkOptions
{
    private readonly Option<string?> _inception = new("--inception")
    {
        Description = "For fid, kid, prdc: Inception-v3 weights in pytorch-fid's layout (.safetensors or .pth).",
    };
    private readonly Option<string?> _squeezenet = new("--squeezenet")
    {
        Description = "For fd, kid, prdc: SqueezeNet 1.0 weights (.safetensors or .pth).",
    };
    private readonly Option<string?> _clip = new("--clip")
    {
        Description =
            "For fd, kid, prdc, clipscore: folder of a CLIP model (transformers' CLIPModel; without clipscore, also "
            + "CLIPVisionModelWithProjection).",
    };
    private readonly Option<string?> _own = new("--retouch-features")
    {
        Description = "For fd, kid, prdc: folder of a feature network trained by 'retouch features'.",
    };
    private readonly Option<string?> _lpips = new("--lpips")
    {
        Description = "For lpips: the lpips package's linear weights (.safetensors or .pth).",
    };
    private readonly Option<string?> _lpipsNetwork = new("--lpips-network")
    {
        Description = "For lpips: weights of the classifier (AlexNet, VGG-16 or SqueezeNet 1.1), in torchvision's layout.",
    };
    private readonly Option<string?> _statistics = new("--statistics")
    {
        Description = "For fid: saved statistics (.npz with mu and sigma) to compare with instead of --reference.",
    };

    public void AddTo(Command command)
    {
        AddNetworksTo(command);
        command.Add(_lpips);
        command.Add(_lpipsNetwork);
        command.Add(_statistics);
    }

    /// <summary>Options without the statistics.</summary>
    public void AddNetworksTo(Command command)
    {
        command.Add(_inception);
        command.Add(_squeezenet);
        command.Add(_clip);
        command.Add(_own);
    }

    /// <summary>Opens the given feature networks.</summary>
    /// <param name="parsed">Command line.</param>
    /// <param name="device">Device of the networks.</param>
    /// <param name="opened">Receives the networks to dispose of.</param>
    /// <param name="asked">Metrics; null if the networks are not for metrics.</param>
    public IReadOnlyList<IFeatureExtractor> Networks(
        ParseResult parsed,
        Device device,
        List<IDisposable> opened,
        IReadOnlyList<IMetric>? asked = null
    )
    {
        List<IFeatureExtractor> networks = [];
        void Add(Option<string?> option, Func<string, Device, IFeatureExtractor> open)
        {
            if (parsed.GetValue(option) is not { } file)
                return;
            networks.Add(open(file, device));
            opened.Add(networks[^1]);
        }

        Add(_inception, InceptionFeatures.Open);
        Add(_squeezenet, SqueezeNetFeatures.Open);
        // A model for clipscore only does not extract features.
        if (asked is null || !asked.OfType<ClipScoreMetric>().Any() || asked.Any(static m => m.Uses(ClipFeatures.Key)))
            Add(_clip, ClipFeatures.Open);
        Add(_own, RetouchFeatures.Open);
        return networks;
    }

    /// <summary>Checks that a metric uses each file.</summary>
    /// <exception cref="UsageException">No metric uses one of the files.</exception>
    public void Check(ParseResult parsed, IReadOnlyList<IMetric> asked)
    {
        var (linear, trunk) = (parsed.GetValue(_lpips), parsed.GetValue(_lpipsNetwork));
        if (linear is null != trunk is null)
            throw new UsageException("--lpips (linear weights) and --lpips-network (classifier) must be given together.");
        if (linear is not null && !asked.OfType<LpipsMetric>().Any())
            throw new UsageException("--lpips has an effect only with the metric lpips (--metrics).");
        if (parsed.GetValue(_statistics) is not null && !asked.OfType<FrechetInceptionMetric>().Any())
            throw new UsageException("--statistics has an effect only with the metric fid (--metrics).");
    }

    /// <summary>Metric with its network or statistics from the command line, opened.</summary>
    public IMetric Configure(ParseResult parsed, IMetric metric, Device device, List<IDisposable> opened)
    {
        T Opened<T>(T network)
            where T : IDisposable
        {
            opened.Add(network);
            return network;
        }

        return metric switch
        {
            LpipsMetric when parsed.GetValue(_lpips) is { } linear => new LpipsMetric
            {
                Network = Opened(PerceptualSimilarity.Open(parsed.GetValue(_lpipsNetwork)!, linear, device)),
            },
            ClipScoreMetric when parsed.GetValue(_clip) is { } folder => new ClipScoreMetric
            {
                Model = Opened(ClipScore.Open(folder, device)),
            },
            FrechetInceptionMetric when parsed.GetValue(_statistics) is { } file => new FrechetInceptionMetric
            {
                Statistics = FrechetStatistics.Load(file),
                StatisticsName = file,
            },
            _ => metric,
        };
    }
}
