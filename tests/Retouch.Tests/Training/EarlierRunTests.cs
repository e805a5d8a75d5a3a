using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Safetensors;
using Retouch.Training;

namespace Retouch.Tests.Training;

/// <summary>A run that an earlier version of the program interrupted, resumed by this one.</summary>
public sealed class EarlierRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_run_of_an_earlier_version_resumes_identically()
    {
        var golden = Path.Combine(GoldenCase.Root(), "earlier_run");
        foreach (var file in Directory.EnumerateFiles(Path.Combine(golden, "run"), "*", SearchOption.AllDirectories))
        {
            var copy = _folder[Path.GetRelativePath(golden, file)];
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        using (var networks = GoldenCase.Open("training_dit_lpl"))
        {
            var options = _folder["run/options.json"];
            File.WriteAllText(
                options,
                File.ReadAllText(options).Replace("AUTOENCODER", networks.PathOf("autoencoder"), StringComparison.Ordinal)
            );
        }

        using (var run = TrainingRun.Resume(_folder["run"], 9, TimeProvider.System))
            run.Train(new ProgressProbe(), CancellationToken.None);

        foreach (var model in (string[])["model", "model-average-0.9", "model-average-0.99"])
        {
            using var expected = SafetensorsFile.Open(Path.Combine(golden, "expected", $"{model}.safetensors"));
            using var actual = SafetensorsFile.Open(_folder[$"run/{model}/transformer/diffusion_pytorch_model.safetensors"]);
            Assert.Equal(expected.Entries.Keys.Order(StringComparer.Ordinal), actual.Entries.Keys.Order(StringComparer.Ordinal));
            using var scope = TensorScope.Enter();
            // Steps of Adam are 1e-4 long; rounding differs with the processor and the order of sums.
            foreach (var name in expected.Entries.Keys)
                Assert.True((expected.Read(name) - actual.Read(name)).Abs().Max().Item() < 2e-6, $"{model}: {name}");
        }
    }
}
