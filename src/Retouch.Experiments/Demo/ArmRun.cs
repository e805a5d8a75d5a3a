using Retouch.Experiments.Phases;
using Retouch.Training;
using Retouch.Training.Telemetry;

namespace Retouch.Experiments.Demo;

/// <summary>An arm that was trained.</summary>
/// <param name="Arm">Which.</param>
/// <param name="Folder">Its run.</param>
/// <param name="Phase">Seconds and memory.</param>
/// <param name="Records">Its log.</param>
public sealed record ArmRun(DemoArm Arm, string Folder, PhaseRecord Phase, IReadOnlyList<MetricsRecord> Records)
{
    /// <summary>Median of the seconds a step took.</summary>
    public double StepSeconds
    {
        get
        {
            double[] seconds = [.. MetricsSeries.Of(Records, "time/step").Values.Order()];
            return seconds.Length == 0 ? double.NaN : seconds[seconds.Length / 2];
        }
    }

    /// <summary>The options that it ran with, as JSON.</summary>
    public string Options => File.ReadAllText(RunFolder.Open(Folder).OptionsFile);

    /// <summary>Reads an arm back.</summary>
    public static ArmRun Read(DemoArm arm, string folder, PhaseRecord phase) =>
        new(arm, folder, phase, MetricsReader.Read(RunFolder.Open(folder).MetricsFile));
}
