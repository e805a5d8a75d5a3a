using System.Globalization;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Pipelines;

/// <summary>
/// Keys and shapes of single files, derived from the original code's parameters and order, independently of diffusers, as reference for
/// the mapping.
/// </summary>
internal sealed class OriginalLayout : ITensorSource
{
    private readonly Dictionary<string, long[]> _shapes = new(StringComparer.Ordinal);

    public IEnumerable<string> Names => _shapes.Keys;

    public long[] ShapeOf(string name) => _shapes[name];

    public Tensor Read(string name) => throw new NotSupportedException("Shapes only.");

    public void Remove(string name) => _shapes.Remove(name);

    public OriginalLayout Add(string name, params long[] shape)
    {
        _shapes.Add(name, shape);
        return this;
    }

    /// <summary>The original code's openaimodel.UNetModel.</summary>
    public OriginalLayout UNet(
        long width,
        long[] multiples,
        long[] attentionAt,
        long[] depth,
        long context,
        bool linear,
        long? vector = null,
        int perLevel = 2
    )
    {
        const string Root = "model.diffusion_model.";
        var time = 4 * width;
        Layer(Root + "time_embed.0", width, time);
        Layer(Root + "time_embed.2", time, time);
        if (vector is { } length)
        {
            Layer(Root + "label_emb.0.0", length, time);
            Layer(Root + "label_emb.0.2", time, time);
        }

        Conv(Root + "input_blocks.0.0", 4, width, 3);
        var (channels, stack, shrink, number) = (width, new Stack<long>([width]), 1L, 1);
        for (var level = 0; level < multiples.Length; level++)
        {
            for (var k = 0; k < perLevel; k++)
            {
                Residual($"{Root}input_blocks.{number}.0", channels, width * multiples[level]);
                channels = width * multiples[level];
                if (attentionAt.Contains(shrink))
                    Transformer($"{Root}input_blocks.{number}.1", channels, depth[level]);
                stack.Push(channels);
                number++;
            }

            if (level == multiples.Length - 1)
                break;
            Conv($"{Root}input_blocks.{number++}.0.op", channels, channels, 3);
            stack.Push(channels);
            shrink *= 2;
        }

        Residual(Root + "middle_block.0", channels, channels);
        Transformer(Root + "middle_block.1", channels, depth[^1]);
        Residual(Root + "middle_block.2", channels, channels);
        number = 0;
        for (var level = multiples.Length - 1; level >= 0; level--)
        {
            for (var k = 0; k <= perLevel; k++, number++)
            {
                Residual($"{Root}output_blocks.{number}.0", channels + stack.Pop(), width * multiples[level]);
                channels = width * multiples[level];
                var parts = 1;
                if (attentionAt.Contains(shrink))
                    Transformer($"{Root}output_blocks.{number}.{parts++}", channels, depth[level]);
                if (level == 0 || k < perLevel)
                    continue;
                Conv($"{Root}output_blocks.{number}.{parts}.conv", channels, channels, 3);
                shrink /= 2;
            }
        }

        Norm(Root + "out.0", width);
        Conv(Root + "out.2", width, 4, 3);
        return this;

        void Residual(string name, long inputs, long outputs)
        {
            Norm(name + ".in_layers.0", inputs);
            Conv(name + ".in_layers.2", inputs, outputs, 3);
            Layer(name + ".emb_layers.1", time, outputs);
            Norm(name + ".out_layers.0", outputs);
            Conv(name + ".out_layers.3", outputs, outputs, 3);
            if (inputs != outputs)
                Conv(name + ".skip_connection", inputs, outputs, 1);
        }

        void Transformer(string name, long size, long layers)
        {
            Norm(name + ".norm", size);
            Project(name + ".proj_in", size);
            for (var k = 0; k < layers; k++)
            {
                var block = string.Create(CultureInfo.InvariantCulture, $"{name}.transformer_blocks.{k}");
                foreach (var (attention, from) in new[] { ("attn1", size), ("attn2", context) })
                {
                    Add($"{block}.{attention}.to_q.weight", size, size)
                        .Add($"{block}.{attention}.to_k.weight", size, from)
                        .Add($"{block}.{attention}.to_v.weight", size, from);
                    Layer($"{block}.{attention}.to_out.0", size, size);
                }

                Layer(block + ".ff.net.0.proj", size, 8 * size);
                Layer(block + ".ff.net.2", 4 * size, size);
                for (var norm = 1; norm <= 3; norm++)
                    Norm($"{block}.norm{norm}", size);
            }

            Project(name + ".proj_out", size);
        }

        void Project(string name, long size)
        {
            if (linear)
                Layer(name, size, size);
            else
                Conv(name, size, size, 1);
        }
    }

