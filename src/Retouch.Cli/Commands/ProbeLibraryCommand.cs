using System.CommandLine;
using Retouch.Cli.Diagnosis;

namespace Retouch.Cli.Commands;

/// <summary>Hidden: loads one native library and prints its properties as JSON. <see cref="LibraryProbe"/> starts it.</summary>
internal static class ProbeLibraryCommand
{
    /// <summary>Name of the verb.</summary>
    public const string Name = "probe-library";

    /// <summary>Creates the verb.</summary>
    public static Command Create()
    {
        var library = new Argument<string>("library") { Description = "torch or pictures." };
        library.AcceptOnlyFromAmong("torch", "pictures");
        var command = new Command(Name, "Load a native library and print its properties.") { Hidden = true };
        command.Add(library);
        command.SetAction(parsed =>
        {
            var output = new Output(parsed.InvocationConfiguration.Output, json: true);
            if (parsed.GetValue(library) == "torch")
                output.Write(TorchFacts.Gather(TimeProvider.System), static _ => { });
            else
                output.Write(PictureFacts.Gather(), static _ => { });
        });
        return command;
    }
}
