using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Tests;

public sealed class RenamedTensorsTests
{
    private static readonly float[] Six = [1, 2, 3, 4, 5, 6];

    [Theory]
    [InlineData(TensorForm.Same, new long[] { 3, 2 }, new float[] { 1, 2, 3, 4, 5, 6 })]
    [InlineData(TensorForm.Linear, new long[] { 3, 2 }, new float[] { 1, 2, 3, 4, 5, 6 })]
    [InlineData(TensorForm.Convolution, new long[] { 3, 2, 1, 1 }, new float[] { 1, 2, 3, 4, 5, 6 })]
    [InlineData(TensorForm.Transposed, new long[] { 2, 3 }, new float[] { 1, 3, 5, 2, 4, 6 })]
    [InlineData(TensorForm.Query, new long[] { 1, 2 }, new float[] { 1, 2 })]
    [InlineData(TensorForm.Key, new long[] { 1, 2 }, new float[] { 3, 4 })]
    [InlineData(TensorForm.Value, new long[] { 1, 2 }, new float[] { 5, 6 })]
    public void A_form_changes_shape_and_elements_and_an_owned_tensor_is_a_copy(TensorForm form, long[] shape, float[] elements)
    {
        using var scope = TensorScope.Enter();
        var stored = Tensor.From(Six, [3, 2]);
        var source = new Listed { ["old"] = stored };
        var renamed = new RenamedTensors(source, [new("new", new TensorOrigin("old", form))]);
        Assert.Equal(["new"], renamed.Names);
        Assert.Equal(shape, renamed.ShapeOf("new"));
        Assert.Equal(DType.Float32, renamed.DTypeOf("new"));
        Assert.Equal(shape, renamed.Read("new").Shape);
        var owned = renamed.ReadOwned("new");
        stored.ZeroInPlace();
        Assert.Equal(shape, owned.Shape);
        Assert.Equal(elements, owned.ToArray<float>());
    }

    [Fact]
    public void A_form_that_does_not_apply_leaves_the_stored_shape_to_be_reported()
    {
        using var scope = TensorScope.Enter();
        var source = new Listed { ["a"] = Ops.Zeros([4, 2, 3, 3]), ["b"] = Ops.Zeros([4]) };
        var renamed = new RenamedTensors(
            source,
            [
                new("linear", new TensorOrigin("a", TensorForm.Linear)),
                new("transposed", new TensorOrigin("b", TensorForm.Transposed)),
                new("query", new TensorOrigin("a", TensorForm.Query)),
            ]
        );
        Assert.Equal([4, 2, 3, 3], renamed.ShapeOf("linear"));
        Assert.Equal([4], renamed.ShapeOf("transposed"));
        Assert.Equal([4, 2, 3, 3], renamed.ShapeOf("query"));
    }

    [Fact]
    public void Missing_origins_and_left_over_tensors_are_listed()
    {
        using var scope = TensorScope.Enter();
        var (first, second) = (new Listed { ["a"] = Ops.Zeros([1]), ["z"] = Ops.Zeros([1]) }, new Listed { ["a"] = Ops.Zeros([2]) });
        var renamed = new RenamedTensors([
            ("first.a", first, new TensorOrigin("a")),
            ("second.a", second, new TensorOrigin("a")),
            ("second.z", second, new TensorOrigin("z")),
        ]);
        Assert.Equal(["first.a", "second.a"], renamed.Names);
        Assert.Equal([2], renamed.ShapeOf("second.a"));
        Assert.Equal(["z"], renamed.Missing);
        Assert.Equal(["z"], renamed.LeftOver);
    }

    [Fact]
    public void A_rule_renames_or_skips_but_never_hides_stored_tensors()
    {
        using var scope = TensorScope.Enter();
        var source = new Listed
        {
            ["old.a"] = Ops.Zeros([1]),
            ["a"] = Ops.Zeros([2]),
            ["old.b"] = Ops.Zeros([3]),
            ["older.b"] = Ops.Zeros([4]),
            ["unused"] = Ops.Zeros([5]),
        };
        var renamed = new RenamedTensors(source, static key => key == "unused" ? null : key.Split('.')[^1]);
        Assert.Equal(["old.a", "a", "b", "older.b"], renamed.Names);
        Assert.Equal([2], renamed.ShapeOf("a"));
        Assert.Equal([3], renamed.ShapeOf("b"));
    }

    [Fact]
    public void A_store_loads_other_keys_and_keeps_unused_tensors()
    {
        using var scope = TensorScope.Enter();
        using var store = new ParameterStore { OtherKeys = static key => key == "old" ? "new" : key, UnusedKeys = ["ids", "absent"] };
        store.Root.Parameter("new", [2], Inits.Zeros);
        var source = new Listed { ["old"] = Tensor.From([1f, 2f], [2]), ["ids"] = Tensor.From([7L], [1]) };
        Assert.Empty(store.Compare(source));
        store.Load(source, Device.Cpu, DType.Float64, "file");
        Assert.Equal(["new", "ids"], store.All.Select(static p => p.Name));
        Assert.Equal([1.0, 2.0], store.Find("new")!.Value.ToArray<double>());
        Assert.Equal([7L], store.Find("ids")!.Value.ToArray<long>());
        source["new"] = source["old"];
        Assert.Equal(["unexpected: old"], store.Compare(source));
        Assert.Contains("unexpected: old", Assert.Throws<InputException>(() => store.Load(source, Device.Cpu, null, "file")).Message);
    }

    private sealed class Listed : Dictionary<string, Tensor>, ITensorSource
    {
        public IEnumerable<string> Names => Keys;

        public long[] ShapeOf(string name) => this[name].Shape;

        public Tensor Read(string name) => this[name];
    }
}
