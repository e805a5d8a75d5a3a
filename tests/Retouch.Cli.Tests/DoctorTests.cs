using System.Text.Json;

namespace Retouch.Cli.Tests;

/// <summary>The doctor reports on whatever it finds and never dies of it.</summary>
public sealed class DoctorTests : IDisposable
{
    private static readonly string[] Libraries = ["libretouch_torch.so", "libretouch_images.so"];

    private readonly string folder = Directory.CreateTempSubdirectory("retouch-doctor-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static (int Code, Dictionary<string, JsonElement> Checks, JsonElement Root) Examine(
        Dictionary<string, string?>? environment = null
    )
    {
        var outcome = RetouchProcess.Run(["doctor", "--json"], environment);
        Assert.Equal("", outcome.Error);
        var root = JsonDocument.Parse(outcome.Out).RootElement;
        return (
            outcome.ExitCode,
            root.GetProperty("checks").EnumerateArray().ToDictionary(check => check.GetProperty("name").GetString()!),
            root
        );
    }

    private static string State(JsonElement check) => check.GetProperty("state").GetString()!;

    private static string Detail(JsonElement check) => check.GetProperty("detail").GetString()!;

    private static void AssertUnusable((int Code, Dictionary<string, JsonElement> Checks, JsonElement Root) found, params string[] missing)
    {
        Assert.Equal(4, found.Code);
        Assert.False(found.Root.GetProperty("usable").GetBoolean());
        Assert.Equal(missing.Order(), found.Checks.Where(pair => State(pair.Value) == "missing").Select(pair => pair.Key).Order());
        Assert.All(missing, name => Assert.NotEmpty(found.Checks[name].GetProperty("remedy").GetString()!));
    }

    [Fact]
    public void AMachineWithEverything_IsUsable()
    {
        var (code, checks, root) = Examine();
        Assert.Equal(0, code);
        Assert.True(root.GetProperty("usable").GetBoolean());
        Assert.Contains("libtorch", Detail(checks["libtorch"]));
        Assert.True(root.GetProperty("torch").GetProperty("matmulGflops").GetDouble() > 0);
        Assert.Equal(
            ["JPEG", "PNG", "WebP", "TIFF"],
            root.GetProperty("pictures").GetProperty("loaders").EnumerateArray().Select(kind => kind.GetString())
        );
        Assert.All(checks.Values, check => Assert.Equal(State(check) != "ok", check.TryGetProperty("remedy", out _)));
    }

    [Fact]
    public void Text_HasALineForEachCheckAndAVerdict()
    {
        var outcome = RetouchProcess.Run(["doctor"]);
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Error));
        foreach (var name in (string[])[".NET", "Memory", "BLAS", "Threads", "GPU", "Cache"])
            Assert.Matches($@"(?m)^(ok|slow)\s+{name.Replace(".", @"\.")}\s", outcome.Out);
        Assert.EndsWith("Retouch can run here.\n", outcome.Out);
    }

    [Fact]
    public void AnEmptyNativeFolder_IsNamed()
    {
        var found = Examine(new() { ["RETOUCH_NATIVE"] = folder });
        AssertUnusable(found, "Native folder", "libtorch", "Pictures");
        Assert.Contains(folder, Detail(found.Checks["Native folder"]));
    }

    [Fact]
    public void ANativeFolderThatIsNone_IsNamed()
    {
        var found = Examine(new() { ["RETOUCH_NATIVE"] = Path.Combine(folder, "none") });
        AssertUnusable(found, "Native folder", "libtorch", "Pictures");
    }

    [Fact]
    public void FilesThatAreNoLibraries_AreReported()
    {
        foreach (var library in Libraries)
            File.WriteAllText(Path.Combine(folder, library), "not a library");
        var found = Examine(new() { ["RETOUCH_NATIVE"] = folder });
        AssertUnusable(found, "libtorch", "Pictures");
        Assert.Contains("file too short", Detail(found.Checks["libtorch"]));
        Assert.Contains("RETOUCH_NATIVE", found.Checks["libtorch"].GetProperty("remedy").GetString());
    }

    [Fact]
    [Trait("speed", "slow")]
    public void LibrariesCutShort_KillTheProbeAndNotTheDoctor()
    {
        var whole = Examine().Root;
        foreach (var (library, facts) in Libraries.Zip((string[])["torch", "pictures"]))
        {
            var bytes = File.ReadAllBytes(whole.GetProperty(facts).GetProperty("library").GetString()!);
            File.WriteAllBytes(Path.Combine(folder, library), bytes[..(bytes.Length / 2)]);
        }

        AssertUnusable(Examine(new() { ["RETOUCH_NATIVE"] = folder }), "libtorch", "Pictures");
    }

    [Fact]
    [Trait("speed", "slow")]
    public void ALibtorchThatShadowsTheRightOne_IsReportedWithTheVariableToUnset()
    {
        var libtorch = Examine().Root.GetProperty("torch").GetProperty("libtorch").GetString()!;
        // What the loader asks for is the soname: the file's name with fewer numbers at its end.
        for (
            var name = Path.GetFileName(libtorch);
            name.EndsWith(".so", StringComparison.Ordinal) || Path.HasExtension(name);
            name = Path.GetFileNameWithoutExtension(name)
        )
            File.WriteAllText(Path.Combine(folder, name), "shadow");
        var found = Examine(new() { ["LD_LIBRARY_PATH"] = folder });
        AssertUnusable(found, "libtorch");
        Assert.Contains($"unset LD_LIBRARY_PATH ({folder})", found.Checks["libtorch"].GetProperty("remedy").GetString());
    }

    [Fact]
    public void ALibtorchThatIsAskedForAndAbsent_IsMissing()
    {
        var absent = Path.Combine(folder, "none");
        var found = Examine(new() { ["RETOUCH_LIBTORCH"] = absent });
        AssertUnusable(found, "libtorch");
        Assert.Contains($"RETOUCH_LIBTORCH={absent}", Detail(found.Checks["libtorch"]));
    }

    [Fact]
    public void ALibtorchThatIsAskedForWhileAnotherIsLoaded_IsMissing()
    {
        Directory.CreateDirectory(Path.Combine(folder, "lib"));
        File.WriteAllText(Path.Combine(folder, "lib", "libtorch_cpu.so"), "another");
        var found = Examine(new() { ["RETOUCH_LIBTORCH"] = folder });
        AssertUnusable(found, "libtorch");
        Assert.Contains("was loaded", Detail(found.Checks["libtorch"]));
    }

    [Fact]
    public void SpinningThreads_AreSlow()
    {
        var (code, checks, _) = Examine(new() { ["OMP_WAIT_POLICY"] = "ACTIVE" });
        Assert.Equal((0, "slow"), (code, State(checks["Threads"])));
    }

    [Fact]
    public void ACacheThatCannotBeWrittenTo_IsMissing()
    {
        var file = Path.Combine(folder, "file");
        File.WriteAllText(file, "");
        AssertUnusable(Examine(new() { ["RETOUCH_CACHE"] = file }), "Cache");
    }
}
