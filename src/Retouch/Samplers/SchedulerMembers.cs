using Retouch.Core.Json;

namespace Retouch.Samplers;

/// <summary>A scheduler configuration of diffusers, as methods of sampling read it.</summary>
/// <param name="members">Its members.</param>
/// <param name="isFlow">Whether it is of a flow.</param>
public sealed class SchedulerMembers(JsonMembers members, bool isFlow)
{
    /// <summary>Its members.</summary>
    public JsonMembers Members => members;

    /// <summary>Whether it is of a flow.</summary>
    public bool IsFlow => isFlow;

    /// <summary>The class of diffusers.</summary>
    public string ClassName => members.Text("_class_name");

    /// <summary>Whether it ends at the schedule's least noise.</summary>
    public bool EndsAtLeastNoise => !isFlow && members.Text("final_sigmas_type", "zero") == "sigma_min";

    /// <summary>Refuses a truth value other than the one that is supported, which is its default.</summary>
    /// <exception cref="Core.Errors.InputException">It is another.</exception>
    public void Only(string member, bool value, string why)
    {
        if (members.Boolean(member, value) != value)
            throw members.Wrong(member, $"{(value ? "true" : "false")}: {why}");
    }

    /// <summary>Refuses a text other than those that are known.</summary>
    /// <exception cref="Core.Errors.InputException">It is another.</exception>
    public void OneOf(string member, string fallback, params ReadOnlySpan<string> known)
    {
        if (!known.Contains(members.Text(member, fallback)))
            throw members.Wrong(member, fallback.Length == 0 ? "null" : $"one of {string.Join(", ", known.ToArray())}");
    }
}
