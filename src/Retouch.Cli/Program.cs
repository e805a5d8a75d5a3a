return await Retouch.Cli.CommandLine.RunAsync(args).ConfigureAwait(false);
