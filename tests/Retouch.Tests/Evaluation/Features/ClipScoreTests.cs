using System.Text.Json.Nodes;
using Retouch.Conditioning.Clip;
using Retouch.Conditioning.Tokenizers;
using Retouch.Core.Errors;
using Retouch.Data.Pairs;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Judging;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;
using Retouch.Images;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Evaluation.Features;

/// <summary>CLIPScore of encoders and a tokenizer with their own goldens: the explicit cosine.</summary>
public sealed class ClipScoreTests
{
    [Fact]
    public void The_score_is_the_cosine_of_both_embeddings()
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        using var golden = GoldenCase.Open("clip_vision_with_projection");
        using var words = GoldenCase.Open("clip_tokenizer");
        var tokenizer = TokenizerFolder.Read(words.PathOf("tokenizer"));
        using var text = new ClipTextModel(
            new ClipTextConfig
            {
                WithProjection = true,
                VocabSize = tokenizer.VocabularySize,
                HiddenSize = 32,
                IntermediateSize = 64,
                ProjectionDim = 20,
                NumHiddenLayers = 2,
                NumAttentionHeads = 4,
                EosTokenId = tokenizer.VocabularySize - 1,
            }
        );
        using (var generator = Generator.Create(Device.Cpu, 2))
            text.Parameters.Initialise(generator, Device.Cpu);
        var model = folder["clip"];
        Directory.CreateDirectory(model);
        foreach (var file in new[] { "vocab.json", "merges.txt" })
            File.Copy(words.PathOf($"tokenizer/{file}"), Path.Combine(model, file));
        var vision = golden.ReadObject("config.json");
        File.WriteAllText(
            Path.Combine(model, "config.json"),
            new JsonObject
            {
                ["projection_dim"] = 20,
                ["vision_config"] = vision.DeepClone(),
                ["text_config"] = text.Config.ToJson(),
            }.ToJsonString()
        );
        using (var weights = SafetensorsFile.Open(golden.PathOf("model.safetensors")))
            SafetensorsWriter.Write(
                Path.Combine(model, "model.safetensors"),
                [.. weights.Names.Select(name => KeyValuePair.Create(name, weights.Read(name).Clone())), .. text.Parameters.Tensors()]
            );

        using var score = ClipScore.Open(model, Device.Cpu);
        using var images = ClipFeatures.Open(model, Device.Cpu);
        string[] captions = ["a cat", "two dogs on a red sofa", "blue", "a cat", "night"];
        var pictures = (TestTensors.Pictures(5, 32, 1) * 255).Round() / 255;
        var found = score.Of(pictures, captions);
        double[] expected = new double[5],
            cosines = new double[5];
        for (var k = 0; k < 5; k++)
        {
            var ids = TokenBatch.Create(tokenizer, [captions[k]], 77, Device.Cpu, "CLIP").Ids;
            var (a, b) = (images.Extract(pictures.Narrow(0, k, 1)).ToArray<double>(), text.Forward(ids).Projected!.ToArray<double>());
            double Norm(double[] v) => Math.Sqrt(v.Sum(static x => x * x));
            cosines[k] = a.Zip(b, static (x, y) => x * y).Sum() / (Norm(a) * Norm(b));
            expected[k] = 100 * Math.Max(cosines[k], 0);
            TestTensors.Close(expected[k], found[k], 1e-3, captions[k]);
        }

        Assert.Contains(cosines, static c => c > 0);

        var files = folder["pictures"];
        Directory.CreateDirectory(files);
        var saved = PictureTensors.ToPictures((pictures * 2) - 1);
        for (var k = 0; k < 5; k++)
        {
            PictureFile.Save(saved[k], Path.Combine(files, $"{k}.png"));
            File.WriteAllText(Path.Combine(files, $"{k}.txt"), captions[k]);
        }

        var options = new EvaluationOptions
        {
            Metrics = [new ClipScoreMetric { Model = score }],
            Bootstrap = new BootstrapOptions { Resamples = 100 },
            BatchSize = 2,
        };
        var result = Evaluator.Evaluate(null, [ImageSet.Open(files)], options);
        var figure = result.Sets[0].Figures.Single();
        Assert.Equal(("clipscore", Preference.Higher), (figure.Name, figure.Better));
        TestTensors.Close(expected.Average(), figure.Value, 1e-3);
        Assert.Equal(score.Protocol, result.Protocol.Of<ClipScoreProtocol>());

        // As a judge: only the first and the fourth picture have the same caption.
        using (var measure = ClipScoreMeasure.Open(model, Device.Cpu))
        {
            var judged = CandidateJudge.Judge([files], measure, new() { BatchSize = 2 }, folder["pairs"]);
            Assert.Equal(
                (5, 4, 3, 1, score.Protocol.Sha256),
                (judged.Candidates, judged.Prompts, judged.Alone, judged.Pairs, judged.Judge.Sha256)
            );
            TestTensors.Close(Math.Abs(expected[0] - expected[3]), judged.Margins.Median, 1e-3);
            Assert.Equal($"images/pictures/{(expected[0] > expected[3] ? 0 : 3)}.png", PairFolder.Open(folder["pairs"])[0].Id);
        }

        File.Delete(Path.Combine(files, "3.txt"));
        Assert.Contains(
            "3",
            Assert.Throws<InputException>(() => Evaluator.Evaluate(null, [ImageSet.Open(files)], options)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "--clip",
            Assert
                .Throws<UsageException>(() =>
                    Evaluator.Evaluate(null, [ImageSet.Open(files)], options with { Metrics = [new ClipScoreMetric()] })
                )
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "no text encoder",
            Assert.Throws<InputException>(() => ClipScore.Open(golden.Folder, Device.Cpu)).Message,
            StringComparison.Ordinal
        );
    }
}
