using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text.Json;

namespace Retouch.Core.Errors;

/// <summary>
/// Validation of options: collects everything that is wrong, with members as the user writes them, and throws one error. A record states
/// the bounds of its numbers by <see cref="BoundsAttribute"/> and has one method that takes this class.
/// </summary>
public sealed class Requirements
{
    private readonly List<string> _problems;
    private readonly Func<string, string> _spell;

    private Requirements(List<string> problems, Func<string, string> spell) => (_problems, _spell) = (problems, spell);

    /// <summary>Problems so far, as phrases that name the member.</summary>
    public IReadOnlyList<string> Problems => _problems;

    /// <summary>Options of a file: <c>LatentWeight</c> is <c>objective.latentWeight</c>.</summary>
    /// <param name="path">Path of the options in the file; empty for the file itself.</param>
    public static Requirements OfFile(string path = "") => new([], member => Join(path, member));

    /// <summary>Options of the command line: <c>BatchSize</c> is <c>--batch-size</c>.</summary>
    /// <param name="names">Options whose name differs from the member's, by member.</param>
    public static Requirements OfFlags(params (string Member, string Option)[] names) =>
        new([], member => Array.Find(names, n => n.Member == member).Option ?? "--" + JsonNamingPolicy.KebabCaseLower.ConvertName(member));

    /// <summary>The same validation for the options of a member.</summary>
    /// <param name="member">Name of the member in C#.</param>
    public Requirements Under(string member)
    {
        var path = Name(member);
        return new(_problems, inner => Join(path, inner));
    }

    /// <summary>A member as the user writes it.</summary>
    /// <param name="member">Name of the member in C#; names of inner members follow after dots.</param>
    public string Name(string member) => _spell(member);

    /// <summary>Requires a condition.</summary>
    /// <param name="holds">Whether it holds.</param>
    /// <param name="problem">The whole problem otherwise, without a full stop.</param>
    public void That(bool holds, string problem)
    {
        if (!holds)
            _problems.Add(problem);
    }

    /// <summary>Requires a condition on a member.</summary>
    /// <param name="holds">Whether it holds.</param>
    /// <param name="member">Name of the member in C#.</param>
    /// <param name="problem">What is wrong otherwise, after the member's name: <c>has no effect without a gate</c>.</param>
    public void That(bool holds, string member, string problem)
    {
        if (!holds)
            _problems.Add($"{Name(member)} {problem}");
    }

    /// <summary>Requires the <see cref="BoundsAttribute"/> of all members of a record; inner records have their own validation.</summary>
    /// <param name="options">The record.</param>
    public void Members(object options)
    {
        ArgumentNullException.ThrowIfNull(options);
        foreach (var property in options.GetType().GetProperties())
        {
            if (property.GetCustomAttribute<BoundsAttribute>() is not { } bounds || property.GetValue(options) is not { } value)
                continue;
            var wrong = (value is IEnumerable list ? list.Cast<IConvertible>() : [(IConvertible)value]).FirstOrDefault(v =>
                !bounds.Contains(v.ToDouble(CultureInfo.InvariantCulture))
            );
            if (wrong is not null)
                _problems.Add(
                    value is IEnumerable
                        ? $"{Name(property.Name)} contains {Text(wrong)}; each must {bounds}"
                        : $"{Name(property.Name)} is {Text(wrong)}; it must {bounds}"
                );
        }
    }

    /// <summary>Throws if there is a problem.</summary>
    /// <param name="heading">First line, with the number of problems; null for the problems alone.</param>
    /// <exception cref="UsageException">There is a problem; the message lists all.</exception>
    public void Throw(string? heading = null)
    {
        if (_problems.Count == 0)
            return;
        throw new UsageException(
            heading is null
                ? string.Join('\n', _problems.Select(static p => p.EndsWith('.') ? p : p + "."))
                : $"{heading} ({_problems.Count} {(_problems.Count == 1 ? "problem" : "problems")}):\n  {string.Join("\n  ", _problems)}"
        );
    }

    private static string Text(IConvertible value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Join(string path, string member)
    {
        var name = string.Join('.', member.Split('.').Select(JsonNamingPolicy.CamelCase.ConvertName));
        return path.Length == 0 ? name : $"{path}.{name}";
    }
}
