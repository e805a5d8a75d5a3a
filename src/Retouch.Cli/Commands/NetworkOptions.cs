using System.CommandLine;
using Retouch.Core.Errors;
using Retouch.Evaluation;
using Retouch.Evaluation.Features;
using Retouch.Torch;

namespace Retouch.Cli.Commands;

/// <summary>Options for feature networks and saved statistics.</summary>
internal sealed class NetworkOptions
{
    private readonly Option<string?> inception = new("--inception")
    {
        Description = "For fid, kid, prdc: Inception-v3 weights in pytorch-fid's layout (.safetensors or .pth).",
    };
    private readonly Option<string?> squeezenet = new("--squeezenet")
    {
        Description = "For fd, kid, prdc: SqueezeNet 1.0 weights (.safetensors or .pth).",
    };
    private readonly Option<string?> clip = new("--clip")
    {
        Description =
            "For fd, kid, prdc, clipscore: folder of a CLIP model (transformers' CLIPModel; without clipscore, also "
            + "CLIPVisionModelWithProjection).",
    };
    private readonly Option<string?> own = new("--retouch-features")
    {
        Description = "For fd, kid, prdc: folder of a feature network that 'retouch features' trained.",
    };
    private readonly Option<string?> lpips = new("--lpips")
    {
        Description = "For lpips: the lpips package's linear weights (.safetensors or .pth).",
    };
    private readonly Option<string?> lpipsNetwork = new("--lpips-network")
    {
        Description =
            "For lpips: weights of the classifier that they belong to (AlexNet, VGG-16 or SqueezeNet 1.1), in torchvision's layout.",
    };
    private readonly Option<string?> statistics = new("--statistics")
    {
        Description = "For fid: saved statistics (.npz with mu and sigma) to compare with instead of --reference.",
    };

    public void AddTo(Command command)
    {
        AddNetworksTo(command);
        command.Add(lpips);
        command.Add(lpipsNetwork);
        command.Add(statistics);
    }

    /// <summary>Without the statistics.</summary>
    public void AddNetworksTo(Command command)
    {
        command.Add(inception);
        command.Add(squeezenet);
        command.Add(clip);
        command.Add(own);
    }

    /// <summary>Opens the named feature networks.</summary>
    public IReadOnlyList<IFeatureExtractor> Networks(ParseResult parsed, Device device, List<IDisposable> opened, bool withClip = true)
    {
        List<IFeatureExtractor> networks = [];
        void Add(Option<string?> option, Func<string, Device, IFeatureExtractor> open)
        {
            if (parsed.GetValue(option) is not { } file)
                return;
            networks.Add(open(file, device));
            opened.Add(networks[^1]);
        }

        Add(inception, InceptionFeatures.Open);
        Add(squeezenet, SqueezeNetFeatures.Open);
        if (withClip)
            Add(clip, ClipFeatures.Open);
        Add(own, RetouchFeatures.Open);
        return networks;
    }

    private PerceptualSimilarity? Perceptual(ParseResult parsed, Device device, List<IDisposable> opened)
    {
        var (linear, trunk) = (parsed.GetValue(lpips), parsed.GetValue(lpipsNetwork));
        if (linear is null != trunk is null)
            throw new UsageException(
                "--lpips and --lpips-network belong together: the linear weights, and the classifier that they weight."
            );
        if (linear is null)
            return null;
        var network = PerceptualSimilarity.Open(trunk!, linear, device);
        opened.Add(network);
        return network;
    }

    /// <summary>The options with opened networks.</summary>
    public EvaluationOptions Open(ParseResult parsed, EvaluationOptions options, List<IDisposable> opened)
    {
        var file = parsed.GetValue(statistics);
        ClipScore? score = null;
        if (options.Metrics.HasFlag(Metrics.ClipScore) && parsed.GetValue(clip) is { } folder)
        {
            score = ClipScore.Open(folder, options.Device);
            opened.Add(score);
        }

        // A model that clipscore uses need not give features too.
        var withClip = score is null || (options.Metrics & (Metrics.Fd | Metrics.Kid | Metrics.Prdc)) != Metrics.None;
        return options with
        {
            Networks = Networks(parsed, options.Device, opened, withClip),
            Perceptual = Perceptual(parsed, options.Device, opened),
            ClipScore = score,
            Statistics = file is null ? null : FrechetStatistics.Load(file),
            StatisticsName = file,
        };
    }
}
