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
