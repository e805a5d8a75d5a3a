using System.Globalization;
using System.Text.RegularExpressions;
using Retouch.Autoencoders;
using Retouch.Conditioning.Prompts;
using Retouch.Denoisers;
using Retouch.Denoisers.Dit;
using Retouch.Denoisers.MmDit;
using Retouch.Denoisers.PixArt;
using Retouch.Denoisers.Sd3;
using Retouch.Denoisers.UNet;
using Retouch.Torch.Nn;

namespace Retouch.Experiments.Inspection;

/// <summary>
/// Peak memory of forward and backward pass besides weights and gradients, in float32, derived from layer sizes: each weight matrix or
/// kernel saves its input, at the resolution of its position in the network; attention saves its scores if libtorch has no fused
/// operator; the largest temporary is added once or twice. An estimate; docs/results/activations.md lists its errors.
/// </summary>
public static partial class ActivationEstimate
{
    private const int Float = sizeof(float);

    /// <summary>Bytes for a batch of a training step.</summary>
    /// <param name="network">Denoiser; weights are not read.</param>
    /// <param name="autoencoder">Autoencoder of a decoded objective; null for none.</param>
    /// <param name="batch">Batch size.</param>
    /// <param name="options">Training options that affect memory.</param>
    public static long OfStep(IDenoiser network, IAutoencoder? autoencoder, int batch, StepShape options)
    {
        var (kept, moment) = Denoiser(network, batch, options);
        // The decoder's backward pass completes before that of the denoiser begins.
        var decoder = autoencoder is null ? 0 : OfAutoencoder(autoencoder, network.SampleSize, batch, frozen: true, options.Taps);
        return (long)(kept + Math.Max(moment, decoder));
    }

    /// <summary>
    /// Default number of prompt tokens: 77 for CLIP, 300 for PixArt, 333 for CLIP and T5 in SD 3, 1 for a class.
    /// </summary>
    public static int TextTokens(IDenoiser network) =>
        network switch
        {
            PixArtTransformer2D => PixArtPromptEncoder.SigmaTokens,
            Sd3Transformer2D => 77 + 256,
            MmDitTransformer2D => 1,
            _ => 77,
        };

    /// <summary>
    /// Bytes for a batch of an autoencoder: a frozen decoder saves one map per normalisation (without normalisations, per layer), a trained
    /// network input and output of each layer.
    /// </summary>
    /// <param name="network">Autoencoder.</param>
    /// <param name="side">Side of the latent.</param>
    /// <param name="batch">Batch size.</param>
    /// <param name="frozen">Whether only the frozen decoder is used.</param>
    /// <param name="taps">Compared taps of a frozen decoder; null for a loss on pictures.</param>
    public static long OfAutoencoder(IAutoencoder network, double side, int batch, bool frozen, IReadOnlyList<int>? taps = null)
    {
        var (kept, largest) = (0.0, 0.0);
        var deepest = taps is null ? network.Taps.Count : taps[^1];
        double Map(double channels, double scale) => channels * Math.Pow(side * scale, 2) * batch * Float;
        foreach (var parameter in network.Parameters.All)
        {
            var (name, shape) = (parameter.Name, parameter.Shape);
            var decoder = name.StartsWith("decoder.", StringComparison.Ordinal);
            if (frozen && (!decoder || Stage(name, network.Taps) > deepest))
                continue;
            var scale = decoder ? DecoderScale(name, network.Taps) : EncoderScale(name, network.Downsampling);
            if (shape.Length == 1)
            {
                if (frozen && network is not AutoencoderTiny && name.EndsWith(".weight", StringComparison.Ordinal))
                    kept += Map(shape[0], scale);
                continue;
            }

            if (name.EndsWith(".to_q.weight", StringComparison.Ordinal))
            {
                var scores = Math.Pow(side * scale, 4) * batch * Float;
                (kept, largest) = (
                    kept + (Attention.KeepsScores(scores) ? scores : 0),
                    Attention.KeepsScores(scores) ? Math.Max(largest, scores) : largest
                );
            }

            // Layers between two resolutions, and shortcuts of residual blocks, whose input is saved already and whose output is added
            // immediately.
            var before =
                name.Contains(".upsamplers.", StringComparison.Ordinal) ? scale / 2
                : name.Contains(".downsamplers.", StringComparison.Ordinal) ? scale * 2
                : scale;
            var (input, output) = (Map(shape[1], before), Map(shape[0], scale));
            largest = Math.Max(largest, input + output);
            var remembered = shape.Length == 2 ? !name.Contains(".to_out.", StringComparison.Ordinal) : network is AutoencoderTiny;
            if (frozen)
                kept += remembered ? output : 0;
            else if (!name.Contains("conv_shortcut", StringComparison.Ordinal))
                kept += KeyOrValue().IsMatch(name) ? output : input + output;
        }

        // Features of the target, and the gradients of all compared layers, which are live at the same time.
        var features = taps?.Sum(t => Map(network.Taps[t].Channels, network.Taps[t].Scale)) ?? 0;
        return (long)(kept + largest + (3 * features));
    }

