namespace Retouch.Experiments.Machine;

/// <summary>State of a requirement.</summary>
internal enum CheckState
{
    /// <summary>In order.</summary>
    Ok,

    /// <summary>Works below its potential; there is a remedy.</summary>
    Slow,

    /// <summary>Required, and missing or unusable.</summary>
    Missing,
}

/// <summary>One line of the doctor's report.</summary>
/// <param name="Name">The requirement.</param>
/// <param name="State">Its state.</param>
/// <param name="Detail">Versions, paths and figures.</param>
/// <param name="Remedy">Remedy; null if none is needed.</param>
internal sealed record Check(string Name, CheckState State, string Detail, string? Remedy = null);
