using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Experiments.Probing;

/// <summary>
/// Named tensors of a probe: <c>in.*</c> of a file are inputs; <c>out.*</c>, <c>mid.*</c> and <c>grad.*</c> are results. A cotangent among
/// the inputs (<c>in.cot_NAME</c> for <c>out.NAME</c>, <c>in.cotangent</c> for the first output) requests gradients of Σ⟨output,
/// cotangent⟩.
/// </summary>
/// <param name="source">Inputs.</param>
/// <param name="origin">Name of their file, for messages.</param>
/// <param name="device">Device of the inputs.</param>
internal sealed class ProbeTensors(ITensorSource source, string origin, Device device)
{
    private readonly HashSet<string> _names = [.. source.Names];
    private readonly List<KeyValuePair<string, Tensor>> _leaves = [];
    private readonly List<KeyValuePair<string, Tensor>> _outputs = [];

    /// <summary>Whether the inputs contain a cotangent.</summary>
    public bool WantsGradients => _names.Any(static n => n == "in.cotangent" || n.StartsWith("in.cot_", StringComparison.Ordinal));

    /// <summary>Outputs so far, without prefix.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Outputs => _outputs;

    /// <summary>Whether an input exists.</summary>
    public bool Has(string name) => _names.Contains($"in.{name}");

    /// <summary>Input without gradient.</summary>
    /// <exception cref="InputException">The input is missing.</exception>
    public Tensor Input(string name)
    {
        if (!Has(name))
            throw new InputException(
                $"'{origin}' has no tensor 'in.{name}', which this network requires. It has "
                    + $"{string.Join(", ", _names.Order(StringComparer.Ordinal).Take(20).DefaultIfEmpty("none"))}."
            );
        return source.Read($"in.{name}").To(device);
    }

    /// <summary>Input that requires gradients if a cotangent is given.</summary>
    /// <exception cref="InputException">The input is missing or not of a floating-point type.</exception>
    public Tensor Leaf(string name)
    {
        var leaf = Input(name).Clone();
        if (!leaf.DType.IsFloatingPoint())
            throw new InputException($"'{origin}': in.{name} is {leaf.DType}, expected floating-point numbers.");
        leaf.RequiresGrad = WantsGradients;
        _leaves.Add(new(name, leaf));
        return leaf;
    }

    /// <summary>Stores a result under a name.</summary>
    public void Output(string name, Tensor value) => _outputs.Add(new(name, value));

    /// <summary>Runs the backward pass from all outputs with cotangents.</summary>
    /// <returns>Gradients by the name of the input.</returns>
    /// <exception cref="InputException">Shapes of a cotangent and its output differ.</exception>
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
