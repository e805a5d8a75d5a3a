using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Pixels;
using Retouch.Evaluation.Statistics;
using Retouch.Images;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Evaluation;

[Collection(LiveTensorCollection.Name)]
public sealed class EvaluatorTests
{
    private static readonly EvaluationOptions All = new()
    {
        Metrics = MetricCatalog.Of("fwd", "spectrum", "sharpness", "psnr"),
        Bootstrap = new BootstrapOptions { Resamples = 200 },
    };

    [Fact]
    public void Sharp_pictures_are_better_than_blurred_ones_and_memory_is_freed()
    {
        var before = Tensor.LiveCount;
        using (TensorScope.Enter())
        {
            var real = TestTensors.Pictures(300, 16, 1);
            var reference = TestTensors.Set("real", real);
            EvaluationProgress last = default;
            var result = Evaluator.Evaluate(
                reference,
                [TestTensors.Set("blurred", TestTensors.Blurred(real, 5)), TestTensors.Set("sharper", TestTensors.Blurred(real, 3))],
                All,
                p => last = p
            );

            Assert.Equal(new EvaluationProgress(1500, 1500), last);
            Assert.Equal(["fwd", "spectrum", "sharpness", "psnr"], result.Protocol.Metrics);
            foreach (var name in new[] { "fwd", "fwd.mid", "fwd.high", "spectrum", "spectrum.high", "psnr", "mse" })
            {
                var difference = result.Differences.Single(d => d.Figure == name);
                Assert.Equal(
                    (Verdict.Better, true, "sharper", "blurred"),
                    (difference.Verdict, difference.Paired, difference.Set, difference.Baseline)
                );
                Assert.True(difference.Interval.Contains(difference.Value), $"{difference}");
            }

            var sharpness = result.Sets.Select(s => s.Figures.Single(f => f.Name == "sharpness")).ToArray();
            Assert.True(sharpness[0].Value < sharpness[1].Value && sharpness[1].Value < sharpness[1].Reference);
            Assert.Equal(Verdict.Undecided, result.Differences.Single(d => d.Figure == "sharpness").Verdict);
            Assert.Equal(8, result.Sets[0].Profile!.Count);
        }

        Assert.Equal(before, Tensor.LiveCount);
    }

    [Fact]
    public void Results_do_not_depend_on_the_batch_size()
    {
        using var scope = TensorScope.Enter();
        var reference = TestTensors.Set("real", TestTensors.Pictures(90, 16, 1));
        var other = TestTensors.Set("other", TestTensors.Pictures(90, 16, 2));
        var one = Evaluator.Evaluate(reference, [other], All);
        var two = Evaluator.Evaluate(reference, [other], All with { BatchSize = 7 });
        Assert.Equal(one.Sets[0].Figures.Count, two.Sets[0].Figures.Count);
        Assert.All(
            one.Sets[0].Figures.Zip(two.Sets[0].Figures),
            pair =>
            {
                TestTensors.Close(pair.First.Value, pair.Second.Value, 1e-9 * Math.Abs(pair.First.Value), pair.First.Name);
                TestTensors.Close(
                    pair.First.Interval.Low,
                    pair.Second.Interval.Low,
                    1e-7 * Math.Abs(pair.First.Interval.Low),
                    pair.First.Name
                );
            }
        );
        Assert.Equal(one.Sets[0].Figures, Evaluator.Evaluate(reference, [other], All).Sets[0].Figures);
    }

    [Fact]
    public void Few_pictures_give_a_warning()
    {
        using var scope = TensorScope.Enter();
        var many = TestTensors.Set("many", TestTensors.Pictures(2048, 8, 1));
        var few = TestTensors.Set("few", TestTensors.Pictures(2047, 8, 2));
        var fewest = TestTensors.Set("fewest", TestTensors.Pictures(48, 8, 3));
        var options = All with { Metrics = MetricCatalog.Of("fwd") };
        var warnings = Evaluator.Evaluate(many, [few, fewest], options).Warnings;
        Assert.Equal(2, warnings.Count);
        Assert.StartsWith("'few' has 2047 pictures; below 2048", warnings[0]);
        Assert.Contains("singular", warnings[1]);
        Assert.Empty(Evaluator.Evaluate(many, [fewest], All with { Metrics = MetricCatalog.Of("sharpness") }).Warnings);
    }

