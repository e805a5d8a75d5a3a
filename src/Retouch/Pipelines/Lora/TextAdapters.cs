using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Lora;

/// <summary>
/// Text encoder part of an adapter file. Merged whenever the encoder is loaded, since text encoders are in memory only during prompt
/// encoding.
/// </summary>
/// <param name="Encoder">Folder of the encoder in its pipeline.</param>
/// <param name="File">Adapter file.</param>
/// <param name="Strength">Factor in addition to the adapters' own scale.</param>
public sealed record TextAdapters(string Encoder, string File, double Strength)
{
    /// <summary>Adds the adapters to the encoder's weights.</summary>
    /// <param name="encoder">Parameters of the encoder, with values.</param>
    public void MergeInto(ParameterStore encoder)
    {
        ArgumentNullException.ThrowIfNull(encoder);
        using var adapters = LoraFile.Attach(File, LoraTarget.TextEncoder(encoder, Encoder), encoder.All[0].Value.Device, DType.Float32);
        adapters.Merge(Strength);
    }
}
