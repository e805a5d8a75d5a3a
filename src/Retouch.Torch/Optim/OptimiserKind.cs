namespace Retouch.Torch.Optim;

/// <summary>Optimisers.</summary>
public enum OptimiserKind
{
    /// <summary><see cref="AdamW"/>.</summary>
    Adamw,

    /// <summary><see cref="AdamW8Bit"/>.</summary>
    Adamw8bit,

    /// <summary><see cref="Optim.Adafactor"/>.</summary>
    Adafactor,

    /// <summary><see cref="Optim.Prodigy"/>.</summary>
    Prodigy,

    /// <summary><see cref="Optim.ScheduleFree"/>.</summary>
    ScheduleFree,

    /// <summary><see cref="Optim.Muon"/>.</summary>
    Muon,
}
