using System.CommandLine;
using Retouch.Experiments.Probing;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Cli.Commands;

/// <summary>
/// <c>retouch probe</c>: runs one network on named tensors and writes every named result, so that anyone can compare Retouch with another
/// library.
/// </summary>
internal static class ProbeCommand
{
    private static readonly Option<string> Model = new("--model") { Description = "Folder with config.json and weights.", Required = true };
    private static readonly Option<string> Inputs = new("--inputs")
    {
        Description = "Safetensors file with tensors in.*; others are passed over.",
        Required = true,
    };
    private static readonly Option<string> Results = new("--output")
    {
        Description = "Safetensors file to write: out.*, and grad.* where cotangents (in.cotangent, in.cot_*) are among the inputs.",
        Required = true,
    };
    private static readonly Option<bool> Intermediates = new("--intermediates")
    {
        Description = "Write the outputs of inner modules too, as mid.*.",
    };
    private static readonly Option<string?> Variant = new("--variant") { Description = "Variant of the weights, fp16 for instance." };

    /// <summary>A tensor of the result.</summary>
    internal sealed record Written(string Name, IReadOnlyList<long> Shape, string Type);

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var command = new Command("probe", "Run a network on tensors of a file and write all it puts out.")
        {
            Model,
            Inputs,
            Results,
            Intermediates,
            SharedOptions.Device,
            Variant,
        };
        command.SetAction(static parsed => Run(parsed));
        return command;
    }

    private static int Run(ParseResult parsed)
    {
        var device = parsed.GetDevice();
        using var scope = TensorScope.Enter();
        using var inputs = SafetensorsFile.Open(parsed.GetRequiredValue(Inputs));
        using var component = ComponentFolder.Load(parsed.GetRequiredValue(Model), device, variant: parsed.GetValue(Variant));
        var results = Probe(component, new ProbeTensors(inputs, inputs.FilePath, device), parsed.GetValue(Intermediates));
        SafetensorsWriter.Write(parsed.GetRequiredValue(Results), results);
        var written = results.Select(static r => new Written(r.Key, r.Value.Shape, r.Value.DType.ToString())).ToList();
        results.ForEach(static r => r.Value.Dispose());
        Output
            .For(parsed)
            .Write(written, writer => written.ForEach(w => writer.WriteLine($"{w.Name} {w.Type} [{string.Join(", ", w.Shape)}]")));
        return 0;
    }

    private static List<KeyValuePair<string, Tensor>> Probe(Component component, ProbeTensors tensors, bool intermediates)
    {
        using var mode = tensors.WantsGradients ? Autograd.WithGrad() : Autograd.NoGrad();
        var seen = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        if (intermediates)
            ParametersOf(component).Observer = (name, value) => Note(seen, name, value);
        try
        {
            ComponentProbes.Run(component.Network, tensors);
            var gradients = tensors.Gradients();
            return
            [
                .. tensors.Outputs.Select(static o => KeyValuePair.Create($"out.{o.Key}", o.Value)),
                .. seen.Select(static m => KeyValuePair.Create($"mid.{m.Key}", m.Value)),
                .. gradients.Select(static g => KeyValuePair.Create($"grad.{g.Key}", g.Value)),
            ];
        }
        finally
        {
            ParametersOf(component).Observer = null;
        }
    }

    private static ParameterStore ParametersOf(Component component) =>
        ComponentRegistry.Of(component.Network).Parameters(component.Network);

    /// <summary>
    /// Copies a module's output: the module may go on to write over it. The copy outlives the module's scope and is freed with the results.
    /// </summary>
    private static void Note(Dictionary<string, Tensor> seen, string name, Tensor value)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        if (!seen.ContainsKey(name))
            seen[name] = value.Detach().Clone().Escape();
    }
}
