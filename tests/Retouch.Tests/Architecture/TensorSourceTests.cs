using Retouch.Evaluation.Features;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Architecture;

/// <summary>
/// Tensor sources forward <see cref="ITensorSource.ReadOwned"/>: its default copies the result of <see cref="ITensorSource.Read"/>, and
/// the pages of a mapped file would stay in memory in addition to the weights.
/// </summary>
public sealed class TensorSourceTests
{
    [Fact]
    public void Every_source_reads_owned_tensors_itself()
    {
        var sources = new[] { typeof(ITensorSource).Assembly, typeof(WeightFiles).Assembly, typeof(RetouchFeatures).Assembly }
            .SelectMany(static a => a.GetTypes())
            .Where(static t => t is { IsClass: true, IsAbstract: false } && t.IsAssignableTo(typeof(ITensorSource)))
            .ToList();
        Assert.Equal(
            ["JoinedTensors", "PickleFile", "RenamedTensors", "SafetensorsFile", "WeightFiles"],
            sources.Select(static t => t.Name).Order(StringComparer.Ordinal)
        );
        Assert.Empty(sources.Where(static t => !DeclaresReadOwned(t)).Select(static t => t.FullName));
        Assert.False(DeclaresReadOwned(typeof(Forgetful)));
    }

    private static bool DeclaresReadOwned(Type type) =>
        type.GetInterfaceMap(typeof(ITensorSource))
            .TargetMethods.Any(static m => m.Name == nameof(ITensorSource.ReadOwned) && m.DeclaringType != typeof(ITensorSource));

    private sealed class Forgetful(ITensorSource whole) : ITensorSource
    {
        public IEnumerable<string> Names => whole.Names;

        public long[] ShapeOf(string name) => whole.ShapeOf(name);

        public Retouch.Torch.Tensor Read(string name) => whole.Read(name);
    }
}
