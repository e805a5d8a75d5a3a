using Retouch.Core.Errors;
using Retouch.Training;

namespace Retouch.Tests.Training;

/// <summary>A run's folder where a model is wanted.</summary>
public sealed class RunModelTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly List<string> _notes = [];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_only_average_is_the_model_of_a_run()
    {
        Run("model", "model-average-0.99");
        Assert.Equal(_folder["run/model-average-0.99"], RunModel.Of(_folder["run"], _notes.Add));
        Assert.Contains("model-average-0.99", Assert.Single(_notes), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_single_average_it_is_the_last_weights()
    {
        Run("model");
        Assert.Equal(_folder["run/model"], RunModel.Of(_folder["run"], _notes.Add));
        Directory.CreateDirectory(_folder["run/model-average-0.9"]);
        Directory.CreateDirectory(_folder["run/model-average-0.99"]);
        Assert.Equal(_folder["run/model"], RunModel.Of(_folder["run"], _notes.Add));
    }

    [Fact]
    public void A_run_without_a_model_names_its_newest_checkpoint()
    {
        Run("checkpoints/step-00000004", "checkpoints/step-00000012");
        var message = Assert.Throws<InputException>(() => RunModel.Of(_folder["run"], _notes.Add)).Message;
        Assert.Contains("step-00000012", message, StringComparison.Ordinal);
        Assert.Contains("--resume", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Other_folders_are_unchanged()
    {
        Directory.CreateDirectory(_folder["other/model"]);
        foreach (var path in new[] { _folder["other"], _folder["nowhere"], "some/name" })
            Assert.Equal(path, RunModel.Of(path, _notes.Add));
        Run("model");
        File.WriteAllText(_folder["run/model_index.json"], "{}");
        Assert.Equal(_folder["run"], RunModel.Of(_folder["run"], _notes.Add));
        Assert.Empty(_notes);
    }

    private void Run(params string[] folders)
    {
        foreach (var folder in folders)
            Directory.CreateDirectory(_folder[$"run/{folder}"]);
        File.WriteAllText(_folder["run/options.json"], "{}");
        File.WriteAllText(_folder["run/inputs.json"], "{}");
    }
}
