using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Torch;

namespace Retouch.Tests.Pipelines;

/// <summary>Sampling requests with the model's defaults, and loading an autoencoder alone.</summary>
public sealed class RequestTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public RequestTests() => TextModel.Write(_folder["model"]);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_request_has_the_models_size_and_guidance()
    {
        using var pipeline = LatentDiffusionPipeline.Load(_folder["model"], Device.Cpu);
        var request = pipeline.Request([4, 7]);
        Assert.Equal((16, 16, 7.5), (request.Width, request.Height, request.Guidance.Scale));
        Assert.Equal([4UL, 7UL], request.Seeds);
        var wide = pipeline.Request([4], width: 32);
        Assert.Equal((32, 16), (wide.Width, wide.Height));
    }

    [Fact]
    public void Prompts_rotate_and_equal_prompts_are_encoded_once()
    {
        using var scope = TensorScope.Enter();
        using var pipeline = LatentDiffusionPipeline.Load(_folder["model"], Device.Cpu);
        List<string> notes = [];
        var request = pipeline.Prompted(pipeline.Request([1, 2, 3]), ["a", new string('b', 40)], Device.Cpu, note: notes.Add);
        Assert.Same(request.Conditions![0], request.Conditions[2]);
        Assert.Contains("exceeds the encoder's maximum length", Assert.Single(notes), StringComparison.Ordinal);
        using var encoders = pipeline.LoadPromptEncoders(Device.Cpu);
        float[] Encoded(string prompt) => encoders.Encoder.Encode([prompt]).Condition.Text!.ToArray<float>();
        Assert.Equal(Encoded("a"), request.Conditions[0].Text!.ToArray<float>());
        Assert.Equal(Encoded(""), request.Unconditional!.Text!.ToArray<float>());
        var negative = pipeline.Prompted(request, ["a"], Device.Cpu, negative: "c");
        Assert.Equal(Encoded("c"), negative.Unconditional!.Text!.ToArray<float>());
    }

    [Fact]
    public void Missing_prompts_are_errors()
    {
        using var scope = TensorScope.Enter();
        using var pipeline = LatentDiffusionPipeline.Load(_folder["model"], Device.Cpu);
        var request = pipeline.Request([1]);
        Assert.Contains(
            "needs prompts",
            Assert.Throws<UsageException>(() => PipelineSampler.Sample(pipeline, request, Device.Cpu)).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<UsageException>(() => pipeline.Prompted(request, [], Device.Cpu));
    }

    [Fact]
    public void An_autoencoder_is_loaded_from_its_folder_or_its_pipeline()
    {
        using var scope = TensorScope.Enter();
        using var whole = ComponentFolder.LoadAutoencoder(_folder["model"], Device.Cpu);
        using var alone = ComponentFolder.LoadAutoencoder(_folder["model/vae"], Device.Cpu);
        var latent = new Latent(Ops.Ones([1, 4, 2, 2]));
        Assert.Equal(whole.Decode(latent).ToArray<float>(), alone.Decode(latent).ToArray<float>());
        Assert.Contains(
            "is a UNet2DConditionModel, not an autoencoder",
            Assert.Throws<InputException>(() => ComponentFolder.LoadAutoencoder(_folder["model/unet"], Device.Cpu)).Message,
            StringComparison.Ordinal
        );
    }
}
