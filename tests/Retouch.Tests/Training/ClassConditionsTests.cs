using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Conditions;
using Retouch.Training.Tasks;

namespace Retouch.Tests.Training;

/// <summary>Validation of classes before a run, and the conditions of a batch.</summary>
public sealed class ClassConditionsTests
{
    [Fact]
    public void Missing_labels_are_counted_and_reported()
    {
        var error = Assert.Throws<InputException>(() => Conditions(5).Accept(new Labelled([0, null, 1, null]), Ignore));
        Assert.Contains("2 of 4 pictures have no class", error.Message, StringComparison.Ordinal);
        Assert.Contains("1.png, 3.png", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_mapping_of_classes_is_reported()
    {
        var notes = new List<string>();
        var accepted = new ClassConditions(5, new Dictionary<int, string> { [1] = "b", [4] = "a" }, 0.1, Device.Cpu).Accept(
            new Labelled([0, 1, 1]),
            notes.Add
        );
        Assert.Equal([4, 1, 1], Enumerable.Range(0, 3).Select(k => accepted[k].Label!.Value));
        Assert.Contains("a → 4 (1), b → 1 (2)", Assert.Single(notes), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, new long[] { 0, 1, 0 })]
    [InlineData(1, new long[] { 2, 2, 2 })]
    public void Dropout_replaces_labels_by_no_class(double dropout, long[] expected)
    {
        using var scope = TensorScope.Enter();
        var source = new Labelled([0, 1, 0]);
        var batch = new TrainingBatch(null, null, [source[0], source[1], source[2]], new FrameRecord[3], default);
        Assert.Equal(expected, Conditions(2, dropout).Of(batch, new StepSeeds(1, 0, 0)).ClassLabels!.ToArray<long>());
    }

    [Theory]
    [InlineData(3, new long[] { 1, 4, 1 })]
    [InlineData(1, new long[] { 1 })]
    public void Sample_grids_show_the_classes_of_the_data(int count, long[] expected)
    {
        using var scope = TensorScope.Enter();
        var conditions = new ClassConditions(5, new Dictionary<int, string> { [1] = "b", [4] = "a" }, 0.1, Device.Cpu);
        conditions.Accept(new Labelled([0, 1, 1]), Ignore);
        var (shown, unconditional) = conditions.Shown(count, 8, 8)!.Value;
        Assert.Equal(expected, shown.SelectMany(static c => c.ClassLabels!.ToArray<long>()));
        Assert.Equal([5], unconditional.ClassLabels!.ToArray<long>());
    }

    [Fact]
    public void Of_many_classes_a_grid_shows_an_even_selection()
    {
        using var scope = TensorScope.Enter();
        var shown = Conditions(1000).Shown(4, 8, 8)!.Value.Conditions;
        Assert.Equal([0, 250, 500, 750], shown.SelectMany(static c => c.ClassLabels!.ToArray<long>()));
    }

    private static ClassConditions Conditions(int classes, double dropout = 0.1) =>
        new(classes, new Dictionary<int, string>(), dropout, Device.Cpu);

    private static void Ignore(string note) { }

    private sealed class Labelled(int?[] labels) : IPictureSource
    {
        public int Count => labels.Length;

        public IReadOnlyList<string> Classes => ["a", "b"];

        public Sample this[int index] => new($"{index}.png", labels[index], null);

        public string Stamp(int index) => "";

        public SourcePicture Load(int index, int minSide = 0) => new(Picture.Filled(8, 8, new Rgb(0, 0, 0)), 8, 8);
    }
}
