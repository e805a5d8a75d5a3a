using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Cli.Tests;

/// <summary>Objectives evaluated by <c>retouch probe</c> equal an independent implementation, or results of other probes.</summary>
public sealed class ObjectiveProbeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-probe-").FullName;

    private string Results => Path.Combine(_folder, "out.safetensors");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("lpl_clean", "shared", "estimate", true)]
    [InlineData("lpl_outliers", "shared", "estimate", false)]
    [InlineData("lpl_outliers", "separate", "own", true)]
    public void The_latent_perceptual_loss_equals_the_golden(string name, string golden, string statistics, bool detached)
    {
        using var scope = TensorScope.Enter();
        var folder = ProbeTests.GoldenFolder(name);
        Probe(
            folder,
            Path.Combine(folder, "io.safetensors"),
            "lpl",
            "taps=[0,1,2,3,4]",
            $"statistics={statistics}",
            $"statisticsGradient={(detached ? 0 : 1)}",
            "varianceFloor=0",
            "depthWeighting=exponential",
            "threshold=5",
            "sampleReduction=active"
        );
        using var expected = SafetensorsFile.Open(Path.Combine(folder, "io.safetensors"));
        using var actual = SafetensorsFile.Open(Results);
        var tag = $"exp2.{golden}.{(detached ? "detached" : "attached")}";
        Near(expected.Read($"out.{tag}.total"), actual.Read("out.loss"));
        Near(expected.Read($"out.{tag}.per_layer"), actual.Read("out.per_layer"));
        Near(expected.Read($"grad.{tag}.z0_hat"), actual.Read("grad.z0_hat"));
        // The golden counts unmasked pixels of all samples; the figure counts masked pixels of samples below the threshold.
        for (var layer = 0; layer < 5; layer++)
            Near(expected.Read($"out.mask_fraction.{layer}").Mean(), 1 - actual.Read($"out.figures.lpl/masked/tap{layer}").Mean(), 0.002);
    }

    /// <summary>The loss by two probes of the autoencoder: its decodings, and its gradient for the cotangent 2(D(ẑ0) − D(z0))/N.</summary>
    [Fact]
    public void The_pixel_loss_equals_the_error_of_decodings()
    {
        using var scope = TensorScope.Enter();
        var folder = ProbeTests.GoldenFolder("lpl_clean");
        using var golden = SafetensorsFile.Open(Path.Combine(folder, "io.safetensors"));
        var (clean, estimate) = (golden.Read("in.z0"), golden.Read("in.z0_hat"));
        var inputs = Write(
            ("in.z0", clean),
            ("in.z0_hat", estimate),
            ("in.time", Tensor.From([.. Enumerable.Range(1, (int)clean.Shape[0]).Select(static k => 0.3f * k)])),
            ("in.noise", Ops.ZerosLike(clean))
        );
        Probe(folder, inputs, "pixel", "estimate=x0", "target=decoding");
        using var actual = SafetensorsFile.Open(Results);
        var (loss, gradient) = (actual.Read("out.loss"), actual.Read("grad.z0_hat"));

        var target = Decode(folder, clean, null).Decoded;
        var difference = Decode(folder, estimate, null).Decoded - target;
        Near(difference.Square().Mean(), loss);
        Near(Decode(folder, estimate, difference * (2.0 / difference.Count)).Gradient!, gradient);
    }

    /// <summary>A window without a halo has the values of a probe of the cropped latents.</summary>
    [Fact]
    public void A_window_without_a_halo_is_a_small_picture()
    {
        using var scope = TensorScope.Enter();
        var folder = ProbeTests.GoldenFolder("lpl_clean");
        using var golden = SafetensorsFile.Open(Path.Combine(folder, "io.safetensors"));
        var (clean, estimate) = (golden.Read("in.z0"), golden.Read("in.z0_hat"));
        var (samples, side, f) = (clean.Shape[0], clean.Shape[2], 8);
        var time = ("in.time", Tensor.From([.. Enumerable.Range(1, (int)samples).Select(static k => 0.1f * k)]));
        Tensor Cut(Tensor x) => x.Narrow(2, side / 2, side / 2).Narrow(3, 0, side / 2).Contiguous();
        Probe(folder, Write(("in.z0", Cut(clean)), ("in.z0_hat", Cut(estimate)), time), "lpl", "rgb=true");
        Tensor loss,
            layers,
            gradient;
        using (var small = SafetensorsFile.Open(Results))
            (loss, layers, gradient) = (small.Read("out.loss"), small.Read("out.per_layer"), small.Read("grad.z0_hat"));
        long[] places = [.. Enumerable.Range(0, (int)samples).SelectMany(_ => (long[])[side / 2 * f, 0])];
        var inputs = Write(("in.z0", clean), ("in.z0_hat", estimate), time, ("in.window", Tensor.From(places, samples, 2)));
        var outcome = RetouchInProcess.Run([
            .. (string[])["probe", "--model", folder, "--inputs", inputs, "--output", Results, "--objective", "lpl"],
            .. (string[])["--set", "objective.perceptual.rgb=true", "--set", $"objective.decodeCrop={side / 2 * f}"],
            .. (string[])["--set", "objective.decodeHalo=0"],
        ]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        using var actual = SafetensorsFile.Open(Results);
        Near(loss, actual.Read("out.loss"));
        Near(layers, actual.Read("out.per_layer"));
        Near(gradient, Cut(actual.Read("grad.z0_hat")));
        Refused(3, "in.window has no effect", folder, inputs, "lpl");
        Refused(3, "needs in.window", folder, Write(("in.z0", clean), ("in.z0_hat", estimate), time), "lpl", "objective.decodeCrop=16");
        var wrong = Write(("in.z0", clean), ("in.z0_hat", estimate), time, ("in.window", Tensor.From(places, samples, 2) + 4));
        Refused(3, "it must be a multiple of 8 from 0 to", folder, wrong, "lpl", "objective.decodeCrop=16");
    }

    /// <summary>DPO in latent space by its formula: −log σ(−β·½·[(w − w_ref) − (l − l_ref)]) of mean squared errors of ε.</summary>
    [Fact]
    public void Dpo_equals_its_formula()
    {
        using var scope = TensorScope.Enter();
        var folder = ProbeTests.GoldenFolder("lpl_clean");
        using var golden = SafetensorsFile.Open(Path.Combine(folder, "io.safetensors"));
        var clean = golden.Read("in.z0").Narrow(0, 0, 2);
        var estimate = golden.Read("in.z0_hat").Narrow(0, 0, 2);
        var reference = clean + ((estimate - clean) * 1.001);
        var sigma = 2f;
        var inputs = Write(
            ("in.z0", clean.Contiguous()),
            ("in.z0_hat", estimate.Contiguous()),
            ("in.z0_hat_reference", reference),
            ("in.noise", Ops.ZerosLike(clean)),
            ("in.sigma", Tensor.From([sigma, sigma]))
        );
        Probe(folder, inputs, "dpo", "beta=50");
        using var actual = SafetensorsFile.Open(Results);

        // ε̂ − ε = −(ẑ0 − z0)/σ, in scaled latents.
        var scale = ScalingFactor(folder);
        float[] Errors(Tensor of) => ((of - clean) * (scale / sigma)).Square().Mean([1L, 2, 3]).ToArray<float>();
        var (model, frozen) = (Errors(estimate), Errors(reference));
        var margin = (model[0] - frozen[0]) - (model[1] - frozen[1]);
        Near(Tensor.From([(float)Math.Log(1 + Math.Exp(0.5 * 50 * margin))]).Sum(), actual.Read("out.loss").Sum());
    }

    [Fact]
    public void Invalid_inputs_are_rejected_by_name()
    {
        using var scope = TensorScope.Enter();
        var folder = ProbeTests.GoldenFolder("lpl_clean");
        var inputs = Path.Combine(folder, "io.safetensors");
        Refused(2, "not one of lpl, pixel", folder, inputs, "latent");
        Refused(2, "--set needs --objective", folder, inputs, null, "objective.pixel.weight=1");
        Refused(2, "objective.* only", folder, inputs, "lpl", "steps=3");
        Refused(3, "in.noise", folder, inputs, "pixel");
        Refused(3, "needs in.time", folder, inputs, "lpl", "objective.perceptual.gate=t", "objective.perceptual.threshold=0.5");
        Refused(3, "give an autoencoder", ProbeTests.GoldenFolder("dit"), inputs, "lpl");
        Refused(3, "in.sigma", folder, Write(("in.z0", Ops.Zeros([1, 4, 4, 4])), ("in.z0_hat", Ops.Zeros([1, 4, 4, 4]))), "lpl");
        Assert.False(File.Exists(Results));
    }

    private static double ScalingFactor(string folder) =>
        (double?)System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!["scaling_factor"] ?? 0.18215;

    private void Refused(int code, string words, string model, string inputs, string? objective, params string[] values)
    {
        var outcome = RetouchInProcess.Run([
            .. (string[])["probe", "--model", model, "--inputs", inputs, "--output", Results],
            .. objective is null ? [] : (string[])["--objective", objective],
            .. values.SelectMany(static v => (string[])["--set", v]),
        ]);
        Assert.Equal(code, outcome.ExitCode);
        Assert.Contains(words, outcome.Error, StringComparison.Ordinal);
    }

    private void Probe(string model, string inputs, string objective, params string[] values)
    {
        var group = objective switch
        {
            "lpl" => "perceptual",
            "dpo" => "preference",
            _ => objective,
        };
        var outcome = RetouchInProcess.Run([
            .. (string[])["probe", "--model", model, "--inputs", inputs, "--output", Results, "--objective", objective],
            .. values.SelectMany(v => (string[])["--set", $"objective.{group}.{v}"]),
        ]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
    }

    private (Tensor Decoded, Tensor? Gradient) Decode(string folder, Tensor latent, Tensor? cotangent)
    {
        var inputs = cotangent is null ? Write(("in.latent", latent)) : Write(("in.latent", latent), ("in.cotangent", cotangent));
        var results = Path.Combine(_folder, "decoded.safetensors");
        var outcome = RetouchInProcess.Run(["probe", "--model", folder, "--inputs", inputs, "--output", results]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        using var file = SafetensorsFile.Open(results);
        return (file.Read("out.decoded"), cotangent is null ? null : file.Read("grad.latent"));
    }

    private string Write(params (string Name, Tensor Value)[] tensors)
    {
        var path = Path.Combine(_folder, "in.safetensors");
        SafetensorsWriter.Write(path, tensors.Select(static t => KeyValuePair.Create(t.Name, t.Value)));
        return path;
    }

    private static void Near(Tensor expected, Tensor actual, double bound = 1e-4)
    {
        Assert.Equal(expected.Count, actual.Count);
        var error = (actual.Flatten() - expected.Flatten()).Abs().Max().Item();
        Assert.True(error <= bound * expected.Abs().Max().Item() + 1e-9, $"off by {error}");
    }
}
