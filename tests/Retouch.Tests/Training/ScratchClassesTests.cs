using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Data.Scenes;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Tests.Training;

/// <summary>Number and names of classes of a denoiser from scratch.</summary>
public sealed class ScratchClassesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Names_and_number_of_the_classes_come_from_the_data_and_stay_on_resuming()
    {
        Scenes("kiwi", "apple", "lime");
        Train(Options(count: null), "run");
        Check("run/model", "apple", "kiwi", "lime");
        Check("run/model-average-0.9", "apple", "kiwi", "lime");

        // Another class between them must not shift the known ones.
        Scenes("fig");
        var message = Assert.Throws<InputException>(() => Resume("run", 3)).Message;
        Assert.Contains("fig", message, StringComparison.Ordinal);
        Directory.Move(_folder["data/fig"], _folder["fig"]);
        Directory.Delete(_folder["data/apple"], recursive: true);
        Assert.Contains(Resume("run", 3).Notes, static n => n.Contains("kiwi → 1 (2)", StringComparison.Ordinal));
        Check("run/model", "apple", "kiwi", "lime");
    }

    [Fact]
    public void Given_names_and_numbers_of_classes_are_kept()
    {
        Scenes("kiwi", "apple");
        Train(Options(count: 5, "kiwi", "fig", "apple"), "run");
        using (var pipeline = LatentDiffusionPipeline.Load(_folder["run/model"], Device.Cpu))
        {
            Assert.Equal(5, pipeline.Denoiser.ClassCount);
            Assert.Equal(["kiwi", "fig", "apple"], pipeline.Labels.OrderBy(static l => l.Key).Select(static l => l.Value));
        }

        Train(Options(count: null, "kiwi", "fig", "apple"), "other");
        Check("other/model", "kiwi", "fig", "apple");
    }

    [Theory]
    [InlineData(1, "have 2 classes (apple, kiwi), but the denoiser of model.config has 1.")]
    [InlineData(1, "have 3 classes (a, b, c)", "a", "b", "c")]
    [InlineData(null, "2 of the data's 2 classes are unknown to the model: apple, kiwi.", "a", "b")]
    [InlineData(null, "model.classes is empty, or has a name twice", "a", "a")]
    public void Classes_that_do_not_match_are_rejected(int? count, string message, params string[] names)
    {
        Scenes("kiwi", "apple");
        Assert.Contains(message, Failure(Options(count, names)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_number_of_classes_is_needed()
    {
        SceneFolder.Write(_folder["data"], new ProceduralScenes(1, 16, 2), static k => $"{k}.png");
        Assert.Contains(
            "model.config has no num_embeds_ada_norm, and the pictures have no classes",
            Failure(Options(null)),
            StringComparison.Ordinal
        );
    }

    private TrainingOptions Options(int? count, params string[] names)
    {
        var set = new JsonObject
        {
            ["data"] = new JsonObject
            {
                ["folder"] = _folder["data"],
                ["size"] = 16,
                ["workers"] = 1,
            },
            ["steps"] = 1,
            ["batch"] = new JsonObject { ["size"] = 2 },
            ["averages"] = new JsonArray(new JsonObject { ["decay"] = 0.9 }),
        };
        if (names.Length > 0)
            set["model.classes"] = new JsonArray([.. names.Select(static n => (JsonNode)n)]);
        var options = TinyRun.Denoiser("{}", set: set.ToJsonString());
        var config = options.Model.Config!.DeepClone().AsObject();
        config.Remove("num_embeds_ada_norm");
        if (count is { } classes)
            config["num_embeds_ada_norm"] = classes;
        return options with { Model = options.Model with { Config = config } };
    }

    private void Scenes(params string[] classes)
    {
        foreach (var name in classes)
            SceneFolder.Write(_folder[$"data/{name}"], new ProceduralScenes(1, 16, 2), static k => $"{k}.png");
    }

    private void Train(TrainingOptions options, string run)
    {
        using var training = TrainingRun.Start(options, _folder[run], TimeProvider.System);
        training.Train(new ProgressProbe(), CancellationToken.None);
    }

    private ProgressProbe Resume(string run, long steps)
    {
        var progress = new ProgressProbe();
        using var training = TrainingRun.Resume(_folder[run], steps, TimeProvider.System, acceptChanges: true);
        training.Train(progress, CancellationToken.None);
        return progress;
    }

    private static string Failure(TrainingOptions options) =>
        Assert.ThrowsAny<RetouchException>(() => TrainingRun.Start(options, null, TimeProvider.System).Dispose()).Message;

    private void Check(string model, params string[] names)
    {
        using var pipeline = LatentDiffusionPipeline.Load(_folder[model], Device.Cpu);
        Assert.Equal(names.Length, pipeline.Denoiser.ClassCount);
        Assert.Equal(names, pipeline.Labels.OrderBy(static l => l.Key).Select(static l => l.Value));
    }
}
