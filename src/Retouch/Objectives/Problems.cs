namespace Retouch.Objectives;

/// <summary>Collects validation problems, so that one error reports all of them.</summary>
/// <param name="path">Path of the options in messages.</param>
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
