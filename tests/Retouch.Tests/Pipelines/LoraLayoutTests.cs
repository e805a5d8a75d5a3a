using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers.UNet;
using Retouch.Pipelines.Lora;
using Retouch.Tests.Denoisers;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Pipelines;

/// <summary>
/// Adapter files of other programs: position of their scale and names of their layers. Merged, W is W + s·B·A.
/// </summary>
public sealed class LoraLayoutTests : IDisposable
{
    private const int Rank = 4;
    private const string Query = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
    private const string Out = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0";

    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-lora-layout-").FullName;
    private readonly GoldenCase _golden = GoldenCase.Open("unet_sd15");
    private readonly TensorScope _scope = TensorScope.Enter();
    private readonly UNet2DCondition _network;

    public LoraLayoutTests()
    {
        _network = UNetTests.Load(_golden);
    }

    public void Dispose()
    {
        _network.Dispose();
        _scope.Dispose();
        _golden.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    public static TheoryData<string, string, double> Headers() =>
        new()
        {
            { "lora_adapter_metadata", """{"unet.r": 4, "unet.lora_alpha": 1}""", 0.25 },
            { "lora_adapter_metadata", """{"r": 4, "lora_alpha": 2, "other": NaN}""", 0.5 },
            { "lora_adapter_metadata", """{"unet.lora_alpha": 4, "unet.alpha_pattern": {"attn1.to_q": 1}}""", 0.25 },
            { "lora_adapter_metadata", """{"unet.lora_alpha": 4, "unet.alpha_pattern": {"attn2.to_q": 1, ".*to_k": 2}}""", 1 },
            { "lora_adapter_metadata", """{"unet.lora_alpha": 4, "unet.use_rslora": true}""", 2 }, // 4/√4
            { "lora_adapter_metadata", """{"text_encoder.lora_alpha": 1}""", 1 },
            { "lora_alpha", "1", 0.25 },
            { "ss_network_alpha", "2", 0.5 },
            { "ss_network_alpha", "None", 1 },
            { "note", "alpha 3", 1 },
        };

    [Theory]
    [MemberData(nameof(Headers))]
    public void The_scale_follows_the_header(string member, string value, double scale)
    {
        var (a, b) = Factors(Query);
        Write([($"unet.{Query}.lora_A.weight", a), ($"unet.{Query}.lora_B.weight", b)], (member, value));
        Assert.Equal(scale, MergedScale(Query, a, b), 4);
    }

    [Fact]
    public void An_alpha_tensor_overrides_the_header_with_a_note()
    {
        var (a, b) = Factors(Query);
        Write(
            [
                ($"unet.{Query}.lora_A.weight", a),
                ($"unet.{Query}.lora_B.weight", b),
                ($"unet.{Query}.alpha", Ops.ScalarTensor(2.0, dtype: DType.Float32)),
            ],
            ("lora_adapter_metadata", """{"unet.r": 8, "unet.lora_alpha": 1}""")
        );
        var notes = LoraFile.Check(File, LoraTarget.Denoiser(_network));
        Assert.Contains("gives alpha 1, but the tensor", notes[0], StringComparison.Ordinal);
        Assert.Contains("gives rank 8, but", notes[1], StringComparison.Ordinal);
        Assert.Equal(0.5, MergedScale(Query, a, b), 4);
    }

    [Theory]
    [InlineData("lora_adapter_metadata", """{"unet.r": 8, "unet.lora_alpha": 1}""", "gives rank 8")]
    [InlineData("lora_adapter_metadata", """{"unet.lora_alpha": NaN}""", "lora_alpha")]
    [InlineData("lora_adapter_metadata", """{"unet.lora_alpha": 0}""", "alpha is 0")]
    [InlineData("lora_adapter_metadata", """{"unet.lora_alpha": 1, "unet.use_dora": true}""", "DoRA")]
    [InlineData("lora_adapter_metadata", """{"unet.lora_alpha": 1, "unet.alpha_pattern": {"(": 1}}""", "is not a supported regular")]
    [InlineData("lora_adapter_metadata", "{", "cannot be read")]
    public void An_invalid_header_is_rejected(string member, string value, string words)
    {
        var (a, b) = Factors(Query);
        Write([($"unet.{Query}.lora_A.weight", a), ($"unet.{Query}.lora_B.weight", b)], (member, value));
        var message = Assert.Throws<InputException>(() => LoraFile.Check(File, LoraTarget.Denoiser(_network))).Message;
        Assert.Contains(words, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{0}.processor.{1}_lora.down.weight", "{0}.processor.{1}_lora.up.weight")]
    [InlineData("unet.{0}.processor.{1}_lora.down.weight", "unet.{0}.processor.{1}_lora.up.weight")]
    [InlineData("base_model.model.{2}.lora_A.weight", "base_model.model.{2}.lora_B.weight")]
    [InlineData("base_model.model.{2}.lora_A.default.weight", "base_model.model.{2}.lora_B.default.weight")]
    public void Layers_are_found_under_all_names(string down, string up)
    {
        foreach (var path in (string[])[Query, Out])
        {
            var (parent, leaf) = path.EndsWith(".0", StringComparison.Ordinal)
                ? (path[..^"to_out.0".Length].TrimEnd('.'), "to_out")
                : (path[..^"to_q".Length].TrimEnd('.'), "to_q");
            var (a, b) = Factors(path);
            Write([(string.Format(null, down, parent, leaf, path), a), (string.Format(null, up, parent, leaf, path), b)]);
            Assert.Equal(1, MergedScale(path, a, b), 4);
        }
    }

    [Fact]
    public void A_peft_folder_has_its_scale_in_the_config()
    {
        var (a, b) = Factors(Query);
        var tensors = new Dictionary<string, Tensor>
        {
            [$"base_model.model.{Query}.lora_A.weight"] = a,
            [$"base_model.model.{Query}.lora_B.weight"] = b,
        };
        SafetensorsWriter.Write(Path.Combine(_folder, "adapter_model.safetensors"), tensors);
        System.IO.File.WriteAllText(Path.Combine(_folder, "adapter_config.json"), """{"peft_type": "LORA", "r": 4, "lora_alpha": 8}""");
        Assert.Equal(2, MergedScale(Query, a, b, _folder), 4);
        System.IO.File.WriteAllText(Path.Combine(_folder, "adapter_config.json"), """{"peft_type": "LOHA", "r": 4}""");
        Assert.Contains(
            "LOHA",
            Assert.Throws<InputException>(() => LoraFile.Check(_folder, LoraTarget.Denoiser(_network))).Message,
            StringComparison.Ordinal
        );
    }

    /// <summary>
    /// LoCon adapters of up- and downsamplers, under both families of names; unmerged they equal the merged network.
    /// </summary>
    [Theory]
    [InlineData("up_blocks.0.upsamplers.0.conv", "up_blocks_0_upsamplers_0_conv")]
    [InlineData("up_blocks.0.upsamplers.0.conv", "output_blocks_1_1_conv")]
    [InlineData("down_blocks.0.downsamplers.0.conv", "input_blocks_2_0_op")]
    public void Resampling_convolutions_have_adapters(string path, string name)
    {
        var original = LoraTarget.Denoiser(_network);
        // The golden's blocks may have more layers than the names above: use the network's own.
        if (!name.Contains("samplers", StringComparison.Ordinal))
            name = original.NamesOf(path).Last(n => n.StartsWith("lora_unet_", StringComparison.Ordinal))["lora_unet_".Length..];
        var (a, b) = Factors(path);
        Write([
            ($"lora_unet_{name}.lora_down.weight", a),
            ($"lora_unet_{name}.lora_up.weight", b),
            ($"lora_unet_{name}.alpha", Ops.ScalarTensor(2.0, dtype: DType.Float32)),
        ]);
        float[] beside;
        using (LoraFile.Attach(File, original, Device.Cpu))
            beside = Forward();
        Assert.Equal(0.5, MergedScale(path, a, b, keep: true), 4);
        var merged = Forward();
        Assert.True(beside.Zip(merged).Max(static p => Math.Abs(p.First - p.Second)) < 2e-4);
    }

    [Fact]
    public void Other_types_of_adapters_are_named()
    {
        Write([($"lora_unet_{Query.Replace('.', '_')}.hada_w1_a", Ops.Zeros([4, 4]))], ("ss_network_module", "lycoris.kohya"));
        var message = Assert.Throws<InputException>(() => LoraFile.Check(File, LoraTarget.Denoiser(_network))).Message;
        Assert.Contains("unknown layout (LoHa)", message, StringComparison.Ordinal);
        Assert.Contains("lycoris.kohya", message, StringComparison.Ordinal);
    }

    private string File => Path.Combine(_folder, "adapters.safetensors");

    private float[] Forward()
    {
        using var quiet = Autograd.NoGrad();
        var condition = new Condition { Text = _golden.Read("in.encoder_hidden_states") };
        return _network.Forward(_golden.Read("in.sample"), _golden.Read("in.timestep"), condition).ToArray<float>();
    }

    private (Tensor Down, Tensor Up) Factors(string path)
    {
        using var generator = Generator.Create(Device.Cpu, 7);
        long[] weight = _network.Parameters.Find($"{path}.weight")!.Shape;
        long[] up = weight.Length == 2 ? [weight[0], Rank] : [weight[0], Rank, 1, 1];
        return (
            Ops.Randn([Rank, .. weight[1..]], generator, dtype: DType.Float32) * 0.1,
            Ops.Randn(up, generator, dtype: DType.Float32) * 0.1
        );
    }

    private void Write((string Key, Tensor Value)[] tensors, params (string Name, string Value)[] header)
    {
        var metadata = header.ToDictionary(static h => h.Name, static h => h.Value);
        SafetensorsWriter.Write(File, tensors.Select(static t => KeyValuePair.Create(t.Key, t.Value)), metadata);
    }

    /// <summary>s in W' − W = s·B·A by least squares after merging; the weight is restored unless it is to be kept.</summary>
    private double MergedScale(string path, Tensor down, Tensor up, string? from = null, bool keep = false)
    {
        var weight = _network.Parameters.Find($"{path}.weight")!;
        var before = weight.Value.Detach().Clone();
        using (var adapters = LoraFile.Attach(from ?? File, LoraTarget.Denoiser(_network), Device.Cpu, DType.Float32))
            adapters.Merge();
        var change = (weight.Value.Detach() - before).To(DType.Float64).Flatten();
        var product = up.Flatten(1).Matmul(down.Flatten(1)).To(DType.Float64).Flatten();
        if (!keep)
        {
            using var quiet = Autograd.NoGrad();
            weight.Value.CopyInPlace(before);
        }

        return (change * product).Sum().Item() / product.Square().Sum().Item();
    }
}
