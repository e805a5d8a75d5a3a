using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;
using Retouch.Training.Conditions;

namespace Retouch.Tests.Training;

/// <summary>Mapping of classes of the data to classes of the model.</summary>
public sealed class ClassMappingTests
{
    private static readonly string[] Animals =
    [
        "ant",
        "bee",
        "cat",
        "dog",
        "Great Dane",
        "tench, Tinca tinca",
        "maillot",
        "maillot, tank suit",
    ];

    [Theory]
    [InlineData(new[] { "bee", "dog" }, new[] { 1, 3 })]
    [InlineData(new[] { "CAT", "great_dane" }, new[] { 2, 4 })]
    [InlineData(new[] { "Tinca tinca", "tank suit" }, new[] { 5, 7 })]
    [InlineData(new[] { "maillot", "ant" }, new[] { 6, 0 })] // a full name takes precedence over a synonym
    [InlineData(new[] { "0", "7", "3" }, new[] { 0, 7, 3 })]
    public void Names_are_matched_to_the_models_and_numbers_are_classes(string[] names, int[] expected)
    {
        var source = new Named(names);
        var mapping = ClassMapping.Create(source, Labels(Animals), Animals.Length);
        Assert.Equal(expected, mapping.Classes);
        var mapped = mapping.Apply(source);
        Assert.Equal(expected, Enumerable.Range(0, names.Length).Select(k => mapped[k].Label!.Value));
        Assert.Equal(names, expected.Select(label => mapped.Classes[label]));
        var words = mapping.Describe(source);
        Assert.All(names.Zip(expected), p => Assert.Contains($"{p.First} → {p.Second} (1)", words, StringComparison.Ordinal));
    }

    [Fact]
    public void Unmatched_classes_are_rejected_with_both_lists()
    {
        Refused(new Named(["dog", "unicorn"]), Animals, "unicorn", "ant, bee, cat, dog");
        Refused(new Named(["3", "12"]), Animals, "3, 12", "ant, bee");
        Refused(new Named(["dog", "DOG"]), Animals, "'dog' and 'DOG'", "class 3");
        Refused(new Named([.. Enumerable.Range(0, 9).Select(static k => $"x{k}")]), [], "x0, x1", "the denoiser has 8");
        Refused(new Named(["a", "ant"], numbered: true), Animals, "Class 1 of the data is named 'ant'", "class 0 of the model", "'bee'");
        Refused(
            new Named([.. Enumerable.Range(0, 10).Select(static k => $"{k}")], numbered: true),
            [],
            "outside the denoiser's 8 classes",
            "8.png (class 8)"
        );

        static void Refused(Named source, string[] model, params string[] words)
        {
            var message = Assert.Throws<InputException>(() => ClassMapping.Create(source, Labels(model), 8)).Message;
            Assert.All(words, word => Assert.Contains(word, message, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Without_class_names_classes_are_assigned_in_order()
    {
        var source = new Named(["cat", "dog"]);
        var mapping = ClassMapping.Create(source, Labels([]), 12);
        Assert.Equal([0, 1], mapping.Classes);
        Assert.Same(source, mapping.Apply(source));
        Assert.Contains("in the order of their names", mapping.Describe(source), StringComparison.Ordinal);
    }

    private static Dictionary<int, string> Labels(string[] names) =>
        names.Select(static (n, k) => (n, k)).ToDictionary(static p => p.k, static p => p.n);

    /// <summary>One picture per class.</summary>
    private sealed class Named(string[] names, bool numbered = false) : IPictureSource
    {
        public int Count => names.Length;

        public IReadOnlyList<string> Classes => names;

        public bool HasNumberedClasses => numbered;

        public Sample this[int index] => new($"{index}.png", index, null);

        public string Stamp(int index) => "";

        public SourcePicture Load(int index, int minSide = 0) => new(Picture.Filled(8, 8, new Rgb(0, 0, 0)), 8, 8);
    }
}
