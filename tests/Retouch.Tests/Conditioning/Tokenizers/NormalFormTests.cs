using System.Text;
using Retouch.Conditioning.Tokenizers;

namespace Retouch.Tests.Conditioning.Tokenizers;

/// <summary>Unicode normal forms: the standard, and hostile texts.</summary>
public sealed class NormalFormTests
{
    /// <summary>Examples of Unicode Standard Annex #15, figures 3 to 6, and common texts.</summary>
    [Theory]
    [InlineData("e\u0301", "\u00E9")]
    [InlineData("\u212B", "\u00C5")]
    [InlineData("A\u030A", "\u00C5")]
    [InlineData("\u2126", "\u03A9")]
    [InlineData("\u1E0B\u0323", "\u1E0D\u0307")]
    [InlineData("q\u0307\u0323", "q\u0323\u0307")]
    [InlineData("\u1112\u1161\u11AB", "\uD55C")]
    [InlineData("\u30AB\u3099", "\u30AC")]
    [InlineData("\uFB01 2\u2075", "\uFB01 2\u2075")]
    [InlineData("\u0958", "\u0915\u093C")]
    [InlineData("\U0001D15E", "\U0001D157\U0001D165")]
    [InlineData("a\0e\u0301\0", "a\0\u00E9\0")]
    [InlineData("plain \u00E9", "plain \u00E9")]
    [InlineData("", "")]
    [InlineData("\U0001F600\u0301", "\U0001F600\u0301")]
    public void Form_C_follows_Unicode(string text, string composed) => Assert.Equal(composed, NormalForm.Compose(text));

    [Fact]
    public void An_unpaired_surrogate_is_replaced() =>
        Assert.Equal("\uFFFD\u00E9", NormalForm.Compose(new string([(char)0xD800, 'e', (char)0x301])));

    [Theory]
    [InlineData("\uFF76\uFF9E", "\u30AC")]
    [InlineData("\uFB01 2\u2075", "fi 25")]
    [InlineData("\uFFE5", "\u00A5")]
    [InlineData("", "")]
    public void Form_KC_follows_Unicode(string text, string unified) => Assert.Equal(unified, NormalForm.Unify(text));

    [Fact]
    public void Composition_is_idempotent()
    {
        var random = new Random(5);
        int[] kinds = [0x41, 0x300, 0x1100, 0x1160, 0x11A8, 0xAC00, 0x930, 0x1D150, 0x2F800, 0x3040];
        for (var trial = 0; trial < 500; trial++)
        {
            var text = string.Concat(
                Enumerable
                    .Range(0, random.Next(1, 12))
                    .Select(_ => char.ConvertFromUtf32(kinds[random.Next(kinds.Length)] + random.Next(64)))
            );
            var once = NormalForm.Compose(text);
            Assert.Equal(once, NormalForm.Compose(once));
        }
    }

    [Fact]
    public void A_hundred_thousand_marks_are_not_quadratic()
    {
        // In reverse order of their classes, the worst case of insertion sort: ten billion moves.
        var text = new StringBuilder("a").Append('\u0301', 100_000).Append('\u0316', 100_000).ToString();
        var composed = NormalForm.Compose(text);
        // The first mark composes, since no mark of the other class precedes it.
        Assert.Equal(text.Length - 1, composed.Length);
        Assert.StartsWith("\u00E1\u0301", composed, StringComparison.Ordinal);
    }
}
