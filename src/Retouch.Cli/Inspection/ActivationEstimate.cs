using System.Globalization;
using System.Text.RegularExpressions;
using Retouch.Autoencoders;
using Retouch.Denoisers;
using Retouch.Torch.Nn;

namespace Retouch.Cli.Inspection;

/// <summary>
/// What a backward pass keeps, from the layers' sizes alone: each weight matrix or kernel keeps its input and makes an output that what follows keeps, at
/// the resolution that its place in the network tells. Attention's scores and whatever a network does besides are left out: it is an estimate.
/// </summary>
internal static partial class ActivationEstimate
{
    private const int Float = sizeof(float);

    /// <summary>Bytes that a denoiser keeps for one picture.</summary>
    public static long OfDenoiser(IDenoiser network)
    {
        var side = (double)network.SampleSize;
        var patch = network.Parameters.All.FirstOrDefault(static p => p.Name.EndsWith("pos_embed.proj.weight", StringComparison.Ordinal))?.Shape[^1] ?? 1;
        var levels = 1 + network.Parameters.All.Select(static p => Level(p.Name, "down_blocks")).Max() ?? 0;
        return (long)network.Parameters.Trained.Where(IsApplied).Sum(p => Pair(p) * Math.Pow(side / patch * Relative(p.Name, levels), 2) * Float);
    }

    /// <summary>Bytes that an autoencoder keeps for one latent of a side: a frozen decoder keeps one map for each layer, a trained network both ends.</summary>
    /// <param name="network">The autoencoder.</param>
    /// <param name="side">Side of the latent.</param>
    /// <param name="frozen">Whether only its decoder is looked through.</param>
    public static long OfAutoencoder(IAutoencoder network, double side, bool frozen)
    {
        var total = 0.0;
        var taps = network.Taps;
        foreach (var parameter in network.Parameters.Trained.Where(static p => p.Shape.Length == 4))
        {
            var decoder = parameter.Name.StartsWith("decoder.", StringComparison.Ordinal);
            if (!decoder && frozen)
                continue;
            var scale = decoder ? DecoderScale(parameter.Name, taps) : network.Downsampling / Math.Pow(2, Math.Min(Level(parameter.Name, "down_blocks") ?? (parameter.Name.Contains("mid_block", StringComparison.Ordinal) ? 9 : 0), Math.Log2(network.Downsampling)));
            total += (frozen ? parameter.Shape[0] : Pair(parameter)) * Math.Pow(side * scale, 2) * Float;
        }

        return (long)total;
    }

    /// <summary>The scale of the first tap at or after a layer.</summary>
    private static double DecoderScale(string name, IReadOnlyList<DecoderTap> taps)
    {
        if (taps.FirstOrDefault(t => name.StartsWith(t.Name + ".", StringComparison.Ordinal)) is { } own)
            return own.Scale;
        if (Numbered(name, "layers") is { } layer)
            return (taps.FirstOrDefault(t => Numbered(t.Name + ".", "layers") >= layer) ?? taps[^1]).Scale;
        return name.Contains("conv_in", StringComparison.Ordinal) ? 1 : taps[^1].Scale;
    }

    /// <summary>Side of a U-Net's map relative to its input's.</summary>
    private static double Relative(string name, int levels)
    {
        if (levels == 0)
            return 1;
        if (Level(name, "down_blocks") is { } down)
            return Math.Pow(0.5, down);
        if (Level(name, "up_blocks") is { } up)
            return Math.Pow(0.5, levels - 1 - up);
        return name.Contains("mid_block", StringComparison.Ordinal) ? Math.Pow(0.5, levels - 1) : 1;
    }

    /// <summary>Input and output channels.</summary>
    private static double Pair(Parameter parameter) => parameter.Shape[0] + parameter.Shape[1];

    /// <summary>Whether a tensor is applied at every position; embeddings and modulations are applied once a picture.</summary>
    private static bool IsApplied(Parameter parameter) => parameter.Shape.Length is 2 or 4
        && !OncePerPicture().IsMatch(parameter.Name);

    private static int? Level(string name, string blocks) => Numbered(name, blocks);

    private static int? Numbered(string name, string list)
    {
        var start = name.IndexOf(list + ".", StringComparison.Ordinal);
        if (start < 0)
            return null;
        var digits = new string([.. name.AsSpan(start + list.Length + 1).ToString().TakeWhile(char.IsAsciiDigit)]);
        return digits.Length > 0 ? int.Parse(digits, CultureInfo.InvariantCulture) : null;
    }

    [GeneratedRegex(@"\.norm\d*\.|embedd|time_emb|time_proj|add_embedding|adaln|proj_out_1|attn2\.to_[kv]")]
    private static partial Regex OncePerPicture();
}
