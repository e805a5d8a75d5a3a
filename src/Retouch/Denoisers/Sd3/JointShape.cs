namespace Retouch.Denoisers.Sd3;

/// <summary>Configuration of a <see cref="JointNetwork"/>, independent of member names.</summary>
internal sealed record JointShape
{
    /// <summary>Network name for error messages.</summary>
    public required string Network { get; init; }

    public required int Heads { get; init; }

    public required int HeadDim { get; init; }

    public required int Layers { get; init; }

    public required int Channels { get; init; }

    public required int OutChannels { get; init; }

    public required int Patch { get; init; }

    /// <summary>Latent side of the position units.</summary>
    public required int SampleSize { get; init; }

    /// <summary>Tokens per side of the stored position table.</summary>
    public required int PositionSide { get; init; }

    /// <summary>Width of the context embeddings.</summary>
    public required int ContextWidth { get; init; }

    /// <summary>Width of the pooled vector, which enters through the modulation.</summary>
    public required int PooledWidth { get; init; }

    /// <summary>Whether queries and keys are RMS-normalised per head.</summary>
    public bool NormaliseHeads { get; init; }

    /// <summary>Indices of blocks with a second, image-only attention.</summary>
    public IReadOnlyList<int> DualLayers { get; init; } = [];

    /// <summary>Whether both streams share their weights and modulations are diagonal.</summary>
    public bool SharedStreams { get; init; }

    public int Width => Heads * HeadDim;
}
