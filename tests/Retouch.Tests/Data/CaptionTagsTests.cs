using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Pairs;

namespace Retouch.Tests.Data;

public class CaptionTagsTests
{
    [Theory]
    [InlineData("a, b,c ,, d,", "a, b, c, d")]
    [InlineData("one sentence.", "one sentence.")]
    [InlineData("", "")]
    public void In_order_tags_are_only_trimmed(string caption, string expected) =>
        Assert.Equal(expected, new CaptionTags { Shuffle = true, Dropout = 0.5 }.InOrder.Variant(caption, 3));

    [Fact]
    public void Kept_tags_stay_in_front_and_the_others_are_permuted()
    {
        var tags = new CaptionTags
        {
            Shuffle = true,
            Keep = 2,
            Variants = 200,
            Seed = 1,
        };
        var variants = tags.VariantsOf("zed, 1girl, a, b, c, d");
        Assert.Equal(200, variants.Count);
        Assert.All(
            variants,
            static v =>
            {
                var parts = v.Split(", ");
                Assert.Equal(["zed", "1girl"], parts[..2]);
                Assert.Equal(["a", "b", "c", "d"], parts[2..].Order(StringComparer.Ordinal));
            }
        );
        Assert.Equal(24, variants.Distinct().Count());
    }

    [Fact]
    public void All_orders_are_equally_probable()
    {
        const int Count = 6000;
        var tags = new CaptionTags
        {
            Shuffle = true,
            Variants = Count,
            Seed = 7,
        };
        var counts = tags.VariantsOf("a, b, c").GroupBy(static v => v).Select(static g => g.Count()).ToArray();
        Assert.Equal(6, counts.Length);
        // χ² of 5 degrees of freedom exceeds 35.9 with a probability of 10⁻⁶.
        Assert.InRange(counts.Sum(static c => Math.Pow(c - (Count / 6.0), 2) / (Count / 6.0)), 0, 35.9);
    }

    [Fact]
    public void Tags_are_left_out_independently_with_the_given_probability()
    {
        const int Count = 4000;
        const double Dropout = 0.3;
        var tags = new CaptionTags
        {
            Dropout = Dropout,
            Keep = 1,
            Variants = Count,
            Seed = 3,
        };
        var variants = tags.VariantsOf("kept, a, b").GroupBy(static v => v).ToDictionary(static g => g.Key, static g => g.Count());
        foreach (
            var (text, probability) in new[]
            {
                ("kept, a, b", (1 - Dropout) * (1 - Dropout)),
                ("kept, a", (1 - Dropout) * Dropout),
                ("kept, b", Dropout * (1 - Dropout)),
                ("kept", Dropout * Dropout),
            }
        )
        {
            var deviation = Math.Sqrt(Count * probability * (1 - probability));
            Assert.InRange(variants[text], (Count * probability) - (5 * deviation), (Count * probability) + (5 * deviation));
        }

        Assert.Equal(4, variants.Count);
    }

    [Theory]
    // As sd-scripts: the separator replaces keep_tokens, is removed, and a second one ends the shuffled tags.
    [InlineData("a, b ||| c, d", new[] { "a", "b" }, new[] { "c", "d" }, new string[0])]
    [InlineData("a ||| c, d ||| e, f", new[] { "a" }, new[] { "c", "d" }, new[] { "e", "f" })]
    [InlineData("a, b, c, d", new[] { "a" }, new[] { "b", "c", "d" }, new string[0])]
    public void A_separator_of_kept_tags_replaces_their_number(string caption, string[] before, string[] free, string[] after)
    {
        var tags = new CaptionTags
        {
            Shuffle = true,
            Keep = 1,
            KeepSeparator = "|||",
            Variants = 30,
        };
        var variants = tags.VariantsOf(caption).Select(static v => v.Split(", ")).ToArray();
        Assert.All(
            variants,
            v =>
            {
                Assert.Equal(before, v[..before.Length]);
                Assert.Equal(after, v[^after.Length..]);
                Assert.Equal(free, v[before.Length..^after.Length].Order(StringComparer.Ordinal));
            }
        );
        Assert.True(variants.Select(static v => string.Join('|', v)).Distinct().Count() > 1);
    }

    [Fact]
    public void Variants_follow_from_seed_caption_and_number()
    {
        var tags = new CaptionTags
        {
            Shuffle = true,
            Variants = 20,
            Seed = 1,
        };
        const string Caption = "a, b, c, d, e";
        Assert.Equal(tags.VariantsOf(Caption), tags.VariantsOf(Caption));
        Assert.Equal(tags.VariantsOf(Caption).Take(5), (tags with { Variants = 5 }).VariantsOf(Caption));
        Assert.NotEqual(tags.VariantsOf(Caption), (tags with { Seed = 2 }).VariantsOf(Caption));
        Assert.NotEqual(tags.VariantsOf("a, b, c, d, e").Select(static v => v.Replace('a', 'f')), tags.VariantsOf("f, b, c, d, e"));
    }

    [Fact]
    public void Other_separators_stay_between_tags() => Assert.Equal("a, b; c", new CaptionTags { Separator = ";" }.Variant("a, b;c", 0));

    [Fact]
    public void Every_use_of_a_sample_draws_one_of_its_variants()
    {
        var source = RecaptionedPictures.With(
            new Captioned("a, b, c, d"),
            new CaptionTags
            {
                Shuffle = true,
                Variants = 6,
                Seed = 5,
            }
        );
        var plan = new BatchPlan(source.Count, new BatchPlanOptions { BatchSize = 1, Seed = 4 });
        string[] drawn = [.. Enumerable.Range(0, 60).Select(epoch => Draw(new(0, epoch)))];
        Assert.Equal(source[0].Captions!.Distinct().Order(), drawn.Distinct().Order());
        Assert.Equal(drawn, Enumerable.Range(0, 60).Reverse().Select(epoch => Draw(new(0, epoch))).Reverse());
        Assert.Equal("a, b, c, d", source[0].Caption);

        string Draw(PlannedSample planned) => source[planned.Index].WithDrawnCaption(plan.SampleSeed(planned)).Caption!;
    }

    [Fact]
    public void Several_captions_have_variants_each()
    {
        var source = RecaptionedPictures.With(new Captioned("a, b", "c, d, e"), new CaptionTags { Shuffle = true, Variants = 40 });
        Assert.Equal(80, source[0].AllCaptions.Count);
        Assert.Equal(2 + 6, source[0].AllCaptions.Distinct().Count());
        Assert.False(source is IPairSource);
    }

    [Theory]
    [InlineData("one sentence", true, 0, 0)]
    [InlineData("a, b", true, 0, 1)]
    [InlineData("a", false, 0.1, 0)]
    public void Captions_without_variants_are_an_error(string caption, bool shuffle, double dropout, int keep)
    {
        var tags = new CaptionTags
        {
            Shuffle = shuffle,
            Dropout = dropout,
            Keep = keep,
        };
        var error = Assert.Throws<InputException>(() => RecaptionedPictures.Require(new Captioned(caption), tags));
        Assert.Contains($"The first is '{caption}'", error.Message);
    }

    /// <summary>One sample with captions and without a picture.</summary>
    private sealed class Captioned(params string[] captions) : IPictureSource
    {
        public int Count => 1;

        public IReadOnlyList<string> Classes => [];

        public Sample this[int index] => Sample.Of("0.png", null, captions);

        public string Stamp(int index) => "0";

        public SourcePicture Load(int index, int minSide = 0) => throw new InputException("There is no picture.");
    }
}
