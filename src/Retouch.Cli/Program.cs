// The program, unlike a library, may choose the allocator of large tensors.
Retouch.Torch.Devices.HostBlocks.Reuse(true);
return await Retouch.Cli.CommandLine.RunAsync(args).ConfigureAwait(false);
