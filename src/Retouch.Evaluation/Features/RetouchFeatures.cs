using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Perception;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Evaluation.Features;

/// <summary>
/// Features of a classifier trained by Retouch on the user's classes, for use without the weights of a published network. Distances on
/// these features compare models with each other; they are not comparable with published numbers and always carry the name
/// <c>retouch-features</c>.
/// </summary>
public sealed class RetouchFeatures : IFeatureExtractor
{
    private readonly FeatureNetwork _network;

    internal RetouchFeatures(FeatureNetworkConfig config, string name = "", string hash = "")
    {
        Config = config;
        _network = new FeatureNetwork(config, Parameters.Root);
        Protocol = new(
            "retouch-features",
            $"a classifier of {config.Classes.Count} classes, trained by Retouch on {config.Pictures} pictures (accuracy "
                + $"{config.Accuracy:0.000})",
            config.Width,
            $"bilinear with antialias to {config.Size} x {config.Size}",
            name,
            hash
        );
    }

    /// <inheritdoc/>
    public FeatureProtocol Protocol { get; }

    /// <summary>Configuration, classes and accuracy.</summary>
    public FeatureNetworkConfig Config { get; }

    /// <summary>Parameters.</summary>
    public ParameterStore Parameters { get; } = new();

    /// <summary>Opens a folder written by <see cref="Save"/>.</summary>
    /// <exception cref="InputException">A file is missing or damaged, or of another network.</exception>
    public static RetouchFeatures Open(string folder, Device device)
    {
        var config = FeatureNetworkConfig.Read(folder);
        var hash = FeatureWeights.Hash(FeatureNetwork.WeightsOf(folder));
        var result = new RetouchFeatures(config, Path.GetFileName(Path.TrimEndingDirectorySeparator(folder)), hash);
        try
        {
            FeatureNetwork.Load(result.Parameters, folder, device);
            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    /// <summary>Writes the network as a folder, atomically.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="config">Configuration, with the measured accuracy.</param>
    public void Save(string folder, FeatureNetworkConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        AtomicFolder.Write(
            folder,
            temporary =>
            {
                File.WriteAllText(FeatureNetworkConfig.FileOf(temporary), config.ToJson().ToJsonString(JsonStyles.State) + "\n");
                SafetensorsWriter.Write(FeatureNetwork.WeightsOf(temporary), Parameters.Tensors());
            }
        );
    }

    /// <inheritdoc/>
    public Tensor Extract(Tensor images)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        return scope.Keep(_network.Features(_network.Resized(images)));
    }

    /// <summary>Logits of the classes [batch, classes]; differentiable.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1].</param>
    public Tensor Logits(Tensor images)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(_network.Logits(_network.Features(_network.Resized(images))));
    }

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();
}
