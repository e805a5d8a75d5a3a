using System.CommandLine;
using System.Text.Json.Nodes;
using Retouch.Cli.Diagnosis;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Experiments.Watching;
using Retouch.Training;
using Retouch.Training.Distributed;
using Retouch.Training.Options;
using Retouch.Training.Planning;
using Retouch.Training.Telemetry;

namespace Retouch.Cli.Commands;

/// <summary>Result of <c>retouch train --init</c>.</summary>
/// <param name="Options">The options file.</param>
/// <param name="Schema">Its JSON schema.</param>
internal sealed record OptionsFileWritten(string Options, string Schema);

/// <summary><c>retouch train</c>: trains a denoiser or an autoencoder, from a checkpoint or from scratch.</summary>
internal static class TrainCommand
{
    private static readonly Option<FileInfo?> OptionsPath = new("--options")
    {
        Description = "JSON file of options (comments are allowed); see --schema.",
    };
    internal static readonly Option<string?> OutputPath = new("--output")
    {
        Description = "Folder of the run; new or empty. Default: runs/ and the time.",
    };
    internal static readonly Option<string?> Resume = new("--resume")
    {
        Description =
            "Resume the run in this folder from its newest complete checkpoint. Only --steps can change, other options with "
            + "--accept-changes.",
    };
    private static readonly Option<bool> AcceptChanges = new("--accept-changes")
    {
        Description = "With --resume: resume even if data, model or options have changed since the checkpoint.",
    };
    private static readonly Option<bool> DryRun = new("--dry-run")
    {
        Description = "Print the plan (parameters, memory, time per step) and exit.",
    };
    private static readonly Option<bool> PrintOptions = new("--print-options")
    {
        Description = "Print the options of the run, with all defaults, and exit.",
    };
    private static readonly Option<string?> Init = new("--init")
    {
        Description =
            $"Write an options file with all options, their descriptions and defaults, and its schema, and exit: "
            + $"{string.Join(", ", OptionsTemplate.Names)}. --output names the file.",
    };
    private static readonly Option<int?> Processes = ProcessFlag.Create(
        "Train with this number of processes on this machine, which share the micro-batches of every step: batch.accumulate must be a "
            + "multiple of it. See docs/scaling.md for other launchers and several machines."
    );
    private static readonly Option<bool> Schema = new("--schema") { Description = "Print the JSON schema of the options and exit." };

    // Options with a short form.
    private static readonly (Option<string?> Flag, string Path)[] Flags =
    [
        (new("--task") { Description = "denoiser or autoencoder." }, "task"),
        (new("--model") { Description = "Initial pipeline (diffusers layout)." }, "model.path"),
        (new("--data") { Description = "A folder of pictures; without it, procedural scenes." }, "data.folder"),
        (
            new("--pairs") { Description = "Pairs of a winner and a loser: a metadata.jsonl or its folder. For --objective dpo or simpo." },
            "data.pairs"
        ),
        (new("--size") { Description = "Side of the pictures in pixels. Default: the model's native size." }, "data.size"),
        (new("--steps") { Description = "Total optimiser steps." }, "steps"),
        (new(SharedOptions.BatchSizeName) { Description = SharedOptions.SamplesPerStep }, "batch.size"),
        (new("--learning-rate", "--lr") { Description = "Base learning rate." }, "optimiser.learningRate"),
        (new("--seed") { Description = "Seed of all random choices." }, "seed"),
        (SharedOptions.Device, "device"),
        (new("--precision") { Description = SharedOptions.Precisions }, "precision"),
        (new("--lora-rank") { Description = "Train low-rank adapters of this rank instead of the denoiser's own weights." }, "lora.rank"),
    ];

    private static readonly string[] Numbers = ["data.size", "steps", "batch.size", "optimiser.learningRate", "seed", "lora.rank"];

    public static Command Create()
    {
        var command = new Command("train", "Train a denoiser or an autoencoder, from a diffusers checkpoint or from scratch.")
        {
            OptionsPath,
            ObjectiveFlags.Values,
            OutputPath,
            Resume,
            AcceptChanges,
            DryRun,
            MemoryFlag.Memory,
            Init,
            PrintOptions,
            Schema,
            Processes,
            TrainProcesses.Restarts,
            ObjectiveFlags.Objective,
        };
        foreach (var (flag, _) in Flags)
            command.Add(flag);
        command.SetAction(
            (parsed, cancellation) =>
            {
                if (LocalCount(parsed) is { } count)
                    return Task.FromResult(TrainProcesses.Run(parsed, count, cancellation));
                TrainProcesses.Check(parsed);
                Run(parsed, cancellation);
                return Task.FromResult(0);
            }
        );
        return command;
    }

