using FsCheck;
using FsCheck.Fluent;
using Retouch.Data;

namespace Retouch.Tests.Data;

public sealed class SplitMix64Tests
{
    // The published reference implementation's first outputs for the seed 1234567.
    [Fact]
    public void The_published_sequence_is_reproduced()
    {
        var random = new SplitMix64(1234567);
        ulong[] expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821];
        Assert.Equal(expected, expected.Select(_ => random.Next()));
    }

    [Fact]
    public void Integers_are_uniform_in_their_range()
    {
        var random = new SplitMix64(3);
        var counts = new int[6];
        for (var i = 0; i < 60_000; i++)
            counts[random.NextInt(6)]++;
        // 10000 each with a standard deviation of 91; a difference of five standard deviations among six has a probability below one in a
        // million.
        Assert.All(counts, count => Assert.InRange(count, 9_540, 10_460));
    }

    [Fact]
    public void Derived_seeds_depend_on_every_part_and_its_position() =>
        Check.QuickThrowOnFailure(
            Prop.ForAll<ulong, ulong, ulong>(
                (seed, a, b) =>
                    // Each part seeds the next generator, whose sequence is the published one.
                    SplitMix64.Derive(seed, a, b) == First(First(First(seed) ^ a) ^ b)
                    && (a == b || SplitMix64.Derive(seed, a, b) != SplitMix64.Derive(seed, b, a))
                    && SplitMix64.Derive(seed, a, b) != SplitMix64.Derive(seed, a, b + 1)
                    && SplitMix64.Derive(seed, a, b) != SplitMix64.Derive(seed + 1, a, b)
            )
        );

    private static ulong First(ulong seed) => new SplitMix64(seed).Next();
}
