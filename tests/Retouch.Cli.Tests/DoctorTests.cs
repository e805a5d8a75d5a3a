using System.Text.Json;

namespace Retouch.Cli.Tests;

/// <summary>The doctor reports all problems and survives them.</summary>
public sealed class DoctorTests : IDisposable
{
    private const string Library = "libretouch_torch.so";

    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-doctor-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

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
    public void A_machine_with_everything_is_usable()
    {
        var (code, checks, root) = Examine();
        Assert.Equal(0, code);
        Assert.True(root.GetProperty("usable").GetBoolean());
        Assert.Contains("libtorch", Detail(checks["libtorch"]));
        Assert.True(root.GetProperty("torch").GetProperty("matmulGflops").GetDouble() > 0);
        Assert.Equal(
            ["JPEG", "PNG", "WebP", "TIFF", "GIF", "AVIF"],
            root.GetProperty("pictures").GetProperty("loaders").EnumerateArray().Select(kind => kind.GetString())
        );
        Assert.All(checks.Values, check => Assert.Equal(State(check) != "ok", check.TryGetProperty("remedy", out _)));
    }

    [Fact]
    public void Text_has_a_line_per_check_and_a_verdict()
    {
        var outcome = RetouchProcess.Run(["doctor"]);
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Error));
        foreach (var name in (string[])[".NET", "Memory", "BLAS", "Threads", "GPU", "Processes", "Cache"])
            Assert.Matches($@"(?m)^(ok|slow)\s+{name.Replace(".", @"\.")}\s", outcome.Out);
        Assert.EndsWith("Retouch can run here.\n", outcome.Out);
    }

    [Fact]
    public void An_empty_native_folder_is_reported()
    {
        var found = Examine(new() { ["RETOUCH_NATIVE"] = _folder });
        AssertUnusable(found, "Native folder", "libtorch");
        Assert.Contains(_folder, Detail(found.Checks["Native folder"]));
    }

    [Fact]
    public void A_missing_native_folder_is_reported()
    {
        var found = Examine(new() { ["RETOUCH_NATIVE"] = Path.Combine(_folder, "none") });
        AssertUnusable(found, "Native folder", "libtorch");
    }

    [Fact]
    public void Files_other_than_libraries_are_reported()
    {
        var file = Path.Combine(_folder, Library);
        File.WriteAllText(file, "not a library");
        var found = Examine(new() { ["RETOUCH_NATIVE"] = _folder, ["RETOUCH_LIBVIPS"] = file });
        AssertUnusable(found, "libtorch", "Pictures");
        Assert.Contains($"RETOUCH_LIBVIPS={file} cannot be loaded", Detail(found.Checks["Pictures"]));
        Assert.Contains("file too short", Detail(found.Checks["libtorch"]));
        Assert.Contains("RETOUCH_NATIVE", found.Checks["libtorch"].GetProperty("remedy").GetString());
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Truncated_libraries_kill_the_probe_but_not_the_doctor()
    {
        var whole = Examine().Root;
        var libraries = new Dictionary<string, string>
        {
            ["RETOUCH_NATIVE"] = whole.GetProperty("torch").GetProperty("library").GetString()!,
            ["RETOUCH_LIBVIPS"] = whole.GetProperty("pictures").GetProperty("libvips").GetString()!,
        };
        foreach (var path in libraries.Values)
        {
            var bytes = File.ReadAllBytes(path);
            File.WriteAllBytes(Path.Combine(_folder, Path.GetFileName(path)), bytes[..(bytes.Length / 2)]);
        }

        var vips = Path.Combine(_folder, Path.GetFileName(libraries["RETOUCH_LIBVIPS"]));
        AssertUnusable(Examine(new() { ["RETOUCH_NATIVE"] = _folder, ["RETOUCH_LIBVIPS"] = vips }), "libtorch", "Pictures");
    }

    [Fact]
    public void Another_libvips_is_used_if_it_is_named()
    {
        var system = Directory.Exists("/usr/lib")
            ? Directory
                .EnumerateFiles("/usr/lib", "libvips.so.42", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 })
                .FirstOrDefault()
            : null;
        if (system is null)
            return;
        var (code, checks, root) = Examine(new() { ["RETOUCH_LIBVIPS"] = system });
        Assert.Equal((0, "ok"), (code, State(checks["Pictures"])));
        Assert.StartsWith("/usr/lib/", root.GetProperty("pictures").GetProperty("libvips").GetString());
        var whole = Examine().Root.GetProperty("pictures");
        Assert.NotEqual(whole.GetProperty("libvips").GetString(), root.GetProperty("pictures").GetProperty("libvips").GetString());
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_shadowing_libtorch_is_reported_with_its_variable()
    {
        var libtorch = Examine().Root.GetProperty("torch").GetProperty("libtorch").GetString()!;
        // The loader requests the soname: the file's name with fewer version numbers.
        for (
            var name = Path.GetFileName(libtorch);
            name.EndsWith(".so", StringComparison.Ordinal) || Path.HasExtension(name);
            name = Path.GetFileNameWithoutExtension(name)
        )
            File.WriteAllText(Path.Combine(_folder, name), "shadow");
        var found = Examine(new() { ["LD_LIBRARY_PATH"] = _folder });
        AssertUnusable(found, "libtorch");
        Assert.Contains($"unset LD_LIBRARY_PATH ({_folder})", found.Checks["libtorch"].GetProperty("remedy").GetString());
    }

    [Fact]
    public void A_requested_but_absent_libtorch_is_missing()
    {
        var absent = Path.Combine(_folder, "none");
        var found = Examine(new() { ["RETOUCH_LIBTORCH"] = absent });
        AssertUnusable(found, "libtorch");
        Assert.Contains($"RETOUCH_LIBTORCH={absent}", Detail(found.Checks["libtorch"]));
    }

    [Fact]
    public void A_requested_libtorch_is_missing_if_another_is_loaded()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "lib"));
        File.WriteAllText(Path.Combine(_folder, "lib", "libtorch_cpu.so"), "another");
        var found = Examine(new() { ["RETOUCH_LIBTORCH"] = _folder });
        AssertUnusable(found, "libtorch");
        Assert.Contains("was loaded", Detail(found.Checks["libtorch"]));
    }

    [Fact]
    public void Spinning_threads_are_slow()
    {
        var (code, checks, _) = Examine(new() { ["OMP_WAIT_POLICY"] = "ACTIVE" });
        Assert.Equal((0, "slow"), (code, State(checks["Threads"])));
    }

    [Fact]
    public void A_read_only_cache_is_missing()
    {
        var file = Path.Combine(_folder, "file");
        File.WriteAllText(file, "");
        AssertUnusable(Examine(new() { ["RETOUCH_CACHE"] = file }), "Cache");
    }
}
