using System.CommandLine;
using System.Text.Json.Nodes;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Json;
using Retouch.Experiments.Ablations;
using Retouch.Experiments.Measuring;
using Retouch.Training.Options;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch ablate</c>: trains the arms of a specification with several seeds, evaluates them, and writes a report.</summary>
internal static class AblateCommand
{
    private static readonly Argument<string?> Spec = new("SPEC")
    {
        Description = "A JSON file (comments allowed), or the name of a bundled spec (--list).",
        Arity = ArgumentArity.ZeroOrOne,
    };
    private static readonly Option<string?> OutputPath = new("--output")
    {
        Description = "Folder of the ablation. Completed results are kept; several processes and machines can share the folder.",
    };
    private static readonly Option<string?> Model = new("--model")
    {
        Description = "Initial pipeline (diffusers layout), unless an arm names its own. Default: the spec's, else the small bundled one.",
    };
    private static readonly Option<string?> Data = new("--data")
    {
        Description = "Pictures instead of procedural scenes; part of them is held out for the evaluation.",
    };
    private static readonly Option<string[]> Values = new("--set")
    {
        Description =
            "A training option of all arms and pre-trainings, as in --set steps=100; options of the arms in the spec win. Can be repeated.",
    };
    private static readonly Option<string[]> SpecValues = new("--set-spec")
    {
        Description =
            "A member of the spec, as in --set-spec evaluation.samples=64 or --set-spec pretraining.short.options.steps=10. Can "
            + "be repeated.",
    };
    private static readonly Option<ulong[]> Seeds = new("--seeds")
    {
        Description = "Training seeds instead of the spec's.",
        AllowMultipleArgumentsPerToken = true,
    };
    private static readonly Option<int?> Arms = new Option<int?>("--arms")
    {
        Description = "Maximum number of runs (one arm with one seed) before the report is written; 0 only writes the report.",
    }.Within(new() { AtLeast = 0 });
    private static readonly Option<double> StaleAfter = new Option<double>("--stale-after")
    {
        Description = "Seconds without a heartbeat after which a process on another machine is considered dead.",
        DefaultValueFactory = static _ => 120,
    }.Within(new() { AtLeast = 1, AtMost = 86_400 });
    private static readonly Option<bool> TensorBoard = new("--tensorboard") { Description = ReportOptions.TensorBoardDescription };
    private static readonly Option<bool> DryRun = new("--dry-run")
    {
        Description = "Print the arms with time estimates (measured over a few steps) and exit.",
    };
    private static readonly Option<bool> Schema = new("--schema") { Description = "Print the JSON schema of a spec and exit." };
    private static readonly Option<bool> List = new("--list") { Description = "List the bundled specs and exit." };

