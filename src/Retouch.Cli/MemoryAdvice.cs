using System.CommandLine;
using System.Globalization;
using Retouch.Torch;

namespace Retouch.Cli;

/// <summary>Advice after running out of memory, from the options of the verb and their values.</summary>
internal static class MemoryAdvice
{
    /// <summary>A sentence with the options of this command line that reduce its memory.</summary>
    public static string Of(ParseResult parsed)
    {
        var options = parsed.CommandResult.Command.Options;
        Option? Find(string name) => options.FirstOrDefault(o => o.Name == name);
        string? Text(Option? option) =>
            option switch
            {
                Option<int> number => parsed.GetValue(number).ToString(CultureInfo.InvariantCulture),
                Option<string> text => parsed.GetValue(text),
                _ => null,
            };
        List<string> remedies = [];
        if (
            Text(Find(SharedOptions.BatchSizeName)) is { } batch
            && int.TryParse(batch, NumberStyles.None, CultureInfo.InvariantCulture, out var size)
            && size > 1
        )
            remedies.Add(string.Create(CultureInfo.InvariantCulture, $"{SharedOptions.BatchSizeName} {size / 2} (now {size})"));
        if (Find("--precision") is { } precision && (Text(precision) is not { } name || DTypes.FindPrecision(name) == DType.Float32))
            remedies.Add($"{precision.Name} {DType.BFloat16.Name()}");
        if (Find("--lora-rank") is Option<string> rank && Text(rank) is null)
            remedies.Add($"{rank.Name} 16");
        string[] sides = ["--size", "--side", "--width"];
        if (options.FirstOrDefault(o => sides.Contains(o.Name, StringComparer.Ordinal)) is { } side)
            remedies.Add($"a smaller {side.Name}");
        if (options.Any(static o => o.Name == SharedOptions.Device.Name) && parsed.GetValue(SharedOptions.Device) is not "cpu")
            remedies.Add("--device cpu, if it was a GPU's memory");
        return remedies.Count == 0
            ? "Close other programs, or raise the memory limit of this one."
            : $"Less memory: {string.Join(", ", remedies)}.";
    }
}
