using System.Globalization;
using Retouch.Core.Errors;

namespace Retouch.Training.Distributed;

/// <summary>Time limits of processes that train together.</summary>
/// <param name="Rendezvous">Limit until all processes have found each other.</param>
/// <param name="Collective">Limit of waiting for other processes in a step; longer than a sample grid, a validation or a checkpoint, during
/// which the others wait for rank 0.</param>
public sealed record WorldLimits(TimeSpan Rendezvous, TimeSpan Collective)
{
    /// <summary>Variable of <see cref="Rendezvous"/>, in seconds.</summary>
    public const string RendezvousVariable = "RETOUCH_RENDEZVOUS_TIMEOUT";

    /// <summary>Variable of <see cref="Collective"/>, in seconds.</summary>
    public const string CollectiveVariable = "RETOUCH_COLLECTIVE_TIMEOUT";

    /// <summary>5 minutes, and 30 minutes as in PyTorch.</summary>
    public static WorldLimits Default { get; } = new(TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(30));

    /// <summary>Reads the limits from environment variables.</summary>
    /// <exception cref="UsageException">A value is not a positive number.</exception>
    public static WorldLimits Of(Func<string, string?> variable)
    {
        ArgumentNullException.ThrowIfNull(variable);
        TimeSpan Seconds(string name, TimeSpan usual) =>
            variable(name) is not { Length: > 0 } text ? usual
            : double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds)
            && seconds is > 0 and < 1e6
                ? TimeSpan.FromSeconds(seconds)
            : throw new UsageException($"The environment variable {name} is '{text}'; it must be a positive number of seconds.");
        return new(Seconds(RendezvousVariable, Default.Rendezvous), Seconds(CollectiveVariable, Default.Collective));
    }
}
