using System.CommandLine;
using Retouch.Watch;

namespace Retouch.Cli.Commands;

/// <summary>Link and runs of a started page.</summary>
/// <param name="Link">Address of the page.</param>
/// <param name="Runs">Names of the runs.</param>
internal sealed record WatchStarted(string Link, IReadOnlyList<string> Runs);

/// <summary><c>retouch watch</c>: serves a page that follows runs while they train.</summary>
internal static class WatchCommand
{
    private static readonly Argument<string[]> Runs = new("run")
    {
        Description = "Folders of runs, as given to train --output.",
        Arity = ArgumentArity.OneOrMore,
    };
    private static readonly Option<string> Bind = ListenAddress.Option(
        "--bind",
        "Address to listen on; other addresses than loopback show the runs to everyone who can reach this machine."
    );
    private static readonly Option<int> Port = new("--port")
    {
        Description = "Port; 0 picks a free one.",
        DefaultValueFactory = static _ => 0,
    };

    public static Command Create()
    {
        var command = new Command("watch", "Serve a page that follows runs while they train.") { Runs, Bind, Port };
        command.SetAction(Serve);
        return command;
    }

    private static async Task<int> Serve(ParseResult parsed, CancellationToken cancellation)
    {
        var options = new WatchOptions
        {
            Runs = parsed.GetRequiredValue(Runs),
            Address = ListenAddress.Of(parsed, Bind),
            Port = parsed.GetValue(Port),
        };
        var error = parsed.InvocationConfiguration.Error;
        var server = await WatchServer.StartAsync(options, error.WriteLine, cancellation).ConfigureAwait(false);
        await using (server.ConfigureAwait(false))
        {
            var started = new WatchStarted(server.Address + "/", server.Runs);
            Output
                .For(parsed)
                .Write(
                    started,
                    writer =>
                    {
                        writer.WriteLine($"{string.Join(", ", started.Runs)}: {started.Link}");
                        writer.WriteLine("Ctrl-C stops the server.");
                    }
                );
            await Task.Delay(Timeout.Infinite, cancellation).ConfigureAwait(false);
        }

        return 0;
    }
}
