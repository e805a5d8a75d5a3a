namespace Retouch.Denoisers.Sd3;

/// <summary>What a <see cref="JointNetwork"/> is built from, whatever its configuration calls it.</summary>
internal sealed record JointShape
{
    /// <summary>What messages call the network.</summary>
    public required string Network { get; init; }

    public required int Heads { get; init; }

    public required int HeadDim { get; init; }

    public required int Layers { get; init; }

    public required int Channels { get; init; }

    public required int OutChannels { get; init; }

    public required int Patch { get; init; }

    /// <summary>Side of the latents that positions are counted for.</summary>
    public required int SampleSize { get; init; }

    /// <summary>Tokens a side of the stored position table.</summary>
    public required int PositionSide { get; init; }

    /// <summary>Width of the context's embeddings.</summary>
    public required int ContextWidth { get; init; }

    /// <summary>Width of the vector that acts through the modulation.</summary>
    public required int PooledWidth { get; init; }

    /// <summary>Whether queries and keys of each head are RMS-normalised.</summary>
    public bool NormaliseHeads { get; init; }

    /// <summary>Blocks with a second attention among the image tokens alone.</summary>
    public IReadOnlyList<int> DualLayers { get; init; } = [];

    /// <summary>Whether one set of weights serves both streams, with modulations that scale the embedding instead of mapping it.</summary>
    public bool SharedStreams { get; init; }

    public int Width => Heads * HeadDim;
}
