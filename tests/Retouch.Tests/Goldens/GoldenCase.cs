using System.Text.Json.Nodes;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Goldens;

/// <summary>
/// A folder of tests/goldens: inputs and outputs computed by another library, with tolerances derived from its rounding. A tensor passes
/// if |x − reference| ≤ atol + rtol·|reference| for all elements; tensors without a tolerance (integers, masks) are compared exactly.
/// </summary>
internal sealed class GoldenCase : IDisposable
{
    /// <summary>Share of a mask's elements that may differ, since comparisons with a threshold are sensitive to rounding.</summary>
    private const double MaskShare = 0.001;

    private readonly SafetensorsFile _io;
    private readonly JsonObject _tensors;

    private GoldenCase(string folder, Device? device)
    {
        (Folder, Device) = (folder, device ?? Device.Cpu);
        Document = ReadObject("case.json");
        RelativeTolerance = (double)Document["rtol"]!;
        _tensors = Document["tensors"]!.AsObject();
        _io = SafetensorsFile.Open(PathOf("io.safetensors"));
    }

    public string Folder { get; }

    /// <summary>Device of tensors and weights; the CPU by default.</summary>
    public Device Device { get; }

    /// <summary>case.json.</summary>
    public JsonObject Document { get; }

    public double RelativeTolerance { get; }

    /// <summary>Names in io.safetensors with a prefix, which is removed: <c>Names("mid.")</c> gives module paths.</summary>
    public IEnumerable<string> Names(string prefix) =>
        _io
            .Names.Where(name => name.StartsWith(prefix, StringComparison.Ordinal))
            .Select(name => name[prefix.Length..])
            .Order(StringComparer.Ordinal);

    /// <summary>Opens <c>tests/goldens/&lt;name&gt;</c>.</summary>
    public static GoldenCase Open(string name, Device? device = null) => new(FolderOf(name), device);

    /// <summary>Path of <c>tests/goldens/&lt;name&gt;</c>.</summary>
    public static string FolderOf(string name) => Path.Combine(Root(), name);

    /// <summary>Opens a case outside the repository, because of its size.</summary>
    public static GoldenCase OpenFolder(string folder) => new(folder, null);

    public string PathOf(string file) => Path.Combine(Folder, file);

    /// <summary>A JSON file of the folder, such as config.json.</summary>
    public JsonObject ReadObject(string file) => JsonNode.Parse(File.ReadAllText(PathOf(file)))!.AsObject();

    /// <summary>io.safetensors.</summary>
    public ITensorSource Tensors => _io;

    public bool Has(string name) => _io.Entries.ContainsKey(name);

    /// <summary>A tensor of io.safetensors, copied into the open scope, or owned by the caller.</summary>
    public Tensor Read(string name)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(_io.Read(name).Clone().To(Device));
    }

    /// <summary>A tensor that requires gradients.</summary>
    public Tensor ReadLeaf(string name)
    {
        var leaf = Read(name);
        leaf.RequiresGrad = true;
        return leaf;
    }

    /// <summary>Loads the case's weights into a network (float32 by default).</summary>
    public void LoadInto(ParameterStore store, DType? dtype = null, string file = "diffusion_pytorch_model.safetensors")
    {
        using var weights = SafetensorsFile.Open(PathOf(file));
        store.Load(weights, Device, dtype, $"{Path.GetFileName(Folder)}/{file}");
    }

    /// <summary>Asserts that a tensor equals the case's tensor of that name, within its tolerance.</summary>
    public void Check(string name, Tensor actual)
    {
        var atol = (double?)_tensors[name]?["atol"];
        var rtol = atol is null ? 0 : RelativeTolerance;
        var (expected, found) = Values(name, actual);
        var wrong = 0;
        var worst = 0;
        double Excess(int k) => Math.Abs(found[k] - expected[k]) - ((atol ?? 0) + (rtol * Math.Abs(expected[k])));
        for (var k = 0; k < expected.Length; k++)
        {
            // Written so that NaN fails.
            if (Excess(k) <= 0)
                continue;
            wrong++;
            if (!(Excess(worst) >= Excess(k)))
                worst = k;
        }

        Assert.True(
            wrong == 0,
            $"{name}: {wrong} of {expected.Length} elements differ; element {worst} is {found[worst]:R}, expected "
                + $"{expected[worst]:R} ± {atol ?? 0:R} + {rtol:R}·|expected|."
        );
    }

    /// <summary>Asserts that a mask of 0 and 1 equals the case's, except for one element in a thousand.</summary>
    public void CheckMask(string name, Tensor actual)
    {
        var (expected, found) = Values(name, actual);
        var flipped = expected.Zip(found).Count(static pair => pair.First != pair.Second);
        Assert.True(flipped <= MaskShare * expected.Length, $"{name}: {flipped} of {expected.Length} elements of the mask differ.");
    }

    /// <summary>
    /// Asserts that every gradient listed in grads.json equals the case's: its L2 norm and its dot product with cos(0.37·i), where i is the
    /// row-major index of an element.
    /// </summary>
    /// <param name="store">Parameters after the backward pass of Σ⟨output, cotangent⟩.</param>
    public void CheckGradients(ParameterStore store)
    {
        var failures = new List<string>();
        var references = ReadObject("grads.json");
        Assert.NotEmpty(references);
        foreach (var (name, node) in references)
        {
            using var scope = TensorScope.Enter();
            var tolerance = (double)node!["tol"]!;
            if (store.Find(name)?.Value.Grad is not { } gradient)
            {
                // No gradient here, and zeros in the reference.
                if (store.Find(name) is not null && (double)node["l2"]! == 0)
                    continue;
                failures.Add($"{name}: no gradient");
                continue;
            }

            var values = gradient.ToArray<double>();
            var norm = Math.Sqrt(values.Sum(static v => v * v));
            var dot = values.Select(static (v, k) => v * Math.Cos(0.37 * k)).Sum();
            foreach (var (what, actual) in new[] { ("l2", norm), ("dot", dot) })
            {
                var expected = (double)node[what]!;
                if (!(Math.Abs(actual - expected) <= tolerance))
                    failures.Add($"{name}: {what} is {actual:R}, expected {expected:R} ± {tolerance:R}");
            }
        }

        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }

    public void Dispose() => _io.Dispose();

    internal static string Root()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "tests", "goldens");
            if (Directory.Exists(candidate))
                return candidate;
        }

        throw new DirectoryNotFoundException("tests/goldens");
    }

    private (double[] Expected, double[] Found) Values(string name, Tensor actual)
    {
        using var scope = TensorScope.Enter();
        var expected = _io.Read(name);
        Assert.True(
            expected.Shape.AsSpan().SequenceEqual(actual.Shape),
            $"{name}: shape [{string.Join(", ", actual.Shape)}], expected [{string.Join(", ", expected.Shape)}]"
        );
        return (expected.ToArray<double>(), actual.ToArray<double>());
    }
}
