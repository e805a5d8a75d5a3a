using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Experiments.Demo;

/// <summary>All settings of a demo, saved in its folder as <c>demo.json</c> so that it can be continued.</summary>
public sealed record DemoSettings
{
    /// <summary>A folder of pictures; null for the procedural scenes.</summary>
    public string? Data { get; init; }

    /// <summary>Side of the pictures in pixels.</summary>
    public int Size { get; init; } = 64;

    /// <summary>Whether the networks are trained from scratch by their recipes.</summary>
    public bool Retrain { get; init; }

    /// <summary>The pipeline to start from; null for the one that comes with the program.</summary>
    public string? Model { get; init; }

    /// <summary>
    /// Minutes that training the networks may take, where they are trained at all; null follows the recipes to their end.
    /// </summary>
    [Bounds(Above = 0, AtMost = 10_000)]
    public double? Minutes { get; init; }

    /// <summary>Post-training steps of every arm.</summary>
    [Bounds(AtLeast = 1)]
    public long Steps { get; init; } = 150;

    /// <summary>Samples a step.</summary>
    [Bounds(AtLeast = 1, AtMost = 1024)]
    public int Batch { get; init; } = 16;

    /// <summary>Pictures drawn from every model, and real ones held out.</summary>
    [Bounds(AtLeast = 4, AtMost = 100_000)]
    public int Samples { get; init; } = 128;

    /// <summary>Sampler steps of a picture.</summary>
    [Bounds(AtLeast = 1, AtMost = 1000)]
    public int SamplerSteps { get; init; } = 50;

    /// <summary>Scale of classifier-free guidance.</summary>
    [Bounds(AtLeast = 0)]
    public double Guidance { get; init; } = 1.5;

    /// <summary>Decides everything random.</summary>
    public ulong Seed { get; init; } = 3;

    /// <summary>Where everything computes, as <see cref="Torch.Device.Parse"/> reads it.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>The device, which must be there.</summary>
    /// <exception cref="EnvironmentException">It is not.</exception>
    public Device Where() => Torch.Device.Parse(Device).Require();

    /// <summary>Whether the networks are trained before the comparison.</summary>
    public bool Pretrains => Retrain || Data is not null;

    /// <summary>Checks the settings.</summary>
    /// <exception cref="UsageException">Some are out of range or contradict each other.</exception>
    public void Validate()
    {
        var check = Requirements.OfFlags((nameof(Batch), "--batch-size"));
        check.Members(this);
        check.That(Size is >= 16 and <= 512 && Size % 8 == 0, nameof(Size), $"is {Size}; it must lie in [16, 512] and be divisible by 8");
        check.That(
            Data is not null || Retrain || Model is not null || Size == 64,
            "--size: the pretrained networks are for 64 pixels; other sizes need --data, --retrain or --model"
        );
        check.That(
            !(Retrain && Data is not null),
            "--retrain makes the networks on the procedural scenes; --data trains them on your pictures: give one of them"
        );
        check.That(Minutes is null || Pretrains, "--minutes bounds the training of the networks, which only --data and --retrain do");
        check.That(Model is null || !Retrain, "--model is the pipeline to start from; with --retrain there is none");
        check.Throw();
    }
}
