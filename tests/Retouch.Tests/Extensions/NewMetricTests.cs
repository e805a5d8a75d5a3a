using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;
using Retouch.Tests.Evaluation;
using Retouch.Torch;

namespace Retouch.Tests.Extensions;

/// <summary>A metric defined outside the library is listed, measured and part of the protocol like the others.</summary>
public sealed class NewMetricTests
{
    static NewMetricTests() => MetricCatalog.Register(new Colourfulness());

    [Fact]
    public void It_is_listed_by_name()
    {
        Assert.IsType<Colourfulness>(Assert.Single(MetricCatalog.Of(Colourfulness.Key)));
        Assert.Contains(Colourfulness.Key, MetricCatalog.Listed(static _ => true));
        // In the order of the catalogue, regardless of the order of the names.
        Assert.Equal(["sharpness", Colourfulness.Key], MetricCatalog.Of(Colourfulness.Key, "sharpness").Select(static m => m.Name));
        Assert.Throws<ArgumentException>(static () => MetricCatalog.Register(new Colourfulness()));
    }

    [Fact]
    public void It_equals_its_formula()
    {
        using var scope = TensorScope.Enter();
        var (reference, pictures) = (
            TestTensors.Set("real", TestTensors.Pictures(5, 16, 1)),
            TestTensors.Set("set", TestTensors.Pictures(7, 16, 2))
        );
        var grey = TestTensors.Set("grey", Ops.Full([4, 3, 16, 16], 0.4, dtype: DType.Float64));
        var options = new EvaluationOptions
        {
            Metrics = MetricCatalog.Of("sharpness", Colourfulness.Key),
            Bootstrap = new BootstrapOptions { Resamples = 200 },
            BatchSize = 3,
        };
        var result = Evaluator.Evaluate(reference, [pictures, grey], options);

        Assert.Equal(["sharpness", Colourfulness.Key], result.Protocol.Metrics);
        Assert.Equal("opponent colours rg and yb", result.Protocol.Members["colourSpace"]);
        var figure = result.Sets[0].Figures.Single(static f => f.Name == Colourfulness.Key);
        TestTensors.Close(Expected(pictures), figure.Value, 1e-9 * figure.Value);
        TestTensors.Close(Expected(reference), figure.Reference!.Value, 1e-9 * figure.Value);
        Assert.True(figure.Interval.Contains(figure.Value), $"{figure}");
        TestTensors.Close(0, result.Sets[1].Figures.Single(static f => f.Name == Colourfulness.Key).Value, 1e-9);
        Assert.Equal(Verdict.Worse, result.Differences.Single(static d => d.Figure == Colourfulness.Key).Verdict);
    }

    [Fact]
    public void Two_plain_colours_give_the_value_computed_by_hand()
    {
        using var scope = TensorScope.Enter();
        // Half red, half black: rg is 255 or 0, yb 127.5 or 0. Means and deviations 127.5 and 63.75, so M = 1.3 · 63.75 · √5.
        var images = Ops.Zeros([1, 3, 2, 2], dtype: DType.Float64);
        images.Narrow(1, 0, 1).Narrow(2, 0, 1).CopyInPlace(Ops.Ones([1, 1, 1, 2], dtype: DType.Float64));
        TestTensors.Close(1.3 * 63.75 * Math.Sqrt(5), Colourfulness.Of(images)[0], 1e-9);
    }

    /// <summary>The published formula, pixel by pixel.</summary>
    private static double Expected(ImageSet set)
    {
        var values = set.Read(0, set.Count).ToArray<float>();
        var pixels = set.Width * set.Height;
        double OfPicture(int picture)
        {
            double Level(int channel, int pixel) => 255.0 * values[(((picture * 3) + channel) * pixels) + pixel];
            double[] rg = [.. Enumerable.Range(0, pixels).Select(p => Level(0, p) - Level(1, p))];
            double[] yb = [.. Enumerable.Range(0, pixels).Select(p => ((Level(0, p) + Level(1, p)) / 2) - Level(2, p))];
            double Variance(double[] x) => x.Sum(v => (v - x.Average()) * (v - x.Average())) / x.Length;
            return Math.Sqrt(Variance(rg) + Variance(yb)) + (0.3 * Math.Sqrt(Math.Pow(rg.Average(), 2) + Math.Pow(yb.Average(), 2)));
        }

        return Enumerable.Range(0, set.Count).Average(OfPicture);
    }

    /// <summary>
    /// Colourfulness (Hasler and Süsstrunk, "Measuring colourfulness in natural images", 2003, M⁽³⁾): σ + 0.3 μ of the opponent colours
    /// rg = R − G and yb = (R + G)/2 − B, in levels of 0 to 255.
    /// </summary>
    private sealed record Colourfulness : IMetric
    {
        public const string Key = "test-colourfulness";

        public string Name => Key;

        public string Title => "colourfulness";

        public MetricNeeds Needs => MetricNeeds.None;

        public IEnumerable<ProtocolEntry> Protocol(MetricContext context) =>
            [new("colourSpace", "opponent colours rg and yb", "Colourfulness", "opponent colours rg and yb")];

        public IMetricPass Begin(MeasuredSet set) => new PicturePass([new(Name, Preference.Higher)], static batch => Of(batch.Images));

        public static double[] Of(Tensor images)
        {
            using var scope = TensorScope.Enter();
            var levels = images.To(DType.Float64) * 255;
            var (r, g, b) = (levels.Select(1, 0), levels.Select(1, 1), levels.Select(1, 2));
            var (rg, yb) = (r - g, ((r + g) / 2) - b);
            var deviation = (rg.Var([1L, 2], correction: 0) + yb.Var([1L, 2], correction: 0)).Sqrt();
            var mean = (rg.Mean([1L, 2]).Square() + yb.Mean([1L, 2]).Square()).Sqrt();
            return (deviation + (0.3 * mean)).ToArray<double>();
        }
    }
}
