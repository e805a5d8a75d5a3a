using Retouch.Experiments.Phases;
using Retouch.Training;
using Retouch.Training.Telemetry;

namespace Retouch.Experiments.Demo;

/// <summary>Trained arm.</summary>
/// <param name="Arm">Arm.</param>
/// <param name="Folder">Folder of the run.</param>
/// <param name="Phase">Time and memory.</param>
/// <param name="Records">Log records.</param>
public sealed record ArmRun(DemoArm Arm, string Folder, PhaseRecord Phase, IReadOnlyList<MetricsRecord> Records)
{
    /// <summary>Median seconds per step.</summary>
    public double StepSeconds
    {
        get
        {
            double[] seconds = [.. MetricsSeries.Of(Records, "time/step").Values.Order()];
            return seconds.Length == 0 ? double.NaN : seconds[seconds.Length / 2];
        }
    }

    /// <summary>Resolved options, as JSON.</summary>
    public string Options => File.ReadAllText(RunFolder.Open(Folder).OptionsFile);

    /// <summary>Reads a completed run.</summary>
    public static ArmRun Read(DemoArm arm, string folder, PhaseRecord phase) =>
        new(arm, folder, phase, MetricsReader.Read(RunFolder.Open(folder).MetricsFile));
}