    /// <summary>The original code's AutoencoderKL.</summary>
    public OriginalLayout Autoencoder(long width, long[] multiples, int perLevel = 2)
    {
        const string Root = "first_stage_model.";
        var top = width * multiples[^1];
        Conv(Root + "encoder.conv_in", 3, width, 3);
        var channels = width;
        for (var level = 0; level < multiples.Length; level++)
        {
            for (var k = 0; k < perLevel; k++, channels = width * multiples[level])
                Residual($"{Root}encoder.down.{level}.block.{k}", channels, width * multiples[level]);
            if (level < multiples.Length - 1)
                Conv($"{Root}encoder.down.{level}.downsample.conv", channels, channels, 3);
        }

        Half(Root + "encoder", top, 8);
        Conv(Root + "decoder.conv_in", 4, top, 3);
        channels = top;
        for (var level = multiples.Length - 1; level >= 0; level--)
        {
            for (var k = 0; k <= perLevel; k++, channels = width * multiples[level])
                Residual($"{Root}decoder.up.{level}.block.{k}", channels, width * multiples[level]);
            if (level > 0)
                Conv($"{Root}decoder.up.{level}.upsample.conv", channels, channels, 3);
        }

        Half(Root + "decoder", width, 3);
        Conv(Root + "quant_conv", 8, 8, 1);
        Conv(Root + "post_quant_conv", 4, 4, 1);
        return this;

        void Half(string name, long last, long outputs)
        {
            Residual(name + ".mid.block_1", top, top);
            Norm(name + ".mid.attn_1.norm", top);
            foreach (var part in (string[])["q", "k", "v", "proj_out"])
                Conv($"{name}.mid.attn_1.{part}", top, top, 1);
            Residual(name + ".mid.block_2", top, top);
            Norm(name + ".norm_out", last);
            Conv(name + ".conv_out", last, outputs, 3);
        }

        void Residual(string name, long inputs, long outputs)
        {
            Norm(name + ".norm1", inputs);
            Conv(name + ".conv1", inputs, outputs, 3);
            Norm(name + ".norm2", outputs);
            Conv(name + ".conv2", outputs, outputs, 3);
            if (inputs != outputs)
                Conv(name + ".nin_shortcut", inputs, outputs, 1);
        }
    }

    /// <summary>transformers' CLIPTextModel at the time of such files: with position ids.</summary>
    public OriginalLayout Clip(string root, long width, int layers, long vocabulary = 49408)
    {
        Add(root + ".text_model.embeddings.position_ids", 1, 77);
        Add(root + ".text_model.embeddings.token_embedding.weight", vocabulary, width)
            .Add(root + ".text_model.embeddings.position_embedding.weight", 77, width);
        for (var k = 0; k < layers; k++)
        {
            var layer = string.Create(CultureInfo.InvariantCulture, $"{root}.text_model.encoder.layers.{k}");
            foreach (var part in (string[])["q_proj", "k_proj", "v_proj", "out_proj"])
                Layer($"{layer}.self_attn.{part}", width, width);
            Norm(layer + ".layer_norm1", width);
            Layer(layer + ".mlp.fc1", width, 4 * width);
            Layer(layer + ".mlp.fc2", 4 * width, width);
            Norm(layer + ".layer_norm2", width);
        }

        Norm(root + ".text_model.final_layer_norm", width);
        return this;
    }

    /// <summary>OpenCLIP's text transformer.</summary>
    public OriginalLayout OpenClip(string root, long width, int layers, long vocabulary = 49408)
    {
        Add(root + ".positional_embedding", 77, width)
            .Add(root + ".text_projection", width, width)
            .Add(root + ".logit_scale")
            .Add(root + ".token_embedding.weight", vocabulary, width);
        for (var k = 0; k < layers; k++)
        {
            var block = string.Create(CultureInfo.InvariantCulture, $"{root}.transformer.resblocks.{k}");
            Norm(block + ".ln_1", width);
            Add(block + ".attn.in_proj_weight", 3 * width, width).Add(block + ".attn.in_proj_bias", 3 * width);
            Layer(block + ".attn.out_proj", width, width);
            Norm(block + ".ln_2", width);
            Layer(block + ".mlp.c_fc", width, 4 * width);
            Layer(block + ".mlp.c_proj", 4 * width, width);
        }

        Norm(root + ".ln_final", width);
        return this;
    }

    private void Norm(string name, long size) => Add(name + ".weight", size).Add(name + ".bias", size);

    private void Layer(string name, long inputs, long outputs) => Add(name + ".weight", outputs, inputs).Add(name + ".bias", outputs);

    private void Conv(string name, long inputs, long outputs, long side) =>
        Add(name + ".weight", outputs, inputs, side, side).Add(name + ".bias", outputs);
}