    /// <summary>Number of processes to start here; null to train in this process.</summary>
    private static int? LocalCount(ParseResult parsed)
    {
        var count = parsed.GetValue(Schema) || parsed.GetValue(Init) is not null ? null : ProcessFlag.Count(parsed, Processes);
        return parsed.GetValue(DryRun) || parsed.GetValue(PrintOptions) ? null : count;
    }

    private static void Run(ParseResult parsed, CancellationToken cancellation)
    {
        var output = Output.For(parsed);
        if (parsed.GetValue(Schema))
        {
            parsed.InvocationConfiguration.Output.WriteLine(OptionsFile.Schema<TrainingOptions>().ToJsonString(JsonStyles.DatasetDocument));
            return;
        }

        if (parsed.GetValue(Init) is { } template)
        {
            WriteTemplate(template, parsed.GetValue(OutputPath) ?? $"{template}.json", output);
            return;
        }

        if (parsed.GetValue(PrintOptions))
        {
            var options = Bind(parsed, static _ => { });
            options.Validate();
            parsed.InvocationConfiguration.Output.Write(OptionsFile.Write(options.Resolve()));
            return;
        }

        var time = TimeProvider.System;
        var isSpare = false;
        var place = parsed.GetValue(DryRun) ? null : TrainProcesses.Place(parsed, out isSpare);
        if (isSpare)
            return;
        using var world = ProcessFlag.Join(place, time);
        using var progress = world is { IsMain: false }
            ? null
            : ProgressLines.Create(TerminalFacts.OfStandardError(), parsed.InvocationConfiguration.Error, time);
        Action<string> note = progress is null ? static _ => { } : progress.Note;
        MemoryPlan? memory = null;
        using var run = MemoryFlag.Limit(parsed, parsed.GetValue(Resume) is not null, world is not null) is { } limit
            ? Planned(parsed, time, note, limit, out memory, cancellation)
            : Open(parsed, time, note, world);
        if (parsed.GetValue(DryRun))
        {
            var plan = run.Plan(cancellation) with { Memory = memory };
            output.Write(plan, writer => plan.Print(writer));
            return;
        }

        TrainingOutcome outcome;
        try
        {
            outcome = run.Train(progress, cancellation);
        }
        finally
        {
            if (progress is not null)
                RunReport.WriteAfter(run, note);
        }

        if (progress is null)
            return;

        // The live lines end here: what follows would be overwritten.
        progress.Dispose();
        TrainResult.Write(output, run, outcome);
    }

    /// <summary>A run with the settings that fit into a limit.</summary>
    private static TrainingRun Planned(
        ParseResult parsed,
        TimeProvider time,
        Action<string> note,
        long limit,
        out MemoryPlan? plan,
        CancellationToken cancellation
    )
    {
        var output = parsed.GetValue(DryRun) ? null : OutputOf(parsed, time);
        // Before the trials, which take a while.
        if (output is not null)
            _ = RunFolder.Plan(output);
        TrainingOptions chosen;
        using (var trial = StartRun(parsed, time, note, null, output: null))
            (plan, chosen) = trial.ChooseMemory(limit, cancellation);
        // The trials' blocks would otherwise be kept for reuse, up to the largest of their peaks.
        ProcessMemory.Release();
        var run = TrainingRun.Start(chosen, output, time);
        run.Note(plan.Lines());
        return run;
    }

    private static TrainingRun Open(ParseResult parsed, TimeProvider time, Action<string> note, World? world)
    {
        try
        {
            return parsed.GetValue(Resume) is { } folder
                ? OpenRun(parsed, folder, time, world)
                : StartRun(parsed, time, note, world, parsed.GetValue(DryRun) ? null : OutputOf(parsed, time));
        }
        catch (Exception e)
        {
            world?.Fail(e.Message);
            throw;
        }
    }

