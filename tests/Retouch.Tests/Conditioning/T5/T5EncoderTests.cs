using System.Text.Json.Nodes;
using Retouch.Conditioning;
using Retouch.Conditioning.T5;
using Retouch.Core.Errors;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Conditioning.T5;

/// <summary>T5's encoder against transformers, and properties that need no golden.</summary>
public sealed class T5EncoderTests
{
    private const string SecondTable = "encoder.embed_tokens.weight";

    [Fact]
    public void Outputs_and_intermediates_equal_the_golden()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("t5_encoder");
        using var network = Load(golden);
        var seen = Observing.Watch(
            network.Parameters,
            () => golden.Check("out.last_hidden_state", network.Forward(golden.Read("in.input_ids")))
        );
        Assert.Equal(golden.Names("mid."), seen.Keys.Order(StringComparer.Ordinal));
        foreach (var (path, value) in seen)
            golden.Check($"mid.{path}", value);
        golden.Check("out.last_hidden_state_masked", network.Forward(golden.Read("in.input_ids"), golden.Read("in.attention_mask")));
    }

    [Fact]
    public void The_older_feed_forward_network_uses_relu()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 5);
        using var network = new T5Encoder(
            new T5Config
            {
                VocabSize = 11,
                DModel = 4,
                DKv = 3,
                DFf = 6,
                NumLayers = 1,
                NumHeads = 2,
            }
        );
        network.Parameters.Initialise(generator, Device.Cpu);
        var ids = Tensor.From([3L, 7, 1], 1, 3);
        var found = network.Forward(ids);
        // The same computation by hand over scalars.
        Assert.Equal(
            ByHand(network, [3, 7, 1]).Select(static v => (float)v),
            found.ToArray<float>(),
            static (a, b) => Math.Abs(a - b) < 1e-5
        );
    }

    [Fact]
    public void Relative_positions_share_rows_as_in_Raffel_et_al()
    {
        // Section 2.1: 32 rows, half of them per direction, "all the way up to an offset of 128 beyond which we assign all relative
        // positions
        // to the same embedding".
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7], Enumerable.Range(0, 8).Select(static k => T5Encoder.Bucket(-k, 32, 128)));
        Assert.Equal([17, 18, 23, 24], new[] { 1, 2, 7, 8 }.Select(static k => T5Encoder.Bucket(k, 32, 128)));
        Assert.Equal([8, 10, 12, 14, 15, 15], new[] { 8, 16, 32, 64, 127, 100000 }.Select(static k => T5Encoder.Bucket(-k, 32, 128)));
        var all = Enumerable.Range(0, 400).Select(static k => T5Encoder.Bucket(-k, 32, 128)).ToList();
        Assert.Equal(all.Order(), all);
        Assert.Equal(Enumerable.Range(0, 16), all.Distinct());
    }

    [Fact]
    public void Masked_tokens_have_no_effect()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("t5_encoder");
        using var network = Load(golden);
        var mask = Tensor.From([1L, 1, 1, 0], 1, 4);
        var first = network.Forward(Tensor.From([5L, 6, 1, 0], 1, 4), mask).Narrow(1, 0, 3);
        Assert.Equal(first.ToArray<float>(), network.Forward(Tensor.From([5L, 6, 1, 9], 1, 4), mask).Narrow(1, 0, 3).ToArray<float>());
        var shorter = network.Forward(Tensor.From([5L, 6, 1], 1, 3));
        Assert.True((first - shorter).Abs().Max().Item() < 1e-5);
    }

    [Fact]
    public void Published_keys_and_shapes()
    {
        var manifest = Manifest.Open("t5_xxl_encoder");
        using var network = new T5Encoder(T5Config.FromJson(manifest.Config));
        // The published network stores its table under both names.
        network.Parameters.Compare(new Shapes { ["shared.weight"] = [32128, 4096], [SecondTable] = [32128, 4096] });
        manifest.Check(network.Parameters);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void The_embedding_table_is_accepted_under_both_names(bool first, bool second)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("t5_encoder");
        using var file = SafetensorsFile.Open(golden.PathOf("model.safetensors"));
        var tensors = file.Names.Where(name => first || name != "shared.weight").ToDictionary(static name => name, file.Read);
        if (second)
            tensors[SecondTable] = file.Read("shared.weight");
        using var network = new T5Encoder(T5Config.FromJson(golden.ReadObject("config.json")));
        network.Load(new Tensors(tensors), Device.Cpu, null, "made here");
        golden.Check("out.last_hidden_state", network.Forward(golden.Read("in.input_ids")));
        Assert.Equal(first && second, network.Parameters.Find(SecondTable) is not null);
    }

    [Fact]
    public void Float16_is_rejected_and_read_as_float32()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("t5_encoder");
        using var file = SafetensorsFile.Open(golden.PathOf("model.safetensors"));
        using var network = new T5Encoder(T5Config.FromJson(golden.ReadObject("config.json")));
        Assert.Contains(
            "bfloat16",
            Assert.Throws<InputException>(() => network.Load(file, Device.Cpu, DType.Float16, "file")).Message,
            StringComparison.Ordinal
        );
        network.Load(new Tensors(file.Names.ToDictionary(static n => n, n => file.Read(n).To(DType.Float16))), Device.Cpu, null, "file");
        Assert.All(network.Parameters.All, static p => Assert.Equal(DType.Float32, p.Value.DType));
        network.Load(file, Device.Cpu, DType.BFloat16, "file");
        var rough = network.Forward(golden.Read("in.input_ids"));
        Assert.Equal(DType.BFloat16, rough.DType);
        Assert.True((rough.To(DType.Float32) - golden.Read("out.last_hidden_state")).Abs().Mean().Item() < 0.05);
    }

    [Theory]
    [InlineData("feed_forward_proj", "\"gated-silu\"")]
    [InlineData("relative_attention_num_buckets", "30")]
    [InlineData("relative_attention_max_distance", "8")]
    [InlineData("d_model", "-1")]
    public void Invalid_members_are_rejected(string name, string value)
    {
        using var golden = GoldenCase.Open("t5_encoder");
        var json = golden.ReadObject("config.json");
        foreach (var (member, written) in T5Config.FromJson(json).ToJson())
            Assert.True(JsonNode.DeepEquals(written, json[member]), member);
        json[name] = JsonNode.Parse(value);
        Assert.Contains(name, Assert.Throws<InputException>(() => T5Config.FromJson(json)).Message, StringComparison.Ordinal);
    }

    private static T5Encoder Load(GoldenCase golden)
    {
        var network = new T5Encoder(T5Config.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters, file: "model.safetensors");
        return network;
    }

    private static double[] ByHand(T5Encoder network, int[] ids)
    {
        var config = network.Config;
        var block = "encoder.block.0.layer.";
        var table = Rows("shared.weight");
        var x = ids.Select(id => table[id].ToArray()).ToArray();
        var normed = x.Select(row => Norm(row, block + "0.layer_norm.weight")).ToArray();
        var (q, k, v) = (Map("q"), Map("k"), Map("v"));
        var bias = Rows(block + "0.SelfAttention.relative_attention_bias.weight");
        var mixed = ids.Select(
                (_, i) => Enumerable.Range(0, config.NumHeads * config.DKv).Select(c => Attend(i, c / config.DKv, c)).ToArray()
            )
            .ToArray();
        var output = Rows(block + "0.SelfAttention.o.weight");
        for (var i = 0; i < x.Length; i++)
            x[i] = Sum(x[i], Product(output, mixed[i]));
        var (expand, contract) = (Rows(block + "1.DenseReluDense.wi.weight"), Rows(block + "1.DenseReluDense.wo.weight"));
        return
        [
            .. x.SelectMany(row =>
            {
                var inner = Product(expand, Norm(row, block + "1.layer_norm.weight")).Select(static z => Math.Max(z, 0)).ToArray();
                return Norm(Sum(row, Product(contract, inner)), "encoder.final_layer_norm.weight");
            }),
        ];

        double[][] Map(string name)
        {
            var weight = Rows($"{block}0.SelfAttention.{name}.weight");
            return [.. normed.Select(row => Product(weight, row))];
        }

        double Attend(int i, int head, int channel)
        {
            var scores = ids.Select(
                    (_, j) =>
                        Enumerable.Range(head * config.DKv, config.DKv).Sum(c => q[i][c] * k[j][c])
                        + bias[T5Encoder.Bucket(j - i, 32, 128)][head]
                )
                .ToArray();
            var weights = scores.Select(static s => Math.Exp(s)).ToArray();
            return weights.Select((w, j) => w * v[j][channel]).Sum() / weights.Sum();
        }

        double[] Norm(double[] row, string name)
        {
            var scale = network.Parameters.Find(name)!.Value.ToArray<double>();
            var root = Math.Sqrt((row.Sum(static z => z * z) / row.Length) + config.LayerNormEpsilon);
            return [.. row.Select((z, c) => z / root * scale[c])];
        }

        double[][] Rows(string name)
        {
            var tensor = network.Parameters.Find(name)!.Value;
            return [.. tensor.ToArray<double>().Chunk((int)tensor.Shape[1])];
        }

        static double[] Product(double[][] weight, double[] row) => [.. weight.Select(w => w.Zip(row).Sum(static p => p.First * p.Second))];
        static double[] Sum(double[] a, double[] b) => [.. a.Zip(b).Select(static p => p.First + p.Second)];
    }

    private sealed class Tensors(Dictionary<string, Tensor> tensors) : ITensorSource
    {
        public IEnumerable<string> Names => tensors.Keys;

        public long[] ShapeOf(string name) => tensors[name].Shape;

        public Tensor Read(string name) => tensors[name].Share();
    }

    private sealed class Shapes : Dictionary<string, long[]>, ITensorSource
    {
        public IEnumerable<string> Names => Keys;

        public long[] ShapeOf(string name) => this[name];

        public Tensor Read(string name) => throw new NotSupportedException();
    }
}
