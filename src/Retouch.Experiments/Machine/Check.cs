namespace Retouch.Experiments.Machine;

/// <summary>How one thing that Retouch needs was found.</summary>
internal enum CheckState
{
    /// <summary>As it should be.</summary>
    Ok,

    /// <summary>It works, but worse than it could; the remedy says how to mend it.</summary>
    Slow,

    /// <summary>Required and not there, or unusable; Retouch cannot work without it.</summary>
    Missing,
}

/// <summary>One line of the doctor's report.</summary>
/// <param name="Name">What was looked at.</param>
/// <param name="State">How it was found.</param>
/// <param name="Detail">What was found, with versions, paths and figures.</param>
/// <param name="Remedy">How to mend it; null when there is nothing to mend.</param>
internal sealed record Check(string Name, CheckState State, string Detail, string? Remedy = null);
