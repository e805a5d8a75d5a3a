using System.Diagnostics;

namespace Retouch.Cli.Tests;

/// <summary>
/// The program in a folder outside the source tree, without native libraries and with a script that provides them, as the packages install
/// it.
/// </summary>
public sealed class InstalledProgramTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-installed-").FullName;

    public InstalledProgramTests()
    {
        foreach (var file in Directory.EnumerateFiles(AppContext.BaseDirectory))
        {
            if (Path.GetExtension(file) is ".dll" or ".json")
                File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        }

        // Libraries of packages, libvips among them, which the system need not have.
        Directory.CreateSymbolicLink(Path.Combine(_folder, "runtimes"), Path.Combine(AppContext.BaseDirectory, "runtimes"));
    }

    private string Script => Path.Combine(_folder, "native-source", "eng", "native.sh");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    [Trait("speed", "slow")]
    public void The_first_verb_runs_the_script_and_uses_its_folder()
    {
        var libraries = LibraryFolder();
        Provide($"echo building >&2; echo run >>'{_folder}/runs'; echo '{libraries}'");
        var (code, output, error) = Run("doctor", "--json");
        Assert.Equal((0, "building\n"), (code, error));
        Assert.Contains($"\"{libraries}: libretouch_torch.so", output, StringComparison.Ordinal);
        // Processes of the program inherit the folder.
        Assert.Single(File.ReadAllLines(Path.Combine(_folder, "runs")));
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("sample", "--help")]
    [InlineData("--version")]
    public void Help_and_version_need_no_libraries(params string[] arguments)
    {
        Provide("exit 4");
        var (code, _, error) = Run(arguments);
        Assert.Equal((0, ""), (code, error));
    }

    [Fact]
    public void A_failed_build_ends_with_4()
    {
        Provide("echo 'apt-get install cmake' >&2; exit 4");
        var (code, _, error) = Run("sample", "--model", "none", "--output", Path.Combine(_folder, "none"));
        Assert.Equal(4, code);
        Assert.StartsWith("apt-get install cmake\nerror: The native libraries could not be built", error, StringComparison.Ordinal);
    }

    [Fact]
    public void The_doctor_continues_without_them()
    {
        Provide("exit 4");
        var (code, output, error) = Run("doctor");
        Assert.Equal((4, "continuing without the native libraries\n"), (code, error));
        Assert.Contains("libtorch missing", output, StringComparison.Ordinal);
        Assert.Contains($"'bash {Script}' builds it", output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_chosen_folder_is_used_as_it_is()
    {
        Provide($"echo run >>'{_folder}/runs'");
        var (code, output, _) = Run(["doctor"], chosen: _folder);
        Assert.Equal(4, code);
        Assert.Contains($"RETOUCH_NATIVE={_folder} contains no libretouch_torch.so", output, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_folder, "runs")));
    }

    private void Provide(string script)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Script)!);
        // Not executable, as NuGet extracts it.
        File.WriteAllText(Script, script + "\n");
    }

    private (int Code, string Out, string Error) Run(params string[] arguments) => Run(arguments, chosen: null);

    private (int Code, string Out, string Error) Run(string[] arguments, string? chosen)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.ArgumentList.Add(Path.Combine(_folder, "Retouch.Cli.dll"));
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        start.Environment["RETOUCH_NATIVE"] = chosen;
        start.Environment.Remove("RETOUCH_LIBTORCH");
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        RetouchProcess.Finish(process);
        return (process.ExitCode, output, error.GetAwaiter().GetResult());
    }

    /// <summary>Folder of the libraries of the tests: chosen, or of the source tree.</summary>
    private static string LibraryFolder()
    {
        if (Environment.GetEnvironmentVariable("RETOUCH_NATIVE") is { Length: > 0 } chosen)
            return chosen;
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (Path.Combine(folder.FullName, "artifacts", "native", "current") is var current && Directory.Exists(current))
                return current;
        }

        throw new InvalidOperationException("The native libraries are not built.");
    }
}
