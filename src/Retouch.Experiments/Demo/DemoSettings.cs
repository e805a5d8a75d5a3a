using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Experiments.Demo;

/// <summary>Settings of a demo, saved in its folder as <c>demo.json</c> for <c>--resume</c>.</summary>
public sealed record DemoSettings
{
    /// <summary>Folder of pictures; null for procedural scenes.</summary>
    public string? Data { get; init; }

    /// <summary>Side of the pictures in pixels, 16 to 512, divisible by 8.</summary>
    public int Size { get; init; } = 64;

    /// <summary>Whether the networks are trained from scratch.</summary>
    public bool Retrain { get; init; }

    /// <summary>Initial pipeline; null for the pretrained one of the program.</summary>
    public string? Model { get; init; }

    /// <summary>
    /// Time limit of the training of the networks in minutes; null for the steps of the recipes.
    /// </summary>
    [Bounds(Above = 0, AtMost = 10_000)]
    public double? Minutes { get; init; }

    /// <summary>Post-training steps of each arm.</summary>
    [Bounds(AtLeast = 1)]
    public long Steps { get; init; } = 150;

    /// <summary>Samples per step.</summary>
    [Bounds(AtLeast = 1, AtMost = 1024)]
    public int Batch { get; init; } = 16;

    /// <summary>Sampled pictures per model, and number of held-out pictures.</summary>
    [Bounds(AtLeast = 4, AtMost = 100_000)]
    public int Samples { get; init; } = 128;

    /// <summary>Sampler steps.</summary>
    [Bounds(AtLeast = 1, AtMost = 1000)]
    public int SamplerSteps { get; init; } = 50;

    /// <summary>Guidance scale.</summary>
    [Bounds(AtLeast = 0)]
    public double Guidance { get; init; } = 1.5;

    /// <summary>Seed of all random numbers.</summary>
    public ulong Seed { get; init; } = 3;

    /// <summary>Device, in the syntax of <see cref="Torch.Device.Parse"/>.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Mixed precision of training and sampling: float32, bfloat16 or float16.</summary>
    public string Precision { get; init; } = DType.Float32.Name();

    /// <summary>The device.</summary>
    /// <exception cref="EnvironmentException">The device is not available.</exception>
    public Device Where() => Torch.Device.Parse(Device).Require();

    /// <summary>Whether the networks are trained before the comparison.</summary>
    public bool Pretrains => Retrain || Data is not null;

    /// <summary>Checks the settings.</summary>
    /// <exception cref="UsageException">Options are out of range or contradictory.</exception>
    public void Validate()
    {
        var check = Requirements.OfFlags((nameof(Batch), "--batch-size"));
        check.Members(this);
        check.That(Size is >= 16 and <= 512 && Size % 8 == 0, nameof(Size), $"is {Size}; it must lie in [16, 512] and be divisible by 8");
        check.That(
            Data is not null || Retrain || Model is not null || Size == 64,
            "--size: the pretrained networks have a native size of 64 pixels; other sizes need --data, --retrain or --model"
        );
        check.That(
            !(Retrain && Data is not null),
            "--retrain trains the networks on procedural scenes, --data on your pictures: give one of them"
        );
        check.That(
            Minutes is null || Pretrains,
            "--minutes limits the training of the networks, which only takes place with --data or --retrain"
        );
        check.That(Model is null || !Retrain, "--model is the initial pipeline and excludes --retrain");
        check.Throw();
    }
}
