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
    public double? Minutes { get; init; }

    /// <summary>Post-training steps of every arm.</summary>
    public long Steps { get; init; } = 150;

    /// <summary>Samples a step.</summary>
    public int Batch { get; init; } = 16;

    /// <summary>Pictures drawn from every model, and real ones held out.</summary>
    public int Samples { get; init; } = 128;

    /// <summary>Sampler steps of a picture.</summary>
    public int SamplerSteps { get; init; } = 50;

    /// <summary>Scale of classifier-free guidance.</summary>
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
        List<string> problems = [];
        void Require(bool holds, string problem)
        {
            if (!holds)
                problems.Add(problem);
        }

        Require(Size is >= 16 and <= 512 && Size % 8 == 0, $"--size is {Size}; it lies between 16 and 512 and is divisible by 8");
        Require(
            Data is not null || Retrain || Model is not null || Size == 64,
            "--size: the pretrained networks are for 64 pixels; other sizes need --data, --retrain or --model"
        );
        Require(
            !(Retrain && Data is not null),
            "--retrain makes the networks on the procedural scenes; --data trains them on your pictures: give one of them"
        );
        Require(Minutes is null || Pretrains, "--minutes bounds the training of the networks, which only --data and --retrain do");
        Require(Minutes is null or > 0 and <= 10_000, $"--minutes is {Minutes}; it is above 0, at most 10000");
        Require(Model is null || !Retrain, "--model is the pipeline to start from; with --retrain there is none");
        Require(Steps >= 1, $"--steps is {Steps}; it is at least 1");
        Require(Batch is >= 1 and <= 1024, $"--batch is {Batch}; it lies between 1 and 1024");
        Require(Samples is >= 4 and <= 100_000, $"--samples is {Samples}; it lies between 4 and 100000");
        Require(SamplerSteps is >= 1 and <= 1000, $"--sampler-steps is {SamplerSteps}; it lies between 1 and 1000");
        Require(double.IsFinite(Guidance) && Guidance >= 0, $"--guidance is {Guidance}; it is at least 0");
        if (problems.Count > 0)
            throw new UsageException(string.Join('\n', problems));
    }
}
