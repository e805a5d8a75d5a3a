namespace Retouch.Objectives;

/// <summary>Collects what is wrong with options, so that all of it is told at once.</summary>
/// <param name="path">Where the options stand.</param>
internal sealed class Problems(string path)
{
    private readonly List<string> _list = [];

    public IReadOnlyList<string> List => _list;

    public void When(bool wrong, string member, string what)
    {
        if (wrong)
            _list.Add($"{path}.{member}: {what}.");
    }
}

/// <summary>What a weight may be.</summary>
internal static class WeightRules
{
    public static void Check(Problems problems, TermWeight weight, double? share, int? warmUp)
    {
        problems.When(
            weight.Fixed is { } value && (!double.IsFinite(value) || value <= 0),
            "weight",
            "must be a number above 0, or \"auto\"; leave the objective out to do without it"
        );
        problems.When(weight.Fixed is not null && share is not null, "autoShare", "does nothing unless the weight is \"auto\"");
        problems.When(weight.Fixed is not null && warmUp is not null, "autoWarmUp", "does nothing unless the weight is \"auto\"");
        problems.When(share is not (null or (> 0 and < 1)), "autoShare", "must lie in (0, 1)");
        problems.When(warmUp is < 1, "autoWarmUp", "must be at least 1");
    }
}
