using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Lora;

/// <summary>
/// A text encoder's part of a file of low-rank adapters. It is merged whenever that encoder is read: text encoders are in memory only while
/// prompts are encoded.
/// </summary>
/// <param name="Encoder">The encoder's folder in its pipeline.</param>
/// <param name="File">The adapters.</param>
/// <param name="Strength">What they are multiplied by besides their own scale.</param>
public sealed record TextAdapters(string Encoder, string File, double Strength)
{
    /// <summary>Adds them to the encoder's weights.</summary>
    /// <param name="encoder">The parameters of the encoder, with values.</param>
    public void MergeInto(ParameterStore encoder)
    {
        ArgumentNullException.ThrowIfNull(encoder);
        using var adapters = LoraFile.Attach(File, LoraTarget.TextEncoder(encoder, Encoder), encoder.All[0].Value.Device, DType.Float32);
        adapters.Merge(Strength);
    }
}
