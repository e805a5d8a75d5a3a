using Retouch.Training.Options;

namespace Retouch.Experiments.Phases;

/// <summary>Outcome of a training phase (<c>phase.json</c> in the run folder), written on interruption and at the end.</summary>
/// <param name="Finished">Whether the last step was reached.</param>
/// <param name="Seconds">Wall-clock seconds, summed over all starts.</param>
/// <param name="PeakBytes">Largest peak of resident memory of any start.</param>
public sealed record PhaseRecord(bool Finished, double Seconds, long PeakBytes)
{
    /// <summary>Reads the record of a run; null before its first interruption or end.</summary>
    /// <param name="run">Folder of the run.</param>
    public static PhaseRecord? Read(string run) =>
        File.Exists(FileOf(run)) ? OptionsFile.Bind<PhaseRecord>(OptionsFile.Read(FileOf(run)), FileOf(run)) : null;

    /// <summary>Writes the record.</summary>
    /// <param name="run">Folder of the run.</param>
    public void Write(string run) => OptionsFile.Save(this, FileOf(run));

    private static string FileOf(string run) => Path.Combine(run, "phase.json");
}