    [Fact]
    public void A_void_interval_gives_no_verdict()
    {
        using var scope = TensorScope.Enter();
        var real = TestTensors.Pictures(300, 16, 1);
        var (reference, blurred, sharper) = (TestTensors.Set("real", real), TestTensors.Blurred(real, 5), TestTensors.Blurred(real, 3));
        var options = All with { Metrics = MetricCatalog.Of("fwd", "spectrum") };
        Verdict[] Of(Tensor set, Tensor baseline, string figure, ImageSet? against = null) =>
            [
                .. Evaluator
                    .Evaluate(against ?? reference, [TestTensors.Set("baseline", baseline), TestTensors.Set("set", set)], options)
                    .Differences.Where(d => d.Figure == figure || d.Figure.StartsWith(figure + ".", StringComparison.Ordinal))
                    .Select(static d => d.Verdict),
            ];
        Assert.Contains(Verdict.Better, Of(sharper, blurred, "fwd"));
        // Fewer pictures than coefficients in the set, the baseline or the reference: no verdict, in any band.
        const int Few = 4;
        foreach (
            var verdicts in new[]
            {
                Of(sharper.Narrow(0, 0, Few), blurred, "fwd"),
                Of(sharper, blurred.Narrow(0, 0, Few), "fwd"),
                Of(sharper, blurred, "fwd", TestTensors.Set("few real", real.Narrow(0, 0, Few))),
                // Sufficient, but not as many as the baseline: the distance depends on the number.
                Of(sharper.Narrow(0, 0, 290), blurred, "fwd"),
            }
        )
            Assert.All(verdicts, static v => Assert.Equal(Verdict.Void, v));
        // The spectrum has no such limitation.
        Assert.DoesNotContain(Verdict.Void, Of(sharper.Narrow(0, 0, Few), blurred, "spectrum"));
    }

    [Fact]
    public void Differences_below_the_smallest_relevant_one_are_negligible()
    {
        using var scope = TensorScope.Enter();
        var real = TestTensors.Pictures(300, 16, 1);
        var blurred = TestTensors.Blurred(real, 3);
        // A thousandth of the way to the real pictures: significant in pairs, but invisible.
        var nearly = blurred + ((real - blurred) * 0.001);
        var options = All with { Metrics = MetricCatalog.Of("psnr") };
        Verdict Of(double smallest) =>
            Evaluator
                .Evaluate(
                    TestTensors.Set("real", real),
                    [TestTensors.Set("blurred", blurred), TestTensors.Set("nearly", nearly)],
                    options with
                    {
                        SmallestDifference = smallest,
                    }
                )
                .Differences.Single(static d => d.Figure == "mse")
                .Verdict;
        Assert.Equal((Verdict.Negligible, Verdict.Better), (Of(VerdictRule.Smallest), Of(0.001)));
        Assert.Contains(
            "--smallest-difference is 1; it must lie in [0, 1)",
            Assert.Throws<UsageException>(() => (options with { SmallestDifference = 1 }).Validate()).Message
        );
    }

    [Fact]
    public void Unsuitable_sets_are_rejected()
    {
        using var scope = TensorScope.Enter();
        var reference = TestTensors.Set("real", TestTensors.Pictures(4, 16, 1));
        void Refused<T>(ImageSet set, EvaluationOptions options, string message)
            where T : Exception => Assert.Contains(message, Assert.Throws<T>(() => Evaluator.Evaluate(reference, [set], options)).Message);
        Refused<InputException>(TestTensors.Set("small", TestTensors.Pictures(4, 8, 1)), All, "8 x 8 pixels");
        Refused<InputException>(TestTensors.Set("short", TestTensors.Pictures(3, 16, 1)), All, "same name");
        Refused<InputException>(TestTensors.Set("one", TestTensors.Pictures(1, 16, 1)), All, "one picture");
        Refused<UsageException>(reference, All with { Metrics = [] }, "No metric");
        Refused<UsageException>(reference, All with { Metrics = [new WaveletDistanceMetric { Level = 5 }] }, "level 5");
        Refused<UsageException>(reference, All with { BatchSize = 0 }, "--batch-size");
    }

    [Fact]
    public void Cancellation_frees_all_tensors()
    {
        var before = Tensor.LiveCount;
        using (TensorScope.Enter())
        {
            var set = TestTensors.Set("real", TestTensors.Pictures(20, 16, 1));
            using var source = new CancellationTokenSource();
            source.Cancel();
            Assert.Throws<OperationCanceledException>(() => Evaluator.Evaluate(set, [set], All, cancellation: source.Token));
        }

        Assert.Equal(before, Tensor.LiveCount);
    }

    [Fact]
    public void Folders_give_the_levels_of_their_files_and_the_preparation()
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        var pictures = PictureTensors.ToPictures((TestTensors.Pictures(9, 20, 1) * 2) - 1);
        for (var i = 0; i < pictures.Count; i++)
            PictureFile.Save(pictures[i], folder[$"{i}.png"]);
        var memory = TestTensors.Set("memory", TestTensors.Pictures(9, 20, 1));
        var files = ImageSet.Open(folder.Path);
        Assert.Equal((9, 20, 20, "all 9; as they are", "3"), (files.Count, files.Width, files.Height, files.Preparation, files.Id(3)));
        Assert.Equal(memory.Read(2, 5).ToArray<float>(), files.Read(2, 5).ToArray<float>());

