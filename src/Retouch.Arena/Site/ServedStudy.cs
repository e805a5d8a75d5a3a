using Retouch.Arena.Material;
using Retouch.Arena.Study;
using Retouch.Arena.Votes;
using Retouch.Core.Errors;

namespace Retouch.Arena.Site;

/// <summary>Study open for judging.</summary>
internal sealed class ServedStudy : IDisposable
{
    private readonly Dictionary<string, string?> _prompts;

    private ServedStudy(ArenaOptions options, StudyMaterial material, StudyFile file, StudyPlan plan, ulong seed)
    {
        (Options, File, Plan, Material) = (options, file, plan, material);
        Secrets = new(file.Secret());
        Shelf = new(material, Secrets);
        Scheduler = new(file, plan, options, seed);
        _prompts = material.Items.ToDictionary(static i => i.Key, static i => i.Prompt);
    }

    public ArenaOptions Options { get; }

    public StudyMaterial Material { get; }

    public StudyFile File { get; }

    public StudyPlan Plan { get; }

    public Scheduler Scheduler { get; }

    public Secrets Secrets { get; }

    public PictureShelf Shelf { get; }

    /// <summary>Title for raters.</summary>
    public string Title => Options.Title ?? "Compare pictures";

    /// <summary>Reads the pictures and opens the votes.</summary>
    public static ServedStudy Open(ArenaOptions options, TimeProvider time, CancellationToken cancellation)
    {
        options.Validate();
        var material = StudyMaterial.Read(options.Folder, cancellation);
        var plan = StudyPlan.For(material, options);
        var file = StudyFile.Serve(options.VotesFile, time);
        try
        {
            file.Register(material);
            var seed = SeedOf(file, options);
            file.SetFact("title", options.Title ?? file.Fact("title") ?? "");
            file.SetFact("ratings", options.Ratings.ToString());
            file.SetFact("baseline", options.Baseline ?? "");
            foreach (var name in options.Raters)
                file.Raters.Add(name);
            return new(options with { Title = file.Fact("title") is { Length: > 0 } title ? title : null }, material, file, plan, seed);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Names of the left and the right picture; right is null for a single picture.</summary>
    public (string Left, string? Right) Sides(Assignment given)
    {
        var task = given.Task;
        var first = Shelf.NameOf(task.First, task.Item, Showing.Plain);
        if (task.Second is null)
            return (first, null);
        var second = Shelf.NameOf(
            task.Second,
            task.Item,
            task.Kind switch
            {
                TaskKind.Identical => Showing.Copy,
                TaskKind.Degraded => Showing.Degraded,
                _ => Showing.Plain,
            }
        );
        return given.Swapped ? (second, first) : (first, second);
    }

    /// <summary>Prompt of an item.</summary>
    public string? PromptOf(string item) => _prompts.GetValueOrDefault(item);

    /// <summary>Key of a rater's personal link.</summary>
    public string KeyOf(Rater rater) => Secrets.Derive("rater", rater.Id.ToString());

    /// <summary>Path of a rater's personal link, which resumes the session in another browser.</summary>
    public string LinkOf(Rater rater) => "/join?rater=" + KeyOf(rater);

    /// <inheritdoc/>
    public void Dispose() => File.Dispose();

    /// <summary>Seed of the study, fixed at creation, so that sides and order do not change.</summary>
    private static ulong SeedOf(StudyFile file, ArenaOptions options)
    {
        if (file.Fact("seed") is { } kept && ulong.TryParse(kept, out var seed))
        {
            return options.Seed is null || options.Seed == seed
                ? seed
                : throw new UsageException(
                    $"--seed is {options.Seed}, but the seed of this study is {seed}. Omit it, or start another study with --votes."
                );
        }

        file.SetFact("seed", (options.Seed ?? 0).ToString());
        return options.Seed ?? 0;
    }
}
