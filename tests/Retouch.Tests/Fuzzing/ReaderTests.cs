using Retouch.Core.Errors;
using Retouch.Fuzz;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Telemetry;

namespace Retouch.Tests.Fuzzing;

/// <summary>
/// Short version of bench/fuzz.sh: every reader of untrusted files on mutated files; and the fuzzer on planted defects.
/// </summary>
[Collection(LiveTensorCollection.Name)]
public sealed class ReaderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Readers => [.. FuzzTarget.All(GoldenCase.Root()).Select(static t => t.Name)];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [Trait("speed", "slow")]
    [MemberData(nameof(Readers))]
    public void Broken_files_are_read_or_rejected(string reader)
    {
        var target = FuzzTarget.All(GoldenCase.Root()).Single(t => t.Name == reader);
        const int Files = 750;
        var result = New().Run(target, seed: 77, from: 0, count: Files);
        Assert.Empty(result.Findings);
        Assert.Equal(Files, result.Accepted + result.Refused);
        Assert.True(result.Accepted > 0 && result.Refused > Files / 10, $"{result.Accepted} accepted, {result.Refused} refused");
    }

    [Theory]
    [MemberData(nameof(Readers))]
    public void Complete_files_are_accepted_or_rejected_with_a_reason(string reader)
    {
        var target = FuzzTarget.All(GoldenCase.Root()).Single(t => t.Name == reader);
        var folder = Directory.CreateDirectory(_folder["whole"]).FullName;
        var (accepted, why) = (0, "");
        foreach (var seed in target.Seeds)
        {
            try
            {
                target.Read(seed, folder);
                accepted++;
            }
            catch (RetouchException e)
            {
                // The rejected member, tensor or file.
                Assert.Matches("'[^']+'", e.Message);
                why += e.Message + "\n";
            }
        }

        Assert.True(accepted > 0, why);
    }

    [Fact]
    public void Crashes_and_allocations_are_detected_and_their_inputs_kept()
    {
        var crash = New()
            .Run(
                new FuzzTarget(
                    "crash",
                    [
                        [1, 2, 3],
                    ],
                    static (_, _) => throw new FormatException("planted")
                ),
                1,
                0,
                20
            );
        Assert.Equal(10, crash.Findings.Count);
        Assert.Contains("planted", crash.Findings[0], StringComparison.Ordinal);
        Assert.Equal(10, Directory.GetFiles(_folder["findings"]).Length);
        var greedy = New()
            .Run(
                new FuzzTarget(
                    "greedy",
                    [
                        [1, 2, 3],
                    ],
                    static (_, _) => GC.KeepAlive(new byte[70 << 20])
                ),
                1,
                0,
                1
            );
        Assert.Contains("allocated 70 MiB", Assert.Single(greedy.Findings), StringComparison.Ordinal);
    }

    [Fact]
    public void An_endless_input_is_reported_without_waiting()
    {
        using var end = new ManualResetEventSlim();
        var result = new Fuzzer(TimeProvider.System, _folder["scratch"], _folder["findings"], TimeSpan.FromSeconds(0.3)).Run(
            new FuzzTarget(
                "endless",
                [
                    [1, 2, 3],
                ],
                (_, _) => end.Wait()
            ),
            seed: 9,
            from: 5,
            count: 20
        );
        Assert.True(result.Hangs);
        Assert.Contains("seed 9, input 5: has not ended", Assert.Single(result.Findings), StringComparison.Ordinal);
        Assert.Equal(
            new Mutator(
                [
                    [1, 2, 3],
                ],
                9
            ).Create(5),
            File.ReadAllBytes(Assert.Single(Directory.GetFiles(_folder["findings"])))
        );
        end.Set();
    }

    [Fact]
    public void The_same_seed_gives_the_same_inputs()
    {
        var seeds = FuzzTarget.All(GoldenCase.Root())[0].Seeds;
        var (a, b, other) = (new Mutator(seeds, 5), new Mutator(seeds, 5), new Mutator(seeds, 6));
        Assert.Equal(a.Create(17), b.Create(17));
        Assert.NotEqual(Enumerable.Range(0, 20).SelectMany(k => a.Create(k)), Enumerable.Range(0, 20).SelectMany(k => other.Create(k)));
    }

    private Fuzzer New() => new(TimeProvider.System, _folder["scratch"], _folder["findings"], TimeSpan.FromSeconds(60));
}
