namespace Retouch.Diffusion;

/// <summary>Defaults of a diffusers scheduler class for members that the file omits.</summary>
/// <param name="IsFlow">Whether the class is a flow scheduler.</param>
/// <param name="Shape">Default <c>beta_schedule</c>.</param>
/// <param name="BetaStart">Default <c>beta_start</c>.</param>
/// <param name="BetaEnd">Default <c>beta_end</c>.</param>
internal sealed record SchedulerDefaults(bool IsFlow, string Shape = "linear", double BetaStart = 0.0001, double BetaEnd = 0.02);

/// <summary>Supported diffusers scheduler classes. Only the training formulation is read; their samplers differ.</summary>
internal static class SchedulerClasses
{
    private static readonly SchedulerDefaults Flow = new(IsFlow: true);
    private static readonly SchedulerDefaults Usual = new(IsFlow: false);
    private static readonly SchedulerDefaults InSigma = new(IsFlow: false, BetaStart: 0.00085, BetaEnd: 0.012);
    private static readonly SchedulerDefaults Distilled = new(IsFlow: false, "scaled_linear", 0.00085, 0.012);

    /// <summary>Classes by name, with the defaults of diffusers 0.40.</summary>
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
