using Retouch.Core.Errors;
using Retouch.Tests.Training.Telemetry;
using Retouch.Training.State;

namespace Retouch.Tests.Training.State;

/// <summary>Comparison of a run's inputs with those at its start.</summary>
public sealed class RunInputsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Every_type_of_change_is_reported_and_classified()
    {
        var before = new RunInputs(
            "1.13.1",
            Hashes(("vae", "a"), ("transformer", "b")),
            Samples(("1", new(0, "x", "s")), ("2", new(0, "x", "s")), ("3", new(null, "x", "s")))
        );
        var now = new RunInputs(
            "2.6.0",
            Hashes(("vae", "a"), ("transformer", "c"), ("text_encoder", "d")),
            Samples(("1", new(1, "x", "s")), ("2", new(0, "y", "t")), ("4", new(null, "x", "s")))
        );
        Assert.Equal(
            [
                new("libtorch is 2.6.0; it was 1.13.1: results differ in the last digits", Matters: false),
                new("the files of the model's text_encoder have changed", Matters: true),
                new("the files of the model's transformer have changed", Matters: true),
                new("1 sample (4) has been added to the data, which changes the order of all samples", Matters: true),
                new("1 sample (3) has been removed from the data, which changes the order of all samples", Matters: true),
                new("1 sample (1) has a different class", Matters: true),
                new("1 sample (2) has different captions", Matters: true),
                new("1 sample (2) has a file of different length or time", Matters: false),
            ],
            before.ChangesTo(now)
        );
        Assert.Empty(before.ChangesTo(before));
        Assert.False(before.HasSamplesOf(now));
    }

    [Fact]
    public void Inputs_survive_a_round_trip()
    {
        var path = _folder["inputs.json"];
        Assert.Null(RunInputs.Read(path));
        var inputs = new RunInputs("2.14.1", Hashes(("vae", "a")), Samples(("ein Bild/ä.png", new(3, "", "7 9"))));
        inputs.Save(path);
        Assert.Empty(RunInputs.Read(path)!.ChangesTo(inputs));
        Assert.True(RunInputs.Read(path)!.HasSamplesOf(inputs));
        File.WriteAllText(path, "{");
        Assert.Contains(path, Assert.Throws<InputException>(() => RunInputs.Read(path)).Message, StringComparison.Ordinal);
    }

    private static Dictionary<string, string> Hashes(params (string Part, string Hash)[] parts) =>
        parts.ToDictionary(static p => p.Part, static p => p.Hash, StringComparer.Ordinal);

    private static Dictionary<string, KnownSample> Samples(params (string Name, KnownSample Sample)[] samples) =>
        samples.ToDictionary(static s => s.Name, static s => s.Sample, StringComparer.Ordinal);
}
