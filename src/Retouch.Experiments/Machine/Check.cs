namespace Retouch.Experiments.Machine;

/// <summary>State of a requirement.</summary>
internal enum CheckState
{
    /// <summary>No problem.</summary>
    Ok,

    /// <summary>Usable with a drawback; there is a remedy.</summary>
    Slow,

    /// <summary>Required, and missing or unusable.</summary>
    Missing,
}

/// <summary>Line of the doctor's report.</summary>
/// <param name="Name">Name of the requirement.</param>
/// <param name="State">State.</param>
/// <param name="Detail">Versions, paths and figures.</param>
/// <param name="Remedy">Remedy; null if none is needed.</param>
internal sealed record Check(string Name, CheckState State, string Detail, string? Remedy = null);
