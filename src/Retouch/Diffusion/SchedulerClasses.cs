namespace Retouch.Diffusion;

/// <summary>What a scheduler class of diffusers says of a model where its file leaves members out.</summary>
/// <param name="IsFlow">Whether it is a flow's.</param>
/// <param name="Shape">How its variances grow by default.</param>
/// <param name="BetaStart">The first of them by default.</param>
/// <param name="BetaEnd">The last of them by default.</param>
internal sealed record SchedulerDefaults(bool IsFlow, string Shape = "linear", double BetaStart = 0.0001, double BetaEnd = 0.02);

/// <summary>The scheduler classes of diffusers whose files say what a model was trained with. They differ in how they sample.</summary>
internal static class SchedulerClasses
{
    private static readonly SchedulerDefaults Flow = new(IsFlow: true);
    private static readonly SchedulerDefaults Usual = new(IsFlow: false);
    private static readonly SchedulerDefaults InSigma = new(IsFlow: false, BetaStart: 0.00085, BetaEnd: 0.012);
    private static readonly SchedulerDefaults Distilled = new(IsFlow: false, "scaled_linear", 0.00085, 0.012);

    /// <summary>By name, with the defaults of diffusers 0.40.</summary>
    public static IReadOnlyDictionary<string, SchedulerDefaults> All { get; } =
        new Dictionary<string, SchedulerDefaults>(StringComparer.Ordinal)
        {
            ["DDPMScheduler"] = Usual,
            ["DDIMScheduler"] = Usual,
            ["PNDMScheduler"] = Usual,
            ["EulerDiscreteScheduler"] = Usual,
            ["EulerAncestralDiscreteScheduler"] = Usual,
            ["DPMSolverMultistepScheduler"] = Usual,
            ["DPMSolverSinglestepScheduler"] = Usual,
            ["HeunDiscreteScheduler"] = InSigma,
            ["LMSDiscreteScheduler"] = Usual,
            ["UniPCMultistepScheduler"] = Usual,
            ["DEISMultistepScheduler"] = Usual,
            ["DDIMParallelScheduler"] = Usual,
            ["DDPMParallelScheduler"] = Usual,
            ["DDIMInverseScheduler"] = Usual,
            ["DPMSolverMultistepInverseScheduler"] = Usual,
            ["SASolverScheduler"] = Usual,
            ["RePaintScheduler"] = Usual,
            ["KDPM2DiscreteScheduler"] = InSigma,
            ["KDPM2AncestralDiscreteScheduler"] = InSigma,
            ["DPMSolverSDEScheduler"] = InSigma,
            ["LCMScheduler"] = Distilled,
            ["TCDScheduler"] = Distilled,
            ["FlowMatchEulerDiscreteScheduler"] = Flow,
            ["FlowMatchHeunDiscreteScheduler"] = Flow,
            ["FlowMatchLCMScheduler"] = Flow,
        };
}
