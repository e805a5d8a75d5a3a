using Retouch.Core.Json;

namespace Retouch.Samplers;

/// <summary>A diffusers scheduler configuration, as read by solvers.</summary>
/// <param name="members">Members of the configuration.</param>
/// <param name="isFlow">Whether the scheduler is a flow.</param>
public sealed class SchedulerMembers(JsonMembers members, bool isFlow)
{
    /// <summary>Members of the configuration.</summary>
    public JsonMembers Members => members;

    /// <summary>Whether the scheduler is a flow.</summary>
    public bool IsFlow => isFlow;

    /// <summary>Class in diffusers.</summary>
    public string ClassName => members.Text("_class_name");

    /// <summary>Whether sampling ends at the schedule's minimum noise level.</summary>
    public bool EndsAtLeastNoise => !isFlow && members.Text("final_sigmas_type", "zero") == "sigma_min";
}
