using System.Security.Cryptography;
using System.Text;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Pixels;
using Retouch.Perception;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Evaluation.Judging;

/// <summary>
/// Peak signal-to-noise ratio of an autoencoder's reconstruction (posterior mean, decoded, rounded to 8 bit). A crude measure: noise lowers
/// it, but so does detail, and uniform pictures score highest.
/// </summary>
public sealed class ReconstructionMeasure : ICandidateMeasure
{
    /// <summary>Upper bound in dB, the score of a lossless reconstruction.</summary>
    public const double Highest = PixelScores.MostPsnr;

    private readonly IAutoencoder _autoencoder;
    private readonly Device _device;

    private ReconstructionMeasure(IAutoencoder autoencoder, JudgeProtocol protocol, Device device) =>
        (_autoencoder, Protocol, _device) = (autoencoder, protocol, device);

    /// <inheritdoc/>
    public JudgeProtocol Protocol { get; }

    /// <inheritdoc/>
    public bool NeedsPrompts => false;

    /// <summary>Opens an autoencoder.</summary>
    /// <param name="folder">Folder of an autoencoder, or of a pipeline, whose <c>vae</c> is used.</param>
    /// <param name="device">Device of the autoencoder.</param>
    /// <exception cref="InputException">The folder has no autoencoder, or its files are damaged.</exception>
    public static ReconstructionMeasure Open(string folder, Device device)
    {
        var own = Directory.Exists(Path.Combine(folder, "vae")) ? Path.Combine(folder, "vae") : folder;
        var autoencoder = ComponentFolder.LoadAutoencoder(own, device);
        try
        {
            var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
            return new(
                autoencoder,
                new(
                    "reconstruction",
                    $"PSNR of the autoencoder's reconstruction (posterior mean) in dB, at most {Highest:0}",
                    name,
                    Hash(own)
                ),
                device
            );
        }
        catch
        {
            autoencoder.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public double[] Of(Tensor pictures, IReadOnlyList<string> prompts)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var given = ImageSet.From("candidates", (pictures * 2) - 1);
        var back = new ReconstructedImages(given, _autoencoder, _device).Read(0, given.Count);
        return Array.ConvertAll(PixelScores.SquaredError(back, pictures), PixelScores.Psnr);
    }

    /// <inheritdoc/>
    public void Dispose() => _autoencoder.Dispose();

    /// <summary>Hash of the folder's weights: that of a single file, or that of the concatenated hashes of several.</summary>
    private static string Hash(string folder)
    {
        string[] files =
        [
            .. Directory
                .EnumerateFiles(folder)
                .Where(static f => Path.GetExtension(f) is ".safetensors" or ".bin" or ".pth")
                .Order(StringComparer.Ordinal),
        ];
        return files is [var only]
            ? FeatureWeights.Hash(only)
            : Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(string.Concat(files.Select(FeatureWeights.Hash)))));
    }
}
