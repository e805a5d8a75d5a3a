using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>
/// Maps the encoder and decoder files of a tiny autoencoder from the author's keys to diffusers' keys. In the author's files each half
/// is a list of layers numbered from 0; the decoder's list starts with the latent clamp, which diffusers does not number.
/// </summary>
internal sealed class TaesdKeys : ITensorSource
{
    private readonly Dictionary<string, (ITensorFile Half, string Key)> _stored = new(StringComparer.Ordinal);

    /// <exception cref="InputException">The files are not those of a tiny autoencoder.</exception>
    public TaesdKeys(ITensorFile encoder, ITensorFile decoder, string origin)
    {
        foreach (var (half, name, shift) in new[] { (encoder, "encoder", 0), (decoder, "decoder", 1) })
        {
            foreach (var key in half.Names)
            {
                var (layer, rest) = Split(key, origin);
                _stored[string.Create(CultureInfo.InvariantCulture, $"{name}.layers.{layer - shift}.{rest}")] = (half, key);
            }
        }

        var (first, last) = (
            Shape("encoder", Layers("encoder").FirstOrDefault(), origin),
            Shape("encoder", Layers("encoder").LastOrDefault(), origin)
        );
        var (start, image) = (
            Shape("decoder", Layers("decoder").FirstOrDefault(), origin),
            Shape("decoder", Layers("decoder").LastOrDefault(), origin)
        );
        var (down, up) = (Blocks("encoder"), Blocks("decoder"));
        if (
            first[1] > int.MaxValue
            || last[0] > int.MaxValue
            || down.Exists(static b => b is < 1 or > 64)
            || up.Exists(static b => b is < 1 or > 64)
        )
            throw new InputException($"'{origin}' is not a tiny autoencoder: its layers do not alternate between convolutions and blocks.");
        Config = new AutoencoderTinyConfig
        {
            InChannels = (int)first[1],
            OutChannels = (int)image[0],
            LatentChannels = (int)last[0],
            EncoderChannels = (int)first[0],
            DecoderChannels = (int)start[0],
            NumEncoderBlocks = down,
            NumDecoderBlocks = up,
            UseMidblockGroupNorm = _stored.Keys.Any(static k => k.Contains(".pool.", StringComparison.Ordinal)),
        };
        Config.Validate(origin);
    }

    /// <summary>Configuration inferred from keys and shapes.</summary>
    public AutoencoderTinyConfig Config { get; }

    public IEnumerable<string> Names => _stored.Keys;

    public long[] ShapeOf(string name) => _stored[name].Half.ShapeOf(_stored[name].Key);

    public DType DTypeOf(string name) => _stored[name].Half.DTypeOf(_stored[name].Key);

    public Tensor Read(string name) => _stored[name].Half.Read(_stored[name].Key);

    public Tensor ReadOwned(string name) => _stored[name].Half.ReadOwned(_stored[name].Key);

    private static (int Layer, string Inner) Split(string key, string origin)
    {
        var dot = key.IndexOf('.', StringComparison.Ordinal);
        if (dot < 1 || !int.TryParse(key.AsSpan(0, dot), NumberStyles.None, CultureInfo.InvariantCulture, out var layer))
            throw new InputException($"'{origin}' is not a tiny autoencoder: it has a tensor '{key}', but its layers must be numbered.");
        return (layer, key[(dot + 1)..]);
    }

    /// <summary>Layer numbers of the single convolutions in a half.</summary>
    private List<int> Layers(string half) => Numbers(half, "weight");

    /// <summary>Number of blocks between consecutive single convolutions.</summary>
    private List<int> Blocks(string half)
    {
        var (convs, blocks) = (Layers(half), Numbers(half, "conv.0.weight"));
        return [.. convs.Zip(convs.Skip(1), (a, b) => blocks.Count(k => k > a && k < b))];
    }

    private List<int> Numbers(string half, string rest)
    {
        var prefix = $"{half}.layers.";
        return
        [
            .. _stored
                .Keys.Where(k => k.StartsWith(prefix, StringComparison.Ordinal) && k.EndsWith("." + rest, StringComparison.Ordinal))
                .Select(k => k[prefix.Length..^(rest.Length + 1)])
                .Where(static k => int.TryParse(k, CultureInfo.InvariantCulture, out _))
                .Select(static k => int.Parse(k, CultureInfo.InvariantCulture))
                .Order(),
        ];
    }

    private long[] Shape(string half, int layer, string origin) =>
        _stored.ContainsKey($"{half}.layers.{layer}.weight") && ShapeOf($"{half}.layers.{layer}.weight") is { Length: 4 } shape
            ? shape
            : throw new InputException($"'{origin}' is not a tiny autoencoder: its {half} does not start and end with convolutions.");
}
