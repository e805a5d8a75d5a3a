// A program of its own may choose where large tensors live.
Retouch.Torch.Devices.HostBlocks.Reuse(true);
return await Retouch.Cli.CommandLine.RunAsync(args).ConfigureAwait(false);