    internal static string OutputOf(ParseResult parsed, TimeProvider time) =>
        parsed.GetValue(OutputPath) ?? Path.Combine("runs", time.GetLocalNow().ToString("yyyy-MM-dd-HHmmss"));

    private static TrainingRun StartRun(ParseResult parsed, TimeProvider time, Action<string> note, World? world, string? output)
    {
        if (parsed.GetValue(AcceptChanges))
            throw new UsageException("--accept-changes has no effect without --resume.");
        var options = Bind(parsed, note);
        if (output is null)
            return TrainingRun.Start(options, null, time, world);
        output = world?.OfMain("choose the run folder", output) ?? output;
        // After a failure a launcher starts the same command again.
        var again = TrainProcesses.Continued(parsed) ?? "";
        if ((world?.OfMain("choose the run folder", again) ?? again) is { Length: > 0 } resumed)
            return TrainingRun.Resume(resumed, null, time, world: world);
        return TrainingRun.Start(options, output, time, world);
    }

    private static TrainingOptions Bind(ParseResult parsed, Action<string> note)
    {
        var json = parsed.GetValue(OptionsPath) is { } file ? OptionsFile.Read(file.FullName) : [];
        Override(parsed, json);
        if (json["model"] is JsonObject model && model["path"] is JsonValue value && value.TryGetValue(out string? folder))
            model["path"] = RunModel.Of(folder, note);
        return OptionsFile.Bind<TrainingOptions>(
            json,
            parsed.GetValue(OptionsPath)?.FullName ?? "command line",
            note: note,
            names: Flags.Where(f => parsed.GetValue(f.Flag) is not null).ToDictionary(static f => f.Path, static f => f.Flag.Name)
        );
    }

    private static void WriteTemplate(string name, string path, Output output)
    {
        var text = OptionsTemplate.Text(name);
        if (Path.Exists(path))
            throw new UsageException($"'{path}' exists; name another file with --output.");
        var schema = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, OptionsTemplate.SchemaName);
        AtomicFile.WriteText(schema, OptionsFile.Schema<TrainingOptions>().ToJsonString(JsonStyles.DatasetDocument) + "\n");
        AtomicFile.WriteText(path, text);
        output.Write(
            new OptionsFileWritten(Path.GetFullPath(path), schema),
            writer => writer.WriteLine($"options: {path}\nTrain with: retouch train --options {path} --output RUN")
        );
    }

    private static TrainingRun OpenRun(ParseResult parsed, string folder, TimeProvider time, World? world)
    {
        string[] never =
        [
            .. new Option[] { OptionsPath, OutputPath }
                .Where(o => parsed.GetResult(o) is not null)
                .Select(static o => o.Name),
        ];
        if (never.Length > 0)
            throw new UsageException($"--resume continues in the run's folder; {string.Join(", ", never)} cannot be combined with it.");
        var given = Flags
            .Where(f => f.Path != "steps" && parsed.GetValue(f.Flag) is not null)
            .Select(static f => f.Flag.Name)
            .Concat(parsed.GetValue(ObjectiveFlags.Objective) is null ? [] : [ObjectiveFlags.Objective.Name])
            .Concat((parsed.GetValue(ObjectiveFlags.Values) ?? []).Where(static v => !v.StartsWith("steps=", StringComparison.Ordinal)))
            .ToArray();
        var accepts = parsed.GetValue(AcceptChanges);
        if (given.Length > 0 && !accepts)
            throw new UsageException(
                $"--resume keeps the run's options; {string.Join(", ", given)} would change them. Give --accept-changes as well, or "
                    + "omit the option. --steps can always change."
            );
        return TrainingRun.Resume(folder, null, time, accepts, json => Override(parsed, json), world);
    }

    internal static void Override(ParseResult parsed, JsonObject json)
    {
        if (parsed.GetValue(ObjectiveFlags.Objective) is { } objective)
            ObjectiveFlags.Put(json, objective);
        foreach (var (flag, path) in Flags)
        {
            if (parsed.GetValue(flag) is { } value)
            {
                // A folder can be named 123 or true: only numbers are parsed as JSON.
                if (Numbers.Contains(path))
                    OptionsFile.Set(json, path, value);
                else
                    OptionsFile.Set(json, path, JsonValue.Create(value));
            }
        }

        ObjectiveFlags.PutValues(json, parsed);
    }
}
