using System.CommandLine;
using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Experiments.Probing;
using Retouch.Objectives;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;
using Retouch.Training.Options;

namespace Retouch.Cli.Commands;

/// <summary>
/// <c>retouch probe</c>: runs one network, or one objective behind a decoder, on named tensors and writes every named result, for
/// comparison with other libraries.
/// </summary>
internal static class ProbeCommand
{
    private static readonly Option<string> Model = new("--model") { Description = "Folder with config.json and weights.", Required = true };
    private static readonly Option<string> Inputs = new("--inputs")
    {
        Description = "Safetensors file with tensors in.*; others are ignored.",
        Required = true,
    };
    private static readonly Option<string> Results = new("--output")
    {
        Description = "Output file (safetensors): out.*, and grad.* if the inputs contain cotangents (in.cotangent, in.cot_*).",
        Required = true,
    };
    private static readonly Option<bool> Intermediates = new("--intermediates")
    {
        Description = "Also write the outputs of inner modules, as mid.*.",
    };
    private static readonly Option<string?> Variant = new("--variant") { Description = "Variant of the weights, such as fp16." };

    private static readonly Option<string?> Objective = new("--objective")
    {
        Description =
            "Evaluate a term of the loss instead, with weight 1, through the autoencoder in --model: lpl, pixel, dpo or simpo, with "
            + "default options. Inputs: in.z0, in.z0_hat (raw latents), in.sigma (noise level) or in.time (of a flow); in.noise for all "
            + "but lpl, in.images if they are the target, in.z0_hat_reference for dpo (winners first, then their losers), "
            + "in.window with objective.decodeCrop.",
    };

    /// <summary>Tensor of the result.</summary>
    internal sealed record Written(string Name, IReadOnlyList<long> Shape, string Type);

    /// <summary>Creates the verb.</summary>
    public static Command Create()
    {
        var command = new Command("probe", "Run a network, or an objective behind a decoder, on tensors of a file and write all outputs.")
        {
            Model,
            Inputs,
            Results,
            Intermediates,
            Objective,
            ObjectiveFlags.Values,
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
        var folder = parsed.ModelAt(parsed.GetRequiredValue(Model));
        using var component = ComponentFolder.Load(folder, device, variant: parsed.GetValue(Variant));
        var tensors = new ProbeTensors(inputs, inputs.FilePath, device);
        var results = OptionsOf(parsed) is { } options
            ? new ObjectiveProbe(DecoderOf(component), tensors).Run(options)
            : Probe(component, tensors, parsed.GetValue(Intermediates));
        SafetensorsWriter.Write(parsed.GetRequiredValue(Results), results);
        var written = results.Select(static r => new Written(r.Key, r.Value.Shape, r.Value.DType.ToString())).ToList();
        results.ForEach(static r => r.Value.Dispose());
        Output
            .For(parsed)
            .Write(written, writer => written.ForEach(w => writer.WriteLine($"{w.Name} {w.Type} [{string.Join(", ", w.Shape)}]")));
        return 0;
    }

    /// <summary>Requested term; null for the network itself.</summary>
    private static ObjectiveOptions? OptionsOf(ParseResult parsed)
    {
        if (parsed.GetValue(Objective) is not { } name)
            return (parsed.GetValue(ObjectiveFlags.Values) ?? []).Length == 0 ? null : throw new UsageException("--set needs --objective.");
        if (name is not ("lpl" or "pixel" or "dpo" or "simpo"))
            throw new UsageException($"--objective: '{name}' is not one of lpl, pixel, dpo, simpo; a probe evaluates a single term.");
        if (parsed.GetValue(Intermediates))
            throw new UsageException("--intermediates has no effect with --objective.");
        var json = new JsonObject();
        ObjectiveFlags.Put(json, name);
        ObjectiveFlags.PutValues(json, parsed);
        if (json.Count > 1)
            throw new UsageException(
                $"A probe accepts options of objective.* only, not '{json.First(static p => p.Key != "objective").Key}'."
            );
        var options = OptionsFile.Bind<TrainingOptions>(json, "command line").Objective!;
        options = options with
        {
            LatentWeight = 0,
            Perceptual = options.Perceptual is { } lpl ? lpl with { Weight = 1 } : null,
            Pixel = options.Pixel is { } pixel ? pixel with { Weight = 1 } : null,
            Preference = options.Preference is { } preference ? preference with { Weight = 1 } : null,
        };
        var check = Requirements.OfFile("objective");
        options.Validate(check);
        check.Throw("Invalid options");
        return options;
    }

    private static IAutoencoder DecoderOf(Component component) =>
        component.Network as IAutoencoder
        ?? throw new InputException($"--objective needs a decoder: give an autoencoder as --model, not {component.ClassName}.");

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
    /// Copies a module's output, since the module may overwrite it. The copy outlives the module's scope and is freed with the results.
    /// </summary>
    private static void Note(Dictionary<string, Tensor> seen, string name, Tensor value)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        if (!seen.ContainsKey(name))
            seen[name] = value.Detach().Clone().Escape();
    }
}
