using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Diffusers;

/// <summary>Contents of a component folder, determined without loading weights.</summary>
/// <param name="ClassName">Class name in the configuration.</param>
/// <param name="Network">Network without allocated parameters; disposed with the summary.</param>
/// <param name="Files">Weight files.</param>
/// <param name="Bytes">Total size of the weight files.</param>
/// <param name="Types">Number of stored elements by type.</param>
/// <param name="Problems">Missing, unexpected or misshapen keys, or the error on opening the weights; the first twenty and the number of
/// others.</param>
public sealed record ComponentSummary(
    string ClassName,
    IDisposable Network,
    IReadOnlyList<string> Files,
    long Bytes,
    IReadOnlyDictionary<DType, long> Types,
    IReadOnlyList<string> Problems
) : IDisposable
{
    /// <summary>Parameters of the network.</summary>
    public ParameterStore Parameters => ComponentRegistry.Of(Network).Parameters(Network);

    /// <summary>Feature taps of a decoder; empty for other networks.</summary>
    public IReadOnlyList<DecoderTap> Taps => (Network as IAutoencoder)?.Taps ?? [];

    /// <summary>Summarises a folder.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="variant">Variant of the weights; see <see cref="WeightFiles.Open"/>.</param>
    /// <exception cref="InputException">The configuration is missing, invalid, or of an unsupported class.</exception>
    public static ComponentSummary Of(string folder, string? variant = null)
    {
        var component = ComponentFolder.Describe(folder);
        var kind = ComponentRegistry.Of(component.Network);
        try
        {
            using var weights = ComponentFolder.OpenWeights(folder, kind, variant);
            var types = weights
                .Names.GroupBy(weights.DTypeOf)
                .ToDictionary(static g => g.Key, g => g.Sum(name => weights.ShapeOf(name).Aggregate(1L, static (a, b) => a * b)));
            return new ComponentSummary(
                component.ClassName,
                component.Network,
                [.. weights.Files],
                weights.Files.Sum(static f => new FileInfo(f).Length),
                types,
                [.. Excerpt.First(kind.Parameters(component.Network).Compare(weights))]
            );
        }
        catch (InputException e)
        {
            return new ComponentSummary(component.ClassName, component.Network, [], 0, new Dictionary<DType, long>(), [e.Message]);
        }
        catch
        {
            component.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Network.Dispose();
}
