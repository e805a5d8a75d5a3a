using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Diffusers;

/// <summary>What a component folder holds, found without memory for a single weight.</summary>
/// <param name="ClassName">The class that its configuration names.</param>
/// <param name="Network">The network without memory for its parameters; whoever holds the summary disposes it.</param>
/// <param name="Files">The files of its weights.</param>
/// <param name="Bytes">Their length on the disk.</param>
/// <param name="Types">Stored elements by type.</param>
/// <param name="Problems">Keys that are missing, unexpected or of another shape, or why the weights cannot be opened; the first twenty and
/// how many more.</param>
public sealed record ComponentSummary(
    string ClassName,
    IDisposable Network,
    IReadOnlyList<string> Files,
    long Bytes,
    IReadOnlyDictionary<DType, long> Types,
    IReadOnlyList<string> Problems
) : IDisposable
{
    /// <summary>Its tensors.</summary>
    public ParameterStore Parameters => ComponentRegistry.Of(Network).Parameters(Network);

    /// <summary>Places of a decoder where features can be taken; none for other networks.</summary>
    public IReadOnlyList<DecoderTap> Taps => (Network as IAutoencoder)?.Taps ?? [];

    /// <summary>Looks into a folder.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="variant">Which variant of the weights; see <see cref="WeightFiles.Open"/>.</param>
    /// <exception cref="InputException">The configuration is missing, broken, or of a class that is not supported.</exception>
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
                Compare(component.Network, kind, weights, folder)
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

    /// <summary>Loads up to the first tensor: all keys are compared before it, older names included.</summary>
    private static List<string> Compare(IDisposable network, ComponentKind kind, ITensorSource weights, string folder)
    {
        try
        {
            kind.Load(network, new KeysOnly(weights), Device.Cpu, null, folder);
        }
        catch (KeysFitException)
        {
            return [];
        }
        catch (InputException e)
        {
            return
            [
                .. e
                    .Message.Split('\n')
                    .Where(static line => line.StartsWith("  ", StringComparison.Ordinal))
                    .Select(static line => line.Trim())
                    .DefaultIfEmpty(e.Message),
            ];
        }

        return [];
    }

    private sealed class KeysFitException : Exception;

    /// <summary>A checkpoint that has no numbers to give.</summary>
    private sealed class KeysOnly(ITensorSource source) : ITensorSource
    {
        public IEnumerable<string> Names => source.Names;

        public long[] ShapeOf(string name) => source.ShapeOf(name);

        public Tensor Read(string name) => throw new KeysFitException();

        public Tensor ReadOwned(string name) => throw new KeysFitException();
    }
}
