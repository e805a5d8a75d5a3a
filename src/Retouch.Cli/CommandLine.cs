using System.CommandLine;
using Retouch.Cli.Commands;
using Retouch.Core.Errors;
using Retouch.Torch.Devices;
using Retouch.Torch.Interop;

namespace Retouch.Cli;

/// <summary>The command line: all verbs, shared options, and the mapping of errors to messages and exit codes.</summary>
internal static class CommandLine
{
    /// <summary>Exit code of an interrupted command.</summary>
    public const int Interrupted = 130;

    private const int Defect = 1;
    private const int BadUsage = 2;
    private const int BadInput = 3;
    private const int LacksSomething = 4;

    /// <summary>Root command with all verbs.</summary>
    public static RootCommand Create()
    {
        (string Purpose, Command[] Verbs)[] groups =
        [
            ("Train", [TrainCommand.Create(), WatchCommand.Create(), CacheCommand.Create(), AblateCommand.Create(), DemoCommand.Create()]),
            ("Sample", [SampleCommand.Create()]),
            (
                "Measure",
                [
                    EvaluateCommand.Create(),
                    CompareCommand.Create(),
                    StatisticsCommand.Create(),
                    FeaturesCommand.Create(),
                    StudyCommand.Create(),
                ]
            ),
            ("Judge", [ArenaCommand.Create(), JudgeCommand.Create(), PairsCommand.Create()]),
            (
                "Tools",
                [DoctorCommand.Create(), InspectCommand.Create(), ConvertCommand.Create(), ProbeCommand.Create(), BenchCommand.Create()]
            ),
        ];
        var root = new RootCommand("Post-trains latent diffusion models through their decoder.")
        {
            SharedOptions.Json,
            SharedOptions.Verbose,
            ProbeLibraryCommand.Create(),
        };
        foreach (var verb in groups.SelectMany(static g => g.Verbs))
            root.Add(verb);
        GroupedHelp.AddTo(root, groups);
        return root;
    }

    /// <summary>Parses and runs one command of <see cref="Create"/>.</summary>
    public static Task<int> RunAsync(string[] args) => RunAsync(Create(), args, Console.Out, Console.Error);

    /// <summary>
    /// Parses and runs one command of <paramref name="root"/>. Exit codes: 0 done, 1 a defect of Retouch, 2 usage, 3 input, 4 environment,
    /// 5 diverged, 130 interrupted.
    /// </summary>
    internal static async Task<int> RunAsync(RootCommand root, string[] args, TextWriter output, TextWriter error)
    {
        root.HelpName = "retouch";
        if (args.Length == 0)
        {
            await root.Parse("--help").InvokeAsync(new() { Output = error }).ConfigureAwait(false);
            return BadUsage;
        }

        var parsed = root.Parse(args);
        if (SharedOptions.Renew(parsed.CommandResult.Command, args, error) is var renewed && renewed != args)
            parsed = root.Parse(renewed);
        if (parsed.Errors.Count > 0 && parsed.Action is not { ClearsParseErrors: true })
        {
            await error.WriteLineAsync(UsageMessage.Of(parsed)).ConfigureAwait(false);
            return BadUsage;
        }

        using var interrupt = new Interrupt();
        try
        {
            EnsureLibraries(parsed, error, interrupt.Token);
            // Checked first, so that a missing device leaves no partial output; doctor reports it among its checks.
            if (parsed.GetResult(SharedOptions.Device) is not null && parsed.CommandResult.Command.Name != DoctorCommand.Name)
                parsed.GetDevice();
            var configuration = new InvocationConfiguration
            {
                Output = output,
                Error = error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null, // Interrupt waits for the checkpoint without a limit.
            };
            return await parsed.InvokeAsync(configuration, interrupt.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            var cause = e is AggregateException { InnerExceptions: [var only] } ? only : e;
            var (code, message) = Explain(cause, interrupt.Token.IsCancellationRequested, parsed);
            await error.WriteLineAsync(message).ConfigureAwait(false);
            if (parsed.GetValue(SharedOptions.Verbose) && code != Interrupted)
                await error.WriteLineAsync(e.ToString()).ConfigureAwait(false);
            return code;
        }
    }

    /// <summary>Builds the native libraries of an installed program before its first verb; help and version need none.</summary>
    private static void EnsureLibraries(ParseResult parsed, TextWriter error, CancellationToken cancellation)
    {
        var command = parsed.CommandResult.Command;
        if (parsed.Action != command.Action || command.Name == ProbeLibraryCommand.Name)
            return;
        try
        {
            NativeBuild.Ensure(cancellation);
        }
        catch (EnvironmentException) when (command.Name == DoctorCommand.Name)
        {
            error.WriteLine("continuing without the native libraries");
        }
    }

    private static (int Code, string Message) Explain(Exception error, bool interrupted, ParseResult parsed) =>
        error switch
        {
            OperationCanceledException when interrupted => (Interrupted, "interrupted"),
            OutOfDeviceMemoryException { Remedy: null } e => (e.ExitCode, $"error: {e.Cause}. {MemoryAdvice.Of(parsed)}"),
            RetouchException e => (e.ExitCode, "error: " + e.Message),
            FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException => (BadInput, "error: " + error.Message),
            OutOfMemoryException => (LacksSomething, $"error: The machine ran out of memory. {MemoryAdvice.Of(parsed)}"),
            IOException e when OutOfMemoryWording.Is(e) => (
                LacksSomething,
                $"error: The machine ran out of memory ({error.Message.TrimEnd('.')}). {MemoryAdvice.Of(parsed)}"
            ),
            _ => (
                Defect,
                $"""
                error: {error.GetType().Name}: {error.Message}
                This is a defect of Retouch, not of what you gave it. Please report it to the project with the command, its output with
                --verbose added, and the output of 'retouch doctor --json'.
                """
            ),
        };
}
