using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>
/// Keys of a tiny autoencoder in its author's layout. Each half is a file with a list of layers numbered from 0; the decoder's list starts
/// with the latent clamp, which diffusers does not number.
/// </summary>
internal static class TaesdKeys
{
    /// <summary>diffusers' keys and their origins in the two files.</summary>
    /// <exception cref="InputException">A key does not start with a layer number.</exception>
    public static IEnumerable<(string Key, ITensorSource Source, TensorOrigin Origin)> Of(
        ITensorSource encoder,
        ITensorSource decoder,
        string origin
    )
    {
        foreach (var (half, name, shift) in new[] { (encoder, "encoder", 0), (decoder, "decoder", 1) })
        {
            foreach (var key in half.Names)
            {
                var (layer, rest) = Split(key, origin);
                yield return (
                    string.Create(CultureInfo.InvariantCulture, $"{name}.layers.{layer - shift}.{rest}"),
                    half,
                    new TensorOrigin(key)
                );
            }
        }
    }

    /// <summary>Configuration of the network, from keys and shapes.</summary>
    /// <param name="source">Tensors under diffusers' keys.</param>
    /// <param name="origin">Folder for messages.</param>
    /// <exception cref="InputException">The files are not those of a tiny autoencoder.</exception>
    public static AutoencoderTinyConfig Config(ITensorSource source, string origin)
    {
        var (first, last) = Ends(source, "encoder", origin);
        var (start, image) = Ends(source, "decoder", origin);
        var (down, up) = (Blocks(source, "encoder"), Blocks(source, "decoder"));
        if (first[1] > int.MaxValue || last[0] > int.MaxValue || down.Concat(up).Any(static b => b is < 1 or > 64))
            throw new InputException($"'{origin}' is not a tiny autoencoder: its layers do not alternate between convolutions and blocks.");
        var config = new AutoencoderTinyConfig
        {
            InChannels = (int)first[1],
            OutChannels = (int)image[0],
            LatentChannels = (int)last[0],
            EncoderChannels = (int)first[0],
            DecoderChannels = (int)start[0],
            NumEncoderBlocks = down,
            NumDecoderBlocks = up,
            UseMidblockGroupNorm = source.Names.Any(static k => k.Contains(".pool.", StringComparison.Ordinal)),
        };
        config.Validate(origin);
        return config;
    }

    private static (int Layer, string Inner) Split(string key, string origin)
    {
        var dot = key.IndexOf('.', StringComparison.Ordinal);
        // Leading zeros are excluded, so that no two keys have the same number.
        if (
            dot < 1
            || key[0] == '0' && dot > 1
            || !int.TryParse(key.AsSpan(0, dot), NumberStyles.None, CultureInfo.InvariantCulture, out var layer)
        )
            throw new InputException($"'{origin}' is not a tiny autoencoder: it has a tensor '{key}', but its layers must be numbered.");
        return (layer, key[(dot + 1)..]);
    }

    /// <summary>Number of blocks between consecutive single convolutions.</summary>
    private static List<int> Blocks(ITensorSource source, string half)
    {
        var (convs, blocks) = (Numbers(source, half, "weight"), Numbers(source, half, "conv.0.weight"));
        return [.. convs.Zip(convs.Skip(1), (a, b) => blocks.Count(k => k > a && k < b))];
    }

    private static List<int> Numbers(ITensorSource source, string half, string rest)
    {
        var prefix = $"{half}.layers.";
        return
        [
            .. source
                .Names.Where(k => k.StartsWith(prefix, StringComparison.Ordinal) && k.EndsWith("." + rest, StringComparison.Ordinal))
                .Select(k => int.TryParse(k.AsSpan()[prefix.Length..^(rest.Length + 1)], CultureInfo.InvariantCulture, out var n) ? n : -2)
                .Where(static n => n > -2)
                .Order(),
        ];
    }

    /// <summary>Shapes of the first and last single convolutions of a half.</summary>
    private static (long[] First, long[] Last) Ends(ITensorSource source, string half, string origin)
    {
        long[][] shapes = [.. Numbers(source, half, "weight").Select(k => source.ShapeOf($"{half}.layers.{k}.weight"))];
        return shapes is [{ Length: 4 } first, ..] && shapes[^1] is { Length: 4 } last
            ? (first, last)
            : throw new InputException($"'{origin}' is not a tiny autoencoder: its {half} does not start and end with convolutions.");
    }
}