        var some = ImageSet.Open(
            folder.Path,
            new SetPreparation
            {
                Take = 4,
                Seed = 3,
                Size = 16,
                Filter = ResizeFilter.Box,
            }
        );
        Assert.Equal("4 of 9, drawn with seed 3; shorter side to 16 by box (Pillow), cut from the middle", some.Preparation);
        Assert.Equal([4L, 3, 16, 16], some.Read(0, 4).Shape);
        var expected = pictures[int.Parse(some.Id(1))].Resize(16, 16, ResizeFilter.Box);
        Assert.Equal(expected[5, 3].G / 255f, some.Read(1, 1).ToArray<float>()[(16 * 16) + (3 * 16) + 5]);
        Assert.True(
            some.PairsWith(
                ImageSet.Open(
                    folder.Path,
                    new SetPreparation
                    {
                        Take = 4,
                        Seed = 3,
                        Size = 16,
                    }
                )
            )
        );
        Assert.False(some.PairsWith(files));

        Assert.Throws<InputException>(() => ImageSet.Open(folder.Path, new SetPreparation { Take = 10 }));
        Assert.Throws<InputException>(() => ImageSet.Open(folder.Path, new SetPreparation { Size = 32 }).Read(0, 2));
        PictureFile.Save(Picture.Filled(24, 20, Rgb.White), folder["7.png"]);
        Assert.Contains("'7.png'", Assert.Throws<InputException>(() => ImageSet.Open(folder.Path).Read(0, 9)).Message);
    }

    [Fact]
    public void Scenes_form_a_set()
    {
        using var scope = TensorScope.Enter();
        var scenes = ImageSet.From("scenes", new CachedPictures(new Retouch.Data.Scenes.ProceduralScenes(1, 32, 24), 0, 1 << 20));
        var result = Evaluator.Evaluate(scenes, [scenes], All);
        Assert.Equal(0, result.Sets[0].Figures.Single(f => f.Name == "fwd").Value, 6);
        Assert.Equal(PixelScores.MostPsnr, result.Sets[0].Figures.Single(f => f.Name == "psnr").Value);
        Assert.Contains(
            result.Warnings,
            static w => w.Contains("pictures equal their reference; each counts as 100 " + "dB", StringComparison.Ordinal)
        );
    }

    [Fact]
    public void Reconstructions_equal_the_autoencoders_output()
    {
        using var scope = TensorScope.Enter();
        var originals = TestTensors.Set("real", TestTensors.Pictures(6, 16, 1));
        using var half = new HalvingAutoencoder();
        var set = new ReconstructedImages(originals, half, Device.Cpu);
        Assert.True(set.PairsWith(originals));
        var given = ((originals.Read(1, 3) * 2) - 1).AvgPool2d([2, 2]).UpsampleNearest2d([16, 16]);
        Assert.Equal((((given + 1) * 127.5).Round() / 255).ToArray<float>(), set.Read(1, 3).ToArray<float>());
        var psnr = Evaluator.Evaluate(originals, [set], All with { Metrics = MetricCatalog.Of("psnr") }).Sets[0].Figures[0];
        var expected = PixelScores.SquaredError(set.Read(0, 6), originals.Read(0, 6)).Average(PixelScores.Psnr);
        TestTensors.Close(expected, psnr.Value, 1e-9);
        Assert.Throws<InputException>(() =>
            new ReconstructedImages(TestTensors.Set("odd", TestTensors.Pictures(2, 8, 1).Narrow(3, 0, 7)), half, Device.Cpu).Read(0, 1)
        );
    }

    /// <summary>Autoencoder whose latents are the means of 2 x 2 pixels.</summary>
    private sealed class HalvingAutoencoder : IAutoencoder
    {
        public int LatentChannels => 3;

        public int Downsampling => 2;

        public IReadOnlyList<DecoderTap> Taps => [];

        public bool ForceUpcast => false;

        public ParameterStore Parameters { get; } = new();

        public Latent Encode(Tensor images, Generator? generator) => Draw(EncodeMoments(images), generator);

        public Tensor EncodeMoments(Tensor images) => images.AvgPool2d([2, 2]);

        public Latent Draw(Tensor moments, Generator? generator) => new(moments);

        public Tensor Decode(Latent latent) => latent.Value.UpsampleNearest2d([latent.Value.Shape[2] * 2, latent.Value.Shape[3] * 2]);

        public DecodedTaps DecodeWithTaps(Latent latent, TapRequest request) => new([], Decode(latent));

        public void Dispose() => Parameters.Dispose();
    }
}
