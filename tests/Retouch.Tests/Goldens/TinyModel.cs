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

    /// <summary>Loads the autoencoder on the CPU.</summary>
    public static IAutoencoder Autoencoder() => (IAutoencoder)ComponentFolder.Load(AutoencoderFolder, Device.Cpu).Network;

    /// <summary>Loads both networks on the CPU, with a scheduler configuration.</summary>
    public static LatentDiffusionPipeline Pipeline(JsonObject scheduler) =>
        LatentDiffusionPipeline.Create(Autoencoder(), (IDenoiser)ComponentFolder.Load(PartOf("denoiser"), Device.Cpu).Network, scheduler);

    private static string PartOf(string name) => Path.Combine(GoldenCase.FolderOf("training_dit_lpl"), name);
}
