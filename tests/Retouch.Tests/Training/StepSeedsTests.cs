using Retouch.Torch;
using Retouch.Training;

namespace Retouch.Tests.Training;

public sealed class StepSeedsTests
{
    private const int Length = 4000;

    private static double[] Draw(StepSeeds seeds, RandomPurpose purpose)
    {
        using var scope = TensorScope.Enter();
        using var generator = seeds.For(purpose);
        return Ops.Randn([Length], generator, dtype: DType.Float32).ToArray<double>();
    }

    [Fact]
    public void Streams_differ_by_purpose_step_micro_batch_and_seed()
    {
        var here = new StepSeeds(7, 100, 1);
        var streams = Enum.GetValues<RandomPurpose>()
            .Select(purpose => Draw(here, purpose))
            .Concat(
                new[]
                {
                    here with
                    {
                        Seed = 8,
                    },
                    here with
                    {
                        Step = 101,
                    },
                    here with
                    {
                        Micro = 2,
                    },
                    new StepSeeds(7, 1, 100),
                    new StepSeeds(100, 7, 1),
                }.Select(static seeds => Draw(seeds, RandomPurpose.Noise))
            )
            .ToArray();
        for (var a = 0; a < streams.Length; a++)
        {
            for (var b = 0; b < a; b++)
            {
                // Independent standard normals: the mean product is within 5/√n of zero except for one case in two million.
                var product = streams[a].Zip(streams[b], static (x, y) => x * y).Average();
                Assert.True(Math.Abs(product) < 5 / Math.Sqrt(Length), $"streams {a} and {b}: {product}");
            }
        }
    }

    [Fact]
    public void Streams_are_independent_of_previous_draws()
    {
        var here = new StepSeeds(7, 100, 1);
        var first = Draw(here, RandomPurpose.Levels);
        _ = Draw(here, RandomPurpose.Dropout);
        Assert.Equal(first, Draw(new StepSeeds(7, 100, 1), RandomPurpose.Levels));
    }
}
