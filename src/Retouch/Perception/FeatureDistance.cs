using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Perception;

/// <summary>
/// Perceptual distance on the stages of a classifier trained by Retouch (<c>retouch features</c>): LPIPS without learned weights (Zhang et
/// al. 2018, eq. 1 with w = 1). Its values are not comparable with LPIPS.
/// </summary>
public sealed class FeatureDistance : IPerceptualDistance
{
    private readonly ParameterStore _store = new();
    private readonly FeatureNetwork _network;
    private readonly FeatureNetworkConfig _config;
    private readonly string _name;

    private FeatureDistance(FeatureNetworkConfig config, string folder)
    {
        _config = config;
        _name = Path.GetFileName(Path.TrimEndingDirectorySeparator(folder));
        _network = new FeatureNetwork(config, _store.Root);
    }

    /// <inheritdoc/>
    public string Description => $"{_name}, a classifier of {_config.Classes.Count} classes";

    /// <summary>Opens a feature network.</summary>
    /// <param name="folder">Folder written by <c>retouch features</c>.</param>
    /// <param name="device">Device of the network.</param>
    /// <exception cref="Core.Errors.InputException">A file is missing or damaged, or of another network.</exception>
    public static FeatureDistance Open(string folder, Device device)
    {
        var result = new FeatureDistance(FeatureNetworkConfig.Read(folder), folder);
        try
        {
            FeatureNetwork.Load(result._store, folder, device);
            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public Tensor Distances(Tensor images, Tensor reference)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(StageDistance.Of(Stages(images), Stages(reference), null));
    }

    /// <inheritdoc/>
    public void Dispose() => _store.Dispose();

    private Tensor[] Stages(Tensor images) => _network.StagesOf(_network.Resized(images));
}