    public static Command Create()
    {
        var command = new Command("ablate", "Train and compare variants with several seeds, and write a report.")
        {
            Spec,
            OutputPath,
            Model,
            Data,
            Values,
            SharedOptions.Device,
            SpecValues,
            Seeds,
            Arms,
            StaleAfter,
            TensorBoard,
            DryRun,
            Schema,
            List,
        };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(parsed, cancellation)));
        return command;
    }

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "ablations");

    private static int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var output = Output.For(parsed);
        if (parsed.GetValue(Schema))
        {
            parsed.InvocationConfiguration.Output.WriteLine(OptionsFile.Schema<AblationSpec>().ToJsonString(JsonStyles.DatasetDocument));
            return 0;
        }

        if (parsed.GetValue(List))
        {
            var known = Included.ToDictionary(
                static f => Path.GetFileNameWithoutExtension(f),
                static f => OptionsFile.Read(f)["title"]?.ToString() ?? ""
            );
            output.Write(
                known,
                writer =>
                {
                    foreach (var (name, title) in known)
                        writer.WriteLine($"{name, -20} {title}");
                }
            );
            return 0;
        }

        var plan = new AblationPlan(
            Read(parsed, parsed.InvocationConfiguration.Error),
            parsed.ModelOf(Model) is { } model ? Path.GetFullPath(model) : null
        );
        var console = Consoles.Create(parsed.InvocationConfiguration.Error, TimeProvider.System, cancellation);
        var folder = parsed.GetValue(OutputPath) is { } path ? new AblationFolder(path) : null;
        if (parsed.GetValue(DryRun))
        {
            var estimate = AblationEstimate.Measure(plan, folder, console);
            output.Write(estimate, estimate.Print);
            return 0;
        }

        if (folder is null)
            throw new UsageException("--output is missing: the folder of the ablation. Completed results in it are kept.");
        var outcome = AblationRun.Run(plan, folder, parsed.GetValue(Arms), TimeSpan.FromSeconds(parsed.GetValue(StaleAfter)), console);
        var events =
            parsed.GetValue(TensorBoard) && outcome.Figures is { } measured
                ? FigureEvents.Write(measured.Runs(), folder.Path, TimeProvider.System)
                : null;
        output.Write(
            outcome,
            writer =>
            {
                Write(outcome, plan, writer);
                if (events is not null)
                    writer.WriteLine($"tensorboard: {events}");
            }
        );
        if (outcome.Failed.Count > 0)
        {
            var message =
                $"{outcome.Failed.Count} {(outcome.Failed.Count == 1 ? "part" : "parts")} of the ablation failed:\n  "
                + $"{string.Join("\n  ", outcome.Failed)}\nFix the cause and repeat the command; completed results are kept.";
            throw outcome.HasDiverged ? new DivergedException(message) : new InputException(message);
        }

        return 0;
    }

    private static AblationSpec Read(ParseResult parsed, TextWriter error)
    {
        var given =
            parsed.GetValue(Spec)
            ?? throw new UsageException("SPEC is missing: a JSON file, or the name of a bundled spec (retouch ablate --list).");
        var spec = AblationSpec.Read(PathOf(given), parsed.GetValue(SpecValues) ?? []);
        var all = spec.Pretraining.Values.Select(static p => p.Options).Prepend(spec.Options).ToArray();
        if (parsed.GetValue(Data) is { } data)
        {
            foreach (var options in all)
                UseFolder(options, Path.GetFullPath(data), options == spec.Options);
            spec = WithoutScenes(spec, error);
        }

        foreach (var pair in parsed.GetValue(Values) ?? [])
        {
            // --set changes the shared options; a pre-training's own options override those.
            AblationSpec.SetPair(spec.Options, pair, "--set");
        }

        if (parsed.GetValue(SharedOptions.Device) is not null)
            AblationSpec.SetPair(spec.Options, $"device={parsed.GetDevice()}", "--device");
        return parsed.GetValue(Seeds) is { Length: > 0 } seeds ? spec with { Seeds = seeds } : spec;
    }

    private static IEnumerable<string> Included =>
        Directory.EnumerateFiles(Folder, "*.json").Where(static f => Path.GetFileName(f) != "base.json").Order(StringComparer.Ordinal);

    private static string PathOf(string spec)
    {
        if (File.Exists(spec))
            return spec;
        string[] names = [.. Included.Select(static f => Path.GetFileNameWithoutExtension(f))];
        if (names.Contains(spec, StringComparer.Ordinal))
            return Path.Combine(Folder, spec + ".json");
        var meant = NearestName.Of(spec, names) is { } near ? $" Did you mean '{near}'?" : "";
        throw new InputException($"'{spec}' is neither a file nor an included spec.{meant} Included: {string.Join(", ", names)}.");
    }

    private static void UseFolder(JsonObject options, string folder, bool isShared)
    {
        if (options["data"] is not JsonObject data)
        {
            if (!isShared)
                return;
            options["data"] = data = [];
        }

        data.Remove("sceneCount");
        data.Remove("sceneSeed");
        data.Remove("shards");
        if (isShared)
            data["folder"] = folder;
    }

    /// <summary>Removes arms that differ from others only in their procedural scenes.</summary>
    private static AblationSpec WithoutScenes(AblationSpec spec, TextWriter error)
    {
        static bool IsOfScenes(ArmSpec arm) => arm.Set.Any(static s => s.Key is "data.sceneSeed" or "data.sceneCount");
        string[] dropped = [.. spec.Arms.Where(IsOfScenes).Select(static arm => $"'{arm.Name}'")];
        if (dropped.Length > 0)
            error.WriteLine(
                $"warning: --data replaces the procedural scenes; skipped arms that differ in their scenes only: "
                    + $"{string.Join(", ", dropped)}. To give an arm other pictures: \"set\": {{ \"data.folder\": … }}."
            );
        return spec with { Arms = [.. spec.Arms.Where(static arm => !IsOfScenes(arm))] };
    }

    private static void Write(AblationOutcome outcome, AblationPlan plan, TextWriter writer)
    {
        if (outcome.Figures is { } figures)
        {
            var decisive = AblationFigures.Decisive(plan.Spec.Evaluation.Decisive, figures.Rows);
            var table = new ColumnTable(writer, ("", -40), (FigureNames.Header(decisive), -32), ("difference", -36), ("verdict", -16));
            foreach (var row in figures.Rows)
            {
                if (row.Find(decisive) is not { } figure)
                    continue;
                var d = figures.Differences.FirstOrDefault(x => x.Row == row.Name && x.Figure == decisive);
                table.Row(row.Name, Text(figure.Estimate), d is null ? "" : Text(d.Estimate), d?.Verdict ?? "");
            }

            writer.WriteLine();
            writer.WriteLine(AblationReport.Verdict(plan, figures).Headline);
        }

        writer.WriteLine($"{outcome.Done} of {outcome.Total} runs are complete.");
        if (outcome.Report is not null)
            writer.WriteLine($"report: {outcome.Report}");
    }

    private static string Text(Evaluation.Statistics.SeedEstimate e) =>
        $"{Figures.Significant(e.Value, 3)} [{Figures.Significant(e.Interval.Low, 3)}, {Figures.Significant(e.Interval.High, 3)}]";
}
