using Retouch.Experiments.Machine;

namespace Retouch.Cli.Diagnosis;

/// <summary>Result of <c>retouch doctor</c>.</summary>
/// <param name="Version">Version of Retouch.</param>
/// <param name="Usable">Whether all requirements are met.</param>
/// <param name="Checks">All checks in order.</param>
/// <param name="Torch">Properties of the engine; null if it cannot be loaded.</param>
/// <param name="Pictures">Properties of the picture library; null if it cannot be loaded.</param>
internal sealed record DoctorReport(string Version, bool Usable, IReadOnlyList<Check> Checks, TorchFacts? Torch, PictureFacts? Pictures);