    private static (double Kept, double Moment) Denoiser(IDenoiser network, int batch, StepShape options)
    {
        var side = (double)network.SampleSize;
        var patch =
            network.Parameters.All.FirstOrDefault(static p => p.Name.EndsWith("pos_embed.proj.weight", StringComparison.Ordinal))?.Shape[^1]
            ?? 1;
        var levels = 1 + network.Parameters.All.Select(static p => Numbered(p.Name, "down_blocks")).Max() ?? 0;
        var words = (double)(options.Text ?? TextTokens(network));
        // A recomputed unit saves its input only; the rest is live only during its own backward pass.
        var units = new Dictionary<string, double>(StringComparer.Ordinal);
        var (kept, moment) = (0.0, 0.0);
        foreach (var parameter in network.Parameters.All.Where(IsApplied))
        {
            var name = parameter.Name;
            var pixels = Math.Pow(side / patch * Relative(name, levels), 2);
            var isCross = network is UNet2DCondition or PixArtTransformer2D && name.Contains("attn2.", StringComparison.Ordinal);
            var positions = OnText().IsMatch(name) || (isCross && KeyOrValue().IsMatch(name)) ? words : pixels;
            var input = parameter.Shape[1] * positions * batch * Float;
            var pair = input + (parameter.Shape[0] * positions * batch * Float);
            Add(name, pair, options.Checkpoint ? 1 : 2);
            if (options.Checkpoint && EntersUnit().IsMatch(name))
                kept += input;
            if (!name.EndsWith(".to_q.weight", StringComparison.Ordinal))
                continue;
            // Joint attention concatenates image and text tokens.
            var joint = network.Parameters.Find(name.Replace(".to_q.", ".add_k_proj.", StringComparison.Ordinal)) is not null;
            var (asking, asked) = joint ? (pixels + words, pixels + words) : (pixels, isCross ? words : pixels);
            var scores = Heads(network, name, levels) * asking * asked * batch * Float;
            if (Attention.KeepsScores(scores))
                Add(name, scores, 2);
        }

        return (kept, units.Values.DefaultIfEmpty().Max() + moment);

        void Add(string name, double bytes, int times)
        {
            moment = Math.Max(moment, times * bytes);
            if (options.Checkpoint && UnitOf(name) is { } unit)
                units[unit] = units.GetValueOrDefault(unit) + bytes;
            else
                kept += bytes;
        }
    }

    /// <summary>
    /// Recomputed unit of a layer: a transformer block, or a residual block of a U-Net with its attention; null for layers that are never
    /// recomputed.
    /// </summary>
    private static string? UnitOf(string name)
    {
        if (Numbered(name, "resnets") is { } residual)
            return $"{name[..name.IndexOf("resnets", StringComparison.Ordinal)]}{residual}";
        if (Numbered(name, "attentions") is { } attention)
            return $"{name[..name.IndexOf("attentions", StringComparison.Ordinal)]}"
                + $"{(name.StartsWith("mid_block", StringComparison.Ordinal) ? attention + 1 : attention)}";
        return Numbered(name, "transformer_blocks") is { } block ? $"{block}" : null;
    }

    private static double EncoderScale(string name, int downsampling)
    {
        var lowest = Math.Log2(downsampling);
        var level = Numbered(name, "down_blocks") ?? (name.Contains("conv_in", StringComparison.Ordinal) ? 0 : lowest);
        return downsampling / Math.Pow(2, Math.Min(level + (name.Contains(".downsamplers.", StringComparison.Ordinal) ? 1 : 0), lowest));
    }

