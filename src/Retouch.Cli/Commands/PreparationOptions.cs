using System.CommandLine;
using Retouch.Evaluation.Pictures;
using Retouch.Images;

namespace Retouch.Cli.Commands;

/// <summary>Selection and resizing of the evaluated pictures.</summary>
internal sealed class PreparationOptions
{
    private readonly Option<int?> _size = new("--size")
    {
        Description = "Resize the shorter side to this size, then centre-crop a square. By default, all pictures must have one size.",
    };
    private readonly Option<ResizeFilter?> _filter = SharedOptions.Choice<ResizeFilter>(
        "--filter",
        "Filter of the resize, as in Pillow. Default: lanczos."
    );
    private readonly Option<bool> _enlarge = new("--allow-enlarging")
    {
        Description = "Enlarge pictures that are smaller than --size instead of rejecting them.",
    };
    private readonly Option<int?> _count = new("--count") { Description = "Pictures per folder, selected with --seed." };
    private readonly Option<ulong> _seed = new("--seed") { Description = "Seed of all random choices." };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_size, _filter, _enlarge, _count, _seed])
            command.Add(option);
    }

    public SetPreparation Read(ParseResult parsed) =>
        new()
        {
            Size = parsed.GetValue(_size),
            Filter = parsed.GetValue(_filter) ?? ResizeFilter.Lanczos,
            AllowEnlarging = parsed.GetValue(_enlarge),
            Take = parsed.GetValue(_count),
            Seed = Seed(parsed),
        };

    public ulong Seed(ParseResult parsed) => parsed.GetValue(_seed);
}
