using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Denoisers;
using Retouch.Pipelines;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Tests.Goldens;

/// <summary>Small autoencoder and denoiser of the training golden, for tests of whole runs.</summary>
internal static class TinyModel
{
    /// <summary>Folder of the autoencoder.</summary>
    public static string AutoencoderFolder => PartOf("autoencoder");

    /// <summary>Loads the autoencoder; on the CPU by default.</summary>
    public static IAutoencoder Autoencoder(Device? device = null) =>
        (IAutoencoder)ComponentFolder.Load(AutoencoderFolder, device ?? Device.Cpu).Network;

    /// <summary>Loads both networks, with a scheduler configuration; on the CPU by default.</summary>
    public static LatentDiffusionPipeline Pipeline(JsonObject scheduler, Device? device = null) =>
        LatentDiffusionPipeline.Create(
            Autoencoder(device),
            (IDenoiser)ComponentFolder.Load(PartOf("denoiser"), device ?? Device.Cpu).Network,
            scheduler
        );

    private static string PartOf(string name) => Path.Combine(GoldenCase.FolderOf("training_dit_lpl"), name);
}
