using System.CommandLine;
using Retouch.Evaluation.Pictures;
using Retouch.Images;

namespace Retouch.Cli.Commands;

/// <summary>Selection and resizing of the measured pictures.</summary>
internal sealed class PreparationOptions
{
    private readonly Option<int?> size = new("--size")
    {
        Description = "Resize the shorter side to this and cut a square from the middle. Without it, all pictures must have one size.",
    };
    private readonly Option<ResizeFilter> filter = new("--filter")
    {
        Description = "Filter of the resize, as in Pillow.",
        DefaultValueFactory = _ => ResizeFilter.Lanczos,
    };
    private readonly Option<bool> enlarge = new("--allow-enlarging")
    {
        Description = "Enlarge pictures that are smaller than --size instead of refusing them.",
    };
    private readonly Option<int?> count = new("--count") { Description = "Pictures per folder, selected with --seed." };
    private readonly Option<ulong> seed = new("--seed") { Description = "Seed of all random choices." };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[size, filter, enlarge, count, seed])
            command.Add(option);
    }

    public SetPreparation Read(ParseResult parsed) =>
        new()
        {
            Size = parsed.GetValue(size),
            Filter = parsed.GetValue(filter),
            AllowEnlarging = parsed.GetValue(enlarge),
            Take = parsed.GetValue(count),
            Seed = Seed(parsed),
        };

    public ulong Seed(ParseResult parsed) => parsed.GetValue(seed);
}
