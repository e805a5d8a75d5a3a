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
    public double? Minutes { get; init; }

    /// <summary>Post-training steps of each arm.</summary>
    public long Steps { get; init; } = 150;

    /// <summary>Samples per step.</summary>
    public int Batch { get; init; } = 16;

    /// <summary>Sampled pictures per model, and number of held-out pictures.</summary>
    public int Samples { get; init; } = 128;

    /// <summary>Sampler steps.</summary>
    public int SamplerSteps { get; init; } = 50;

    /// <summary>Guidance scale.</summary>
    public double Guidance { get; init; } = 1.5;

    /// <summary>Seed of all random numbers.</summary>
    public ulong Seed { get; init; } = 3;

    /// <summary>Device, in the syntax of <see cref="Torch.Device.Parse"/>.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>The device.</summary>
    /// <exception cref="EnvironmentException">The device is not available.</exception>
    public Device Where() => Torch.Device.Parse(Device).Require();

    /// <summary>Whether the networks are trained before the comparison.</summary>
    public bool Pretrains => Retrain || Data is not null;

    /// <summary>Checks the settings.</summary>
    /// <exception cref="UsageException">Options are out of range or contradictory.</exception>
    public void Validate()
    {
        List<string> problems = [];
        void Require(bool holds, string problem)
        {
            if (!holds)
                problems.Add(problem);
        }

        Require(Size is >= 16 and <= 512 && Size % 8 == 0, $"--size {Size}: must be 16 to 512 and divisible by 8");
        Require(
            Data is not null || Retrain || Model is not null || Size == 64,
            "--size: the pretrained networks have a native size of 64 pixels; other sizes need --data, --retrain or --model"
        );
        Require(
            !(Retrain && Data is not null),
            "--retrain trains the networks on procedural scenes, --data on your pictures: give one of them"
        );
        Require(
            Minutes is null || Pretrains,
            "--minutes limits the training of the networks, which only takes place with --data or --retrain"
        );
        Require(Minutes is null or > 0 and <= 10_000, $"--minutes {Minutes}: must be above 0, at most 10000");
        Require(Model is null || !Retrain, "--model is the initial pipeline and excludes --retrain");
        Require(Steps >= 1, $"--steps {Steps}: must be at least 1");
        Require(Batch is >= 1 and <= 1024, $"--batch {Batch}: must be 1 to 1024");
        Require(Samples is >= 4 and <= 100_000, $"--samples {Samples}: must be 4 to 100000");
        Require(SamplerSteps is >= 1 and <= 1000, $"--sampler-steps {SamplerSteps}: must be 1 to 1000");
        Require(double.IsFinite(Guidance) && Guidance >= 0, $"--guidance {Guidance}: must be at least 0");
        if (problems.Count > 0)
            throw new UsageException(string.Join('\n', problems));
    }
}
