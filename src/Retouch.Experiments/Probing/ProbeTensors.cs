using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Experiments.Probing;

/// <summary>
/// Named tensors of a probe: <c>in.*</c> of a file go in, <c>out.*</c>, <c>mid.*</c> and <c>grad.*</c> come out. A cotangent among the
/// inputs (<c>in.cot_NAME</c> for <c>out.NAME</c>, <c>in.cotangent</c> for the first output) asks for gradients of Σ⟨output, cotangent⟩.
/// </summary>
/// <param name="source">The file.</param>
/// <param name="origin">Its name, for messages.</param>
/// <param name="device">Where inputs go.</param>
internal sealed class ProbeTensors(ITensorSource source, string origin, Device device)
{
    private readonly HashSet<string> _names = [.. source.Names];
    private readonly List<KeyValuePair<string, Tensor>> _leaves = [];
    private readonly List<KeyValuePair<string, Tensor>> _outputs = [];

    /// <summary>Whether any cotangent is among the inputs.</summary>
    public bool WantsGradients => _names.Any(static n => n == "in.cotangent" || n.StartsWith("in.cot_", StringComparison.Ordinal));

    /// <summary>The outputs so far, without prefix.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Outputs => _outputs;

    /// <summary>Whether the file has an input.</summary>
    public bool Has(string name) => _names.Contains($"in.{name}");

    /// <summary>An input that gradients do not flow to.</summary>
    /// <exception cref="InputException">The file does not have it.</exception>
    public Tensor Input(string name)
    {
        if (!Has(name))
            throw new InputException(
                $"'{origin}' has no tensor 'in.{name}', which this network takes. It has "
                    + $"{string.Join(", ", _names.Order(StringComparer.Ordinal).Take(20).DefaultIfEmpty("none"))}."
            );
        return source.Read($"in.{name}").To(device);
    }

    /// <summary>An input that gradients flow to where they are asked for.</summary>
    /// <exception cref="InputException">The file does not have it.</exception>
    public Tensor Leaf(string name)
    {
        var leaf = Input(name).Clone();
        if (!leaf.DType.IsFloatingPoint())
            throw new InputException($"'{origin}': in.{name} is {leaf.DType}, expected floating-point numbers.");
        leaf.RequiresGrad = WantsGradients;
        _leaves.Add(new(name, leaf));
        return leaf;
    }

    /// <summary>Names a result.</summary>
    public void Output(string name, Tensor value) => _outputs.Add(new(name, value));

    /// <summary>Runs the backward pass from the outputs that have cotangents.</summary>
    /// <returns>Gradients of the inputs they reached, by the input's name.</returns>
    /// <exception cref="InputException">A cotangent has another shape than its output.</exception>
    public List<KeyValuePair<string, Tensor>> Gradients()
    {
        var terms = _outputs
            .Select(
                (output, k) =>
                    (
                        output,
                        Cotangent: Has($"cot_{output.Key}") ? $"cot_{output.Key}"
                        : k == 0 && Has("cotangent") ? "cotangent"
                        : null
                    )
            )
            .Where(static t => t.Cotangent is not null && t.output.Value.RequiresGrad)
            .Select(t => Product(t.output, t.Cotangent!))
            .ToList();
        if (terms.Count == 0)
            return [];
        Autograd.Backward(terms.Aggregate(static (a, b) => a + b));
        return [.. _leaves.Where(static l => l.Value.Grad is not null).Select(static l => KeyValuePair.Create(l.Key, l.Value.Grad!))];
    }

    private Tensor Product(KeyValuePair<string, Tensor> output, string name)
    {
        var cotangent = Input(name);
        if (!cotangent.Shape.AsSpan().SequenceEqual(output.Value.Shape))
            throw new InputException(
                $"'{origin}': in.{name} is [{string.Join(", ", cotangent.Shape)}], but out.{output.Key} is "
                    + $"[{string.Join(", ", output.Value.Shape)}]."
            );
        return (output.Value.To(DType.Float32) * cotangent).Sum();
    }
}
