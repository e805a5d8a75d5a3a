using Retouch.Autoencoders;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Training;

/// <summary>
/// Storage of networks that a run does not train: their layer weights are kept once, in the compute type. Values are those of float32
/// weights under autocast, which converts such weights again in every call, and keeps the copies for the backward pass.
/// </summary>
internal static class FrozenParts
{
    // The encoder's output is training data: it stays in float32.
    private static readonly string[] DecoderLayers = ["decoder.", "post_quant_conv."];

    /// <summary>Layers of a network that computes under autocast only: a denoiser with adapters, a reference model.</summary>
    /// <param name="precision">Compute type of the run.</param>
    public static NarrowLayers? Layers(DType precision) => precision == DType.Float32 ? null : new NarrowLayers(precision);

    /// <summary>Whether a parameter of an autoencoder belongs to its decoder.</summary>
    public static bool IsOfDecoder(string name) => Array.Exists(DecoderLayers, prefix => name.StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>Narrows the decoder of a frozen autoencoder to its compute type.</summary>
    /// <param name="autoencoder">Autoencoder with weights.</param>
    /// <param name="precision">Compute type of the run.</param>
    public static void NarrowDecoder(IAutoencoder autoencoder, DType precision)
    {
        if (DecoderPrecision.Of(precision, autoencoder.ForceUpcast) is var type and not DType.Float32)
            autoencoder.Parameters.Narrow(new NarrowLayers(type) { Prefixes = DecoderLayers });
    }
}