    /// <summary>Index of the first tap at or after a layer; the number of taps if there is none.</summary>
    private static int Stage(string name, IReadOnlyList<DecoderTap> taps)
    {
        for (var k = 0; k < taps.Count; k++)
        {
            if (
                name.StartsWith(taps[k].Name + ".", StringComparison.Ordinal)
                || (Numbered(name, "layers") is { } layer && Numbered(taps[k].Name + ".", "layers") >= layer)
            )
                return k;
        }

        return name.Contains("conv_in.", StringComparison.Ordinal) ? 0 : taps.Count;
    }

    /// <summary>Output scale of a layer: that of its tap, or the previous one in a block that ends with upsampling.</summary>
    private static double DecoderScale(string name, IReadOnlyList<DecoderTap> taps)
    {
        var stage = Stage(name, taps);
        if (stage == taps.Count)
            return taps[^1].Scale;
        return stage > 0 && name.Contains(".resnets.", StringComparison.Ordinal) ? taps[stage - 1].Scale : taps[stage].Scale;
    }

    private static double Heads(IDenoiser network, string name, int levels) =>
        network switch
        {
            DiTTransformer2D dit => dit.Config.NumAttentionHeads,
            PixArtTransformer2D pixart => pixart.Config.NumAttentionHeads,
            Sd3Transformer2D sd3 => sd3.Config.NumAttentionHeads,
            MmDitTransformer2D mmdit => mmdit.Config.NumAttentionHeads,
            // diffusers' attention_head_dim contains the number of heads.
            UNet2DCondition { Config.AttentionHeadDim: [var everywhere] } => everywhere,
            UNet2DCondition unet => unet.Config.AttentionHeadDim[(int)Math.Round(-Math.Log2(Relative(name, levels)))],
            _ => 1,
        };

    /// <summary>Side of a U-Net's map relative to its input.</summary>
    private static double Relative(string name, int levels)
    {
        if (levels == 0)
            return 1;
        if (Numbered(name, "down_blocks") is { } down)
            return Math.Pow(0.5, down);
        if (Numbered(name, "up_blocks") is { } up)
            return Math.Pow(0.5, levels - 1 - up);
        return name.Contains("mid_block", StringComparison.Ordinal) ? Math.Pow(0.5, levels - 1) : 1;
    }

    /// <summary>Whether a tensor is applied at every position; embeddings and modulations are applied once per picture.</summary>
    private static bool IsApplied(Parameter parameter) => parameter.Shape.Length is 2 or 4 && !OncePerPicture().IsMatch(parameter.Name);

    private static int? Numbered(string name, string list)
    {
        var start = name.IndexOf(list + ".", StringComparison.Ordinal);
        if (start < 0)
            return null;
        var digits = new string([.. name.AsSpan(start + list.Length + 1).ToString().TakeWhile(char.IsAsciiDigit)]);
        return digits.Length > 0 ? int.Parse(digits, CultureInfo.InvariantCulture) : null;
    }

    [GeneratedRegex(@"(^|\.)norm\w*\.|embedd|time_emb|time_proj|add_embedding|adaln|proj_out_1", RegexOptions.ExplicitCapture)]
    private static partial Regex OncePerPicture();

    [GeneratedRegex(@"\.add_[qkv]_proj\.|\.to_add_out\.|\.ff_context\.|caption_projection")]
    private static partial Regex OnText();

    [GeneratedRegex(@"\.to_[kv]\.")]
    private static partial Regex KeyOrValue();

    [GeneratedRegex(@"resnets\.\d+\.conv1\.|^transformer_blocks\.\d+\.attn1?\.(to_q|add_k_proj)\.")]
    private static partial Regex EntersUnit();
}

/// <summary>Training options that affect memory.</summary>
/// <param name="Checkpoint">Whether the denoiser recomputes its blocks.</param>
/// <param name="Text">Tokens of the prompts; null: <see cref="ActivationEstimate.TextTokens"/>.</param>
/// <param name="Taps">Compared taps of the decoder; null for a loss on pictures.</param>
public readonly record struct StepShape(bool Checkpoint = false, int? Text = null, IReadOnlyList<int>? Taps = null);
