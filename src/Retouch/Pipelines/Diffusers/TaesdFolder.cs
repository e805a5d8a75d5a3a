using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Io;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// A tiny autoencoder in its author's layout: one file per half (<c>taesd_encoder.safetensors</c>, <c>taesd_decoder.safetensors</c>),
/// without configuration.
/// </summary>
internal sealed class TaesdFolder : IWeights
{
    private readonly ITensorFile _encoder;
    private readonly ITensorFile _decoder;
    private readonly TaesdKeys _keys;

    private TaesdFolder(string folder, (string Encoder, string Decoder) files)
    {
        _encoder = TensorFile.Open(files.Encoder);
        try
        {
            _decoder = TensorFile.Open(files.Decoder);
            _keys = new TaesdKeys(_encoder, _decoder, folder);
        }
        catch
        {
            _encoder.Dispose();
            _decoder?.Dispose();
            throw;
        }
    }

    public IEnumerable<string> Names => _keys.Names;

    public IEnumerable<string> Files => [_encoder.FilePath, _decoder.FilePath];

    /// <summary>Configuration derived from keys and shapes.</summary>
    public AutoencoderTinyConfig Config => _keys.Config;

    /// <summary>Whether a folder has this layout: both halves, and no <c>config.json</c>.</summary>
    public static bool Is(string folder) => Find(folder) is not null;

    /// <summary>Opens a folder of this layout.</summary>
    /// <exception cref="InputException">The files are invalid or contain other tensors.</exception>
    public static TaesdFolder Open(string folder) =>
        new(folder, Find(folder) ?? throw new InputException($"'{folder}' has no files *_encoder and *_decoder."));

    public long[] ShapeOf(string name) => _keys.ShapeOf(name);

    public DType DTypeOf(string name) => _keys.DTypeOf(name);

    public Tensor Read(string name) => _keys.Read(name);

    public Tensor ReadOwned(string name) => _keys.ReadOwned(name);

    public void Dispose()
    {
        _encoder.Dispose();
        _decoder.Dispose();
    }

    private static (string Encoder, string Decoder)? Find(string folder)
    {
        if (!Directory.Exists(folder) || File.Exists(Path.Combine(folder, ComponentFolder.ConfigName)))
            return null;
        foreach (var extension in TensorFile.Extensions)
        {
            var encoder = Directory.EnumerateFiles(folder, "*_encoder" + extension).Order(StringComparer.Ordinal).FirstOrDefault();
            var decoder = encoder?.Replace("_encoder" + extension, "_decoder" + extension, StringComparison.Ordinal);
            if (decoder is not null && File.Exists(decoder))
                return (encoder!, decoder);
        }

        return null;
    }
}
