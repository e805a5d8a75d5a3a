using System.Globalization;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.SingleFile;
using Retouch.Samplers;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Pipelines;

/// <summary>Conversion of checkpoints in the original layout to diffusers folders.</summary>
public sealed class SingleFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-single-").FullName;

    private string Source => Path.Combine(_folder, "model.safetensors");

    private string Target => Path.Combine(_folder, "model");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(SingleFileKind.StableDiffusion1, "sd15_unet", "sd15_vae")]
    [InlineData(SingleFileKind.StableDiffusion2, "sd21_unet", "sd15_vae")]
    [InlineData(SingleFileKind.StableDiffusionXl, "sdxl_unet", "sdxl_vae")]
    public void A_published_model_is_recognised_and_fully_mapped(SingleFileKind kind, string unet, string vae)
    {
        var layout = FullSize(kind);
        var model = SingleFileModel.Read(layout, "model.safetensors");
        Assert.Equal(kind, model.Kind);
        foreach (var (name, manifest) in new[] { ("unet", Manifest.Open(unet)), ("vae", Manifest.Open(vae)) })
        {
            var component = model.Components.Single(c => c.Name == name);
            var found = component.Keys.Select(k => $"{k.Key} [{string.Join(',', k.Value.ShapeFrom(layout.ShapeOf(k.Value.Key))!)}]");
            Assert.Equal(manifest.Tensors.Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
            // One origin each: no duplicates, no omissions.
            Assert.Equal(component.Keys.Count, component.Keys.Select(static k => k.Value.Key).Distinct().Count());
            foreach (var (member, value) in manifest.Config.Where(static p => p.Key != "sample_size" || p.Value is not null))
            {
                if (component.Config.ContainsKey(member))
                    Assert.True(
                        JsonNode.DeepEquals(value, JsonNode.Parse(component.Config[member]?.ToJsonString() ?? "null")),
                        $"{name}: {member} is {component.Config[member]?.ToJsonString()}, published is {value?.ToJsonString()}"
                    );
            }
        }

        string[] unused = kind switch
        {
            SingleFileKind.StableDiffusion1 =>
            [
                "alphas_cumprod",
                "cond_stage_model.transformer.text_model.embeddings.position_ids",
                "model_ema.decay",
            ],
            SingleFileKind.StableDiffusion2 =>
            [
                "alphas_cumprod",
                "cond_stage_model.model.logit_scale",
                "cond_stage_model.model.text_projection",
                "model_ema.decay",
            ],
            _ =>
            [
                "alphas_cumprod",
                "conditioner.embedders.0.transformer.text_model.embeddings.position_ids",
                "conditioner.embedders.1.model.logit_scale",
                "model_ema.decay",
            ],
        };
        Assert.Equal(unused, model.LeftOut.Where(static n => !n.Contains(".resblocks.23.", StringComparison.Ordinal)));
        Assert.Equal(
            kind == SingleFileKind.StableDiffusion2 ? 12 : 0,
            model.LeftOut.Count(static n => n.Contains(".resblocks.23.", StringComparison.Ordinal))
        );
    }

    [Theory]
    [InlineData(SingleFileKind.StableDiffusion1, "text_encoder", "clip_l_text")]
    [InlineData(SingleFileKind.StableDiffusion2, "text_encoder", "openclip_h_text")]
    [InlineData(SingleFileKind.StableDiffusionXl, "text_encoder", "clip_l_text")]
    [InlineData(SingleFileKind.StableDiffusionXl, "text_encoder_2", "openclip_bigg_text")]
    public void Text_encoders_have_the_published_keys_and_configuration(SingleFileKind kind, string name, string published)
    {
        var layout = FullSize(kind);
        var manifest = Manifest.Open(published);
        var encoder = SingleFileModel.Read(layout, "model.safetensors").Components.Single(c => c.Name == name);
        var found = encoder.Keys.Select(k => $"{k.Key} [{string.Join(',', k.Value.ShapeFrom(layout.ShapeOf(k.Value.Key))!)}]");
        Assert.Equal(manifest.Tensors.Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
        foreach (var (member, value) in manifest.Config)
            Assert.True(JsonNode.DeepEquals(value, JsonNode.Parse(encoder.Config[member]?.ToJsonString() ?? "null")), member);
    }

    [Theory]
    [InlineData(SingleFileKind.StableDiffusion1)]
    [InlineData(SingleFileKind.StableDiffusionXl)]
    public void Text_encoders_of_newer_versions_of_transformers_are_found(SingleFileKind kind)
    {
        var usual = SingleFileModel.Read(FullSize(kind), "x").Components.Single(static c => c.Name == "text_encoder");
        var layout = FullSize(kind);
        foreach (var name in layout.Names.Where(static n => n.Contains(".transformer.text_model.", StringComparison.Ordinal)).ToList())
        {
            layout.Add(name.Replace(".text_model.", ".", StringComparison.Ordinal), layout.ShapeOf(name));
            layout.Remove(name);
        }

        var newer = SingleFileModel.Read(layout, "x").Components.Single(static c => c.Name == "text_encoder");
        Assert.Equal(
            usual.Keys.Select(static k => k.Key).Order(StringComparer.Ordinal),
            newer.Keys.Select(static k => k.Key).Order(StringComparer.Ordinal)
        );
        Assert.True(JsonNode.DeepEquals(usual.Config, newer.Config));
    }

    [Theory]
    [InlineData("modelspec.prediction_type", "v", "[]", true, false, null)]
    [InlineData("modelspec.prediction_type", "epsilon", "[]", false, false, null)]
    [InlineData("modelspec.architecture", "stable-diffusion-v2-768-v", "[]", true, false, null)]
    [InlineData("modelspec.architecture", "stable-diffusion-v2-512", "[]", false, false, null)]
    [InlineData("ss_zero_terminal_snr", "True", "[]", null, true, null)]
    [InlineData("x", "y", "[v_pred][ztsnr]", true, true, null)]
    [InlineData(
        "modelspec.prediction_type",
        "epsilon",
        "[v_pred]",
        true,
        false,
        "the tensor v_pred says that the denoiser predicts v, but modelspec.prediction_type"
    )]
    public void What_a_file_says_of_itself_counts(
        string member,
        string value,
        string extra,
        bool? velocity,
        bool zero,
        string? contradiction
    )
    {
        using var scope = TensorScope.Enter();
        var tensors = extra
            .Split('[', ']')
            .Append("a")
            .Where(static n => n.Length > 0)
            .ToDictionary(static n => n, static _ => Ops.Zeros([1]));
        SafetensorsWriter.Write(Source, tensors, new Dictionary<string, string> { [member] = value });
        using var file = SafetensorsFile.Open(Source);
        var stated = SingleFileStatement.Read(file, SingleFileKind.StableDiffusion2, "x");
        Assert.Equal((velocity, zero), (stated.PredictsVelocity, stated.ZeroTerminalSnr));
        Assert.Contains(contradiction ?? "", stated.Contradiction ?? "", StringComparison.Ordinal);
        Assert.Equal(contradiction is null, stated.Contradiction is null);
        Assert.Empty(stated.Notes);
        if (member == "modelspec.architecture")
            Assert.Contains(
                "the tensors are used",
                Assert.Single(SingleFileStatement.Read(file, SingleFileKind.StableDiffusionXl, "x").Notes),
                StringComparison.Ordinal
            );
    }

    [Fact]
    public void Known_names_are_mapped()
    {
        var one = Origins(SingleFileKind.StableDiffusion1);
        Assert.Equal(
            "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
            one("unet", "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight").Key
        );
        Assert.Equal("model.diffusion_model.input_blocks.3.0.op.weight", one("unet", "down_blocks.0.downsamplers.0.conv.weight").Key);
        Assert.Equal(
            "model.diffusion_model.input_blocks.4.0.skip_connection.bias",
            one("unet", "down_blocks.1.resnets.0.conv_shortcut.bias").Key
        );
        Assert.Equal(
            "model.diffusion_model.input_blocks.11.0.out_layers.3.weight",
            one("unet", "down_blocks.3.resnets.1.conv2.weight").Key
        );
        Assert.Equal("model.diffusion_model.middle_block.1.proj_in.weight", one("unet", "mid_block.attentions.0.proj_in.weight").Key);
        Assert.Equal("model.diffusion_model.output_blocks.2.1.conv.weight", one("unet", "up_blocks.0.upsamplers.0.conv.weight").Key);
        Assert.Equal("model.diffusion_model.output_blocks.5.2.conv.weight", one("unet", "up_blocks.1.upsamplers.0.conv.weight").Key);
        Assert.Equal(
            "model.diffusion_model.output_blocks.11.0.emb_layers.1.weight",
            one("unet", "up_blocks.3.resnets.2.time_emb_proj.weight").Key
        );
        Assert.Equal("model.diffusion_model.out.0.weight", one("unet", "conv_norm_out.weight").Key);
        Assert.Equal(
            new TensorOrigin("first_stage_model.encoder.mid.attn_1.q.weight", TensorForm.Linear),
            one("vae", "encoder.mid_block.attentions.0.to_q.weight")
        );
        Assert.Equal(
            new TensorOrigin("first_stage_model.decoder.mid.attn_1.proj_out.bias"),
            one("vae", "decoder.mid_block.attentions.0.to_out.0.bias")
        );
        Assert.Equal("first_stage_model.decoder.up.3.block.0.conv1.weight", one("vae", "decoder.up_blocks.0.resnets.0.conv1.weight").Key);
        Assert.Equal(
            "first_stage_model.decoder.up.1.block.0.nin_shortcut.weight",
            one("vae", "decoder.up_blocks.2.resnets.0.conv_shortcut.weight").Key
        );
        Assert.Equal("first_stage_model.decoder.up.1.upsample.conv.weight", one("vae", "decoder.up_blocks.2.upsamplers.0.conv.weight").Key);
        var xl = Origins(SingleFileKind.StableDiffusionXl);
        Assert.Equal("model.diffusion_model.label_emb.0.2.weight", xl("unet", "add_embedding.linear_2.weight").Key);
        Assert.Equal(
            "model.diffusion_model.input_blocks.8.1.transformer_blocks.9.ff.net.0.proj.weight",
            xl("unet", "down_blocks.2.attentions.1.transformer_blocks.9.ff.net.0.proj.weight").Key
        );
        Assert.Equal("model.diffusion_model.output_blocks.8.0.in_layers.0.weight", xl("unet", "up_blocks.2.resnets.2.norm1.weight").Key);
        Assert.Equal(
            new TensorOrigin("conditioner.embedders.1.model.text_projection", TensorForm.Transposed),
            xl("text_encoder_2", "text_projection.weight")
        );
        Assert.Equal(
            new TensorOrigin("conditioner.embedders.1.model.transformer.resblocks.31.attn.in_proj_bias", TensorForm.Key),
            xl("text_encoder_2", "text_model.encoder.layers.31.self_attn.k_proj.bias")
        );
        Assert.Equal("conditioner.embedders.1.model.ln_final.weight", xl("text_encoder_2", "text_model.final_layer_norm.weight").Key);

        static Func<string, string, TensorOrigin> Origins(SingleFileKind kind)
        {
            var components = SingleFileModel
                .Read(FullSize(kind), "x")
                .Components.ToDictionary(static c => c.Name, static c => c.Keys.ToDictionary(StringComparer.Ordinal));
            return (name, key) => components[name][key];
        }
    }

    [Theory]
    [InlineData(SingleFileKind.StableDiffusion1, null)]
    [InlineData(SingleFileKind.StableDiffusion2, null)]
    [InlineData(SingleFileKind.StableDiffusion2, "epsilon")]
    [InlineData(SingleFileKind.StableDiffusionXl, null)]
    public void A_small_model_is_converted_byte_for_byte_and_loads(SingleFileKind kind, string? prediction)
    {
        using var scope = TensorScope.Enter();
        var stored = WriteSmall(kind);
        var model = SingleFileConversion.Convert(Source, Target, new SingleFileOptions { Prediction = prediction });
        foreach (var component in model.Components)
        {
            using var weights = WeightFiles.Open(
                Path.Combine(Target, component.Name),
                stem: component.Library == "diffusers" ? WeightFiles.Stem : "model"
            );
            Assert.Equal(
                component.Keys.Select(static k => k.Key).Order(StringComparer.Ordinal),
                weights.Names.Order(StringComparer.Ordinal)
            );
            foreach (var (key, from) in component.Keys)
            {
                var (original, third) = (stored[from.Key], stored[from.Key].Length / 3);
                var found = weights.Read(key).ToArray<float>();
                var expected = from.Form switch
                {
                    TensorForm.Query => original[..third],
                    TensorForm.Key => original[third..(2 * third)],
                    TensorForm.Value => original[(2 * third)..],
                    TensorForm.Transposed => [.. Enumerable.Range(0, original.Length).Select(k => original[((k % 64) * 64) + (k / 64)])],
                    _ => original,
                };
                Assert.True(expected.AsSpan().SequenceEqual(found), key);
            }
        }

        using var pipeline = LatentDiffusionPipeline.Load(Target, Device.Cpu);
        var formulation = Assert.IsType<DdpmFormulation>(pipeline.CreateFormulation());
        var velocity = prediction is null && kind == SingleFileKind.StableDiffusion2;
        Assert.Equal(velocity ? PredictionType.VPrediction : PredictionType.Epsilon, formulation.Prediction);
        Assert.Equal(
            kind == SingleFileKind.StableDiffusionXl ? 128
                : velocity ? 96
                : 64,
            pipeline.Denoiser.SampleSize
        );
        _ = SamplerOptions.FromSchedulerConfig(pipeline.SchedulerConfig);
        var index = ConfigDocument.Read(Path.Combine(Target, "model_index.json")).Json;
        Assert.Equal(
            kind == SingleFileKind.StableDiffusionXl ? "StableDiffusionXLPipeline" : "StableDiffusionPipeline",
            (string?)index["_class_name"]
        );
        Assert.Equal("[null,null]", index["tokenizer"]!.ToJsonString());
        Assert.Equal("[\"transformers\",\"CLIPTextModel\"]", index["text_encoder"]!.ToJsonString());
        Assert.Equal(kind == SingleFileKind.StableDiffusionXl, index.ContainsKey("text_encoder_2"));
    }

    [Fact]
    public void Tokenizers_are_copied_and_a_wrong_folder_is_rejected()
    {
        using var scope = TensorScope.Enter();
        WriteSmall(SingleFileKind.StableDiffusion1);
        var tokenizer = Directory.CreateDirectory(Path.Combine(_folder, "words")).FullName;
        Assert.Contains(
            "vocab.json",
            Assert
                .Throws<UsageException>(() => SingleFileConversion.Convert(Source, Target, new SingleFileOptions { Tokenizer = tokenizer }))
                .Message,
            StringComparison.Ordinal
        );
        Assert.False(Directory.Exists(Target));
        File.WriteAllText(Path.Combine(tokenizer, "vocab.json"), "{}");
        File.WriteAllText(Path.Combine(tokenizer, "merges.txt"), "a b");
        SingleFileConversion.Convert(Source, Target, new SingleFileOptions { Tokenizer = tokenizer });
        Assert.Equal("a b", File.ReadAllText(Path.Combine(Target, "tokenizer", "merges.txt")));
        Assert.Equal(
            "[\"transformers\",\"CLIPTokenizer\"]",
            ConfigDocument.Read(Path.Combine(Target, "model_index.json")).Json["tokenizer"]!.ToJsonString()
        );
    }

    [Fact]
    public void Unsupported_files_are_rejected_by_name()
    {
        var missing = FullSize(SingleFileKind.StableDiffusion1);
        missing.Remove("model.diffusion_model.middle_block.2.out_layers.0.bias");
        Refused("missing: model.diffusion_model.middle_block.2.out_layers.0.bias", missing);
        var odd = FullSize(SingleFileKind.StableDiffusion1);
        odd.Remove("first_stage_model.encoder.mid.block_1.conv1.weight");
        Refused(
            "first_stage_model.encoder.mid.block_1.conv1.weight is [7]",
            odd.Add("first_stage_model.encoder.mid.block_1.conv1.weight", 7)
        );
        foreach (
            var key in (string[])
                [
                    "first_stage_model.encoder.conv_in.weight",
                    "first_stage_model.decoder.conv_out.weight",
                    "model.diffusion_model.out.2.weight",
                ]
        )
        {
            var huge = FullSize(SingleFileKind.StableDiffusion1);
            huge.Remove(key);
            Refused($"no usable tensor '{key}'", huge.Add(key, 1L << 40, 1L << 40, 3, 3));
        }

        Refused(
            "refiner",
            new OriginalLayout()
                .UNet(384, [1, 2, 4, 4], [4, 2], [4, 4, 4, 4], 1280, linear: true, vector: 2560)
                .OpenClip("conditioner.embedders.0.model", 1280, 2)
        );
        Refused("not a checkpoint in the layout", new OriginalLayout().Clip("text", 64, 1));
        Refused("no supported text encoder", new OriginalLayout().UNet(32, [1, 2], [1], [1, 1], 64, linear: false));

        static void Refused(string expected, OriginalLayout layout) =>
            Assert.Contains(
                expected,
                Assert.Throws<InputException>(() => SingleFileModel.Read(layout, "a.safetensors")).Message,
                StringComparison.Ordinal
            );
    }

    [Fact]
    public void A_folder_is_written_in_another_type_and_in_shards()
    {
        using var scope = TensorScope.Enter();
        WriteSmall(SingleFileKind.StableDiffusion1);
        SingleFileConversion.Convert(Source, Target, new SingleFileOptions());
        var narrow = Path.Combine(_folder, "narrow");
        var done = FolderConversion.Convert(Target, narrow, DType.BFloat16, 100_000);
        Assert.Equal(["text_encoder", "unet", "vae"], done.Select(static c => c.Name));
        foreach (var component in done)
        {
            var stem = component.Name == "text_encoder" ? "model" : WeightFiles.Stem;
            Assert.True(component.Files.Count > 2);
            Assert.Equal(
                $"{stem}-00002-of-{component.Files.Count.ToString("D5", CultureInfo.InvariantCulture)}.safetensors",
                component.Files[1]
            );
            using var before = WeightFiles.Open(Path.Combine(Target, component.Name), stem: stem);
            using var after = WeightFiles.Open(Path.Combine(narrow, component.Name), stem: stem);
            Assert.Equal(before.Names.Order(StringComparer.Ordinal), after.Names.Order(StringComparer.Ordinal));
            foreach (var name in after.Names)
            {
                Assert.Equal(DType.BFloat16, after.DTypeOf(name));
                Assert.Equal(before.Read(name).To(DType.BFloat16).ToArray<float>(), after.Read(name).ToArray<float>());
            }

            // A shard does not exceed the limit, unless a single tensor does.
            foreach (var file in component.Files)
            {
                using var shard = SafetensorsFile.Open(Path.Combine(narrow, component.Name, file));
                Assert.True(shard.Entries.Count == 1 || shard.Entries.Values.Sum(static e => e.Length) <= 100_000);
            }

            var index = ConfigDocument.Read(Path.Combine(narrow, component.Name, stem + ".safetensors.index.json")).Json;
            Assert.Equal(component.Bytes, (long)index["metadata"]!["total_size"]!);
        }

        Assert.Equal(
            File.ReadAllBytes(Path.Combine(Target, "unet", "config.json")),
            File.ReadAllBytes(Path.Combine(narrow, "unet", "config.json"))
        );
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(Target, "model_index.json")),
            File.ReadAllBytes(Path.Combine(narrow, "model_index.json"))
        );
        using var pipeline = LatentDiffusionPipeline.Load(narrow, Device.Cpu);
        Assert.Throws<InputException>(() => FolderConversion.Convert(_folder, narrow, DType.Float16, null));
    }

    private static OriginalLayout FullSize(SingleFileKind kind)
    {
        var layout = new OriginalLayout().Autoencoder(128, [1, 2, 4, 4]).Add("alphas_cumprod", 1000).Add("model_ema.decay");
        return kind switch
        {
            SingleFileKind.StableDiffusion1 => layout
                .UNet(320, [1, 2, 4, 4], [4, 2, 1], [1, 1, 1, 1], 768, linear: false)
                .Clip("cond_stage_model.transformer", 768, 12),
            SingleFileKind.StableDiffusion2 => layout
                .UNet(320, [1, 2, 4, 4], [4, 2, 1], [1, 1, 1, 1], 1024, linear: true)
                .OpenClip("cond_stage_model.model", 1024, 24),
            _ => layout
                .UNet(320, [1, 2, 4], [4, 2], [1, 2, 10], 2048, linear: true, vector: 2816)
                .Clip("conditioner.embedders.0.transformer", 768, 12)
                .OpenClip("conditioner.embedders.1.model", 1280, 32),
        };
    }

    /// <summary>A model of the family with tiny random networks, at <see cref="Source"/>.</summary>
    private Dictionary<string, float[]> WriteSmall(SingleFileKind kind)
    {
        var layout = new OriginalLayout().Autoencoder(32, [1, 2], perLevel: 1);
        layout = kind switch
        {
            SingleFileKind.StableDiffusion1 => layout
                .UNet(32, [1, 2], [1], [1, 1], 64, linear: false, perLevel: 1)
                .Clip("cond_stage_model.transformer", 64, 2, vocabulary: 50),
            SingleFileKind.StableDiffusion2 => layout
                .UNet(32, [1, 2], [1], [1, 1], 64, linear: true, perLevel: 1)
                .OpenClip("cond_stage_model.model", 64, 3, vocabulary: 50),
            _ => layout
                .UNet(32, [1, 2], [2], [1, 2], 128, linear: true, vector: (6 * 256) + 64, perLevel: 1)
                .Clip("conditioner.embedders.0.transformer", 64, 2, vocabulary: 50)
                .OpenClip("conditioner.embedders.1.model", 64, 2, vocabulary: 50),
        };
        using var generator = Generator.Create(Device.Cpu, 11);
        var tensors = layout.Names.ToDictionary(static n => n, n => Ops.Randn(layout.ShapeOf(n), generator), StringComparer.Ordinal);
        SafetensorsWriter.Write(Source, tensors);
        return tensors.ToDictionary(static p => p.Key, static p => p.Value.ToArray<float>(), StringComparer.Ordinal);
    }
}
