using System.CommandLine;
using System.Text.Json.Nodes;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch train</c>: trains a denoiser or an autoencoder, from a checkpoint or from scratch.</summary>
internal static class TrainCommand
{
    private static readonly Option<FileInfo?> OptionsPath = new("--options")
    {
        Description = "JSON file of options (comments are allowed); see --schema.",
    };
    private static readonly Option<string?> OutputPath = new("--output")
    {
        Description = "Folder of the run; new or empty. Default: runs/ and the time.",
    };
    private static readonly Option<string?> Resume = new("--resume")
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
        (new("--size") { Description = "Side of the pictures in pixels." }, "data.size"),
        (new("--steps") { Description = "Total optimiser steps." }, "steps"),
        (new("--batch") { Description = "Samples per step." }, "batch.size"),
        (new("--learning-rate") { Description = "Base learning rate." }, "optimiser.learningRate"),
        (new("--seed") { Description = "Seed of all random choices." }, "seed"),
        (SharedOptions.Device, "device"),
        (new("--precision") { Description = "float32, bfloat16 or float16." }, "precision"),
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
            Schema,
            ObjectiveFlags.Objective,
        };
        foreach (var (flag, _) in Flags)
            command.Add(flag);
        command.SetAction(
            (parsed, cancellation) =>
            {
                Run(parsed, cancellation);
                return Task.FromResult(0);
            }
        );
        return command;
    }

    private static void Run(ParseResult parsed, CancellationToken cancellation)
    {
        var output = Output.For(parsed);
        if (parsed.GetValue(Schema))
        {
            parsed.InvocationConfiguration.Output.WriteLine(
                OptionsFile.Schema<TrainingOptions>().ToJsonString(new() { WriteIndented = true })
            );
            return;
        }

        var time = TimeProvider.System;
        using var progress = ProgressLines.Create(TerminalFacts.OfStandardError(), Console.Error, time);
        using var run = parsed.GetValue(Resume) is { } folder ? OpenRun(parsed, folder, time) : StartRun(parsed, time, progress.Note);
        if (parsed.GetValue(DryRun))
        {
            var plan = run.Plan(cancellation);
            output.Write(plan, writer => plan.Print(writer));
            return;
        }

        var outcome = run.Train(progress, cancellation);
        output.Write(
            outcome,
            writer =>
            {
                writer.WriteLine($"{outcome.Steps} steps in {outcome.Seconds:0.#} s; final loss {outcome.LastLoss:G4}.");
                foreach (var model in outcome.Models)
                    writer.WriteLine($"model: {model}");
            }
        );
    }

    private static TrainingRun StartRun(ParseResult parsed, TimeProvider time, Action<string> note)
    {
        if (parsed.GetValue(AcceptChanges))
            throw new UsageException("--accept-changes has no effect without --resume.");
        var json = parsed.GetValue(OptionsPath) is { } file ? OptionsFile.Read(file.FullName) : [];
        Override(parsed, json);
        var options = OptionsFile.Bind<TrainingOptions>(json, parsed.GetValue(OptionsPath)?.FullName ?? "command line", note: note);
        var output = parsed.GetValue(OutputPath) ?? Path.Combine("runs", time.GetLocalNow().ToString("yyyy-MM-dd-HHmmss"));
        return TrainingRun.Start(options, parsed.GetValue(DryRun) ? null : output, time);
    }

    private static TrainingRun OpenRun(ParseResult parsed, string folder, TimeProvider time)
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
        return TrainingRun.Resume(folder, null, time, accepts, json => Override(parsed, json));
    }

    private static void Override(ParseResult parsed, JsonObject json)
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
