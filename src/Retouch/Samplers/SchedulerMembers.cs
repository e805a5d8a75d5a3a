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

    /// <summary>Rejects a boolean other than the supported one, which is the default.</summary>
    /// <exception cref="Core.Errors.InputException">The value is not supported.</exception>
    public void Only(string member, bool value, string why)
    {
        if (members.Boolean(member, value) != value)
            throw members.Wrong(member, $"{(value ? "true" : "false")}: {why}");
    }

    /// <summary>Rejects a string other than the supported ones.</summary>
    /// <exception cref="Core.Errors.InputException">The value is not supported.</exception>
    public void OneOf(string member, string fallback, params ReadOnlySpan<string> known)
    {
        if (!known.Contains(members.Text(member, fallback)))
            throw members.Wrong(member, fallback.Length == 0 ? "null" : $"one of {string.Join(", ", known.ToArray())}");
    }
}
