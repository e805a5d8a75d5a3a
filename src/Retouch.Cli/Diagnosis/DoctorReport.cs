using Retouch.Experiments.Machine;

namespace Retouch.Cli.Diagnosis;

/// <summary>What the doctor found.</summary>
/// <param name="Version">Version of Retouch.</param>
/// <param name="Usable">Whether nothing that is required is missing.</param>
/// <param name="Checks">Every line, in the order of reading.</param>
/// <param name="Torch">Facts about the engine; null when it cannot be loaded.</param>
/// <param name="Pictures">Facts about the picture library; null when it cannot be loaded.</param>
internal sealed record DoctorReport(string Version, bool Usable, IReadOnlyList<Check> Checks, TorchFacts? Torch, PictureFacts? Pictures);
