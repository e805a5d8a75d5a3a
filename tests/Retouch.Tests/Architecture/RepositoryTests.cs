using Retouch.Core.Io;

namespace Retouch.Tests.Architecture;

/// <summary>The repository follows its rules.</summary>
public class RepositoryTests
{
    private static string Root
    {
        get
        {
            var folder = AppContext.BaseDirectory;
            while (!File.Exists(Path.Combine(folder, "Retouch.slnx")))
                folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests run outside the repository.");
            return folder;
        }
    }

    private static IEnumerable<(string Path, string Text)> Files(string pattern, string folder = "src") =>
        from file in Directory.EnumerateFiles(Path.Combine(Root, folder), pattern, SearchOption.AllDirectories)
        let path = Path.GetRelativePath(Root, file).Replace('\\', '/')
        where !path.Contains("/obj/") && !path.Contains("/bin/")
        orderby path
        select (path, File.ReadAllText(file));

    private static readonly string[] WordFiles = ["*.cs", "*.md", "*.sh", "*.cpp", "*.h", "*.cu"];

    private static void AssertNone(IEnumerable<Violation> violations)
    {
        var found = violations.ToList();
        Assert.True(found.Count == 0, string.Join('\n', found));
    }

    [Fact]
    public void Sources_keep_the_rules()
    {
        var files = Files("*.cs").ToList();
        Assert.NotEmpty(files);
        AssertNone(files.SelectMany(file => HouseRules.CheckSource(file.Path, file.Text)));
    }

    [Fact]
    public void Lines_fit_their_columns()
    {
        var files = new[] { "src", "tests", "bench" }.SelectMany(static folder => Files("*.cs", folder)).ToList();
        files.AddRange(new[] { "bench", "eng" }.SelectMany(static folder => Files("*.sh", folder)));
        files.AddRange(new[] { "*.cpp", "*.h", "*.cu" }.SelectMany(static pattern => Files(pattern, "native")));
        files.AddRange(((string[])["test", "retouch"]).Select(static name => (name, File.ReadAllText(Path.Combine(Root, name)))));
        Assert.NotEmpty(files);
        AssertNone(files.SelectMany(static file => HouseRules.CheckLines(file.Path, file.Text)));
    }

    [Fact]
    public void Names_have_one_style()
    {
        var files = new[] { "src", "tests" }.SelectMany(static folder => Files("*.cs", folder)).ToList();
        Assert.NotEmpty(files);
        AssertNone(files.SelectMany(static file => HouseRules.CheckNames(file.Path, file.Text)));
    }

    [Fact]
    public void Words_are_plain()
    {
        var folders = Directory.GetDirectories(Root).Select(static folder => Path.GetFileName(folder)!);
        var files = folders
            .Where(static folder => folder[0] != '.' && folder != "artifacts")
            .SelectMany(static folder => WordFiles.SelectMany(pattern => Files(pattern, folder)))
            .ToList();
        files.AddRange(
            ((string[])["test", "retouch", "README.md", "CHANGELOG.md"]).Select(static name =>
                (name, File.ReadAllText(Path.Combine(Root, name)))
            )
        );
        AssertNone(files.SelectMany(static file => HouseRules.CheckWords(file.Path, file.Text)));
        Assert.All(
            HouseRules.WordListExemptions,
            exempt => Assert.True(Path.Exists(Path.Combine(Root, exempt)), $"{exempt} does not exist; remove the exemption")
        );
    }

    [Fact]
    public void Project_references_are_permitted()
    {
        var files = Files("*.csproj").ToList();
        Assert.NotEmpty(files);
        AssertNone(files.SelectMany(file => HouseRules.CheckProject(file.Path, file.Text)));
    }

    [Fact]
    public void Folders_of_an_assembly_with_rooms_are_its_rooms()
    {
        foreach (var (assembly, rooms) in HouseRules.Rooms)
        {
            var folders = Directory
                .GetDirectories(Path.Combine(Root, "src", assembly))
                .Select(static folder => Path.GetFileName(folder)!)
                .Except(["obj", "bin"]);
            Assert.Empty(rooms.Except(folders));
            Assert.Empty(folders.Except(rooms));
        }
    }

    [Fact]
    public void Folders_of_sources_are_the_known_assemblies()
    {
        var folders = Directory.GetDirectories(Path.Combine(Root, "src")).Select(static folder => Path.GetFileName(folder)!);
        Assert.Equal(HouseRules.Assemblies.Keys.Order(StringComparer.Ordinal), folders.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Core_references_no_other_assembly_of_retouch() => Assert.Empty(ReferencedBy(typeof(AtomicFile)));

    [Fact]
    public void Engine_references_only_the_core() => Assert.Equal(["Retouch.Core"], ReferencedBy(typeof(Retouch.Torch.Tensor)));

    private static IEnumerable<string> ReferencedBy(Type type) =>
        type
            .Assembly.GetReferencedAssemblies()
            .Select(static name => name.Name!)
            .Where(static name => name.StartsWith("Retouch", StringComparison.Ordinal));

    [Fact]
    public void Solution_builds_every_project()
    {
        var solution = File.ReadAllText(Path.Combine(Root, "Retouch.slnx"));
        foreach (var folder in (string[])["src", "tests"])
        {
            foreach (var project in Directory.EnumerateFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories))
                Assert.Contains($"\"{Path.GetRelativePath(Root, project).Replace('\\', '/')}\"", solution);
        }
    }
}
