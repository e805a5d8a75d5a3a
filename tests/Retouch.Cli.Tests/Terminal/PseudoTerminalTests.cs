using System.Diagnostics;

namespace Retouch.Cli.Tests.Terminal;

/// <summary>What a terminal shows after a command: nothing that was printed is overwritten by the live lines.</summary>
public sealed class PseudoTerminalTests : IDisposable
{
    private const int Columns = 300;
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-terminal-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    [Trait("speed", "slow")]
    public void Training_and_sampling_leave_every_line_on_the_screen()
    {
        var model = Path.Combine(AppContext.BaseDirectory, "demo", "model");
        var shown = Run(
            $"train --objective latent --model {model} --steps 3 --set data.sceneCount=24 --set data.cacheLatents=true --output run"
        );
        string[] expected = ["before", "model    ", "data     24 ", "device   ", "steps    3 of 8 ", "losses   latent", "output   "];
        Assert.Equal(
            expected,
            expected.Zip(shown).Select(static p => p.Second.StartsWith(p.First, StringComparison.Ordinal) ? p.First : p.Second)
        );
        Assert.Contains(shown, static l => l.StartsWith("step 3/3 (100 %)", StringComparison.Ordinal));
        Assert.Contains(shown, static l => l.StartsWith("3 steps in ", StringComparison.Ordinal));
        Assert.Contains($"report: {_folder}/run/report.html", shown);
        Assert.Contains($"model: {_folder}/run/model", shown);
        Assert.Contains($"model: {_folder}/run/model-average-0.9", shown);
        Assert.Equal(["next: retouch sample --model run/model-average-0.9 --output samples", "after"], shown.TakeLast(2));

        shown = Run("sample --model run/model --count 3 --steps 2 --output samples");
        Assert.Equal("before", shown[0]);
        Assert.StartsWith("sampler step 2/2 (100 %)", shown[1]);
        Assert.StartsWith("3 pictures with ddim in ", shown[^2]);
        Assert.Equal("after", shown[^1]);
    }

    /// <summary>Lines on the screen of a terminal in which the command runs between two lines of text; blank lines are left out.</summary>
    private List<string> Run(string arguments)
    {
        var retouch = $"dotnet '{Path.Combine(AppContext.BaseDirectory, "Retouch.Cli.dll")}' {arguments}";
        var start = new ProcessStartInfo("script")
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            WorkingDirectory = _folder,
        };
        foreach (var argument in (string[])["-qec", $"stty cols {Columns} rows 50; echo before; {retouch}; echo after", "/dev/null"])
            start.ArgumentList.Add(argument);
        start.Environment["TERM"] = "xterm-256color";
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEnd();
        RetouchProcess.Finish(process);
        return [.. new Screen(Columns).Write(output).Lines.Where(static l => l.Length > 0)];
    }
}
