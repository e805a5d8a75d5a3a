using Retouch.Experiments.Phases;
using Retouch.Experiments.Sampling;
using Retouch.Samplers;
using Retouch.Torch;

namespace Retouch.Experiments.Demo;

/// <summary>Samples all models with the same seeds and classes.</summary>
public static class DemoSampling
{
    /// <summary>Seed of the first picture.</summary>
    public const ulong FirstSeed = 1000;

    /// <summary>Samples one model, unless its pictures exist.</summary>
    public static void Draw(string title, string model, string target, DemoSettings settings, PhaseConsole console)
    {
        console.Heading(title);
        if (SampledFolder.IsWhole(target))
        {
            console.Say("Done already.");
            return;
        }

        var request = new PipelineSampling
        {
            Seeds = PipelineSampling.SeedsFrom(FirstSeed, settings.Samples),
            Width = settings.Size,
            Height = settings.Size,
            Steps = settings.SamplerSteps,
            Guidance = new(settings.Guidance),
            BatchSize = 32,
            Precision = DTypes.Precisions[settings.Precision],
        };
        console.Sample(model, target, request, settings.Where());
    }
}
