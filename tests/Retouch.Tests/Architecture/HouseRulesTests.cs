namespace Retouch.Tests.Architecture;

/// <summary>Every rule catches what it is for: planted offences fail, the same words in comments and literals do not.</summary>
public class HouseRulesTests
{
    private const string Sampler = "src/Retouch/Samplers/Euler.cs";

    private static List<Violation> Check(string path, string body, string? ns = null)
    {
        ns ??= string.Join('.', path.Split('/')[1..^1]);
        return [.. HouseRules.CheckSource(path, $"namespace {ns};\n\n{body}\n")];
    }

    [Theory]
    [InlineData("using Retouch.Training;")]
    [InlineData("using static Retouch.Training.Tables;")]
    [InlineData("using Loop = Retouch.Training.Loop;")]
    [InlineData("class A { object b = new global::Retouch.Objectives.Lpl(); }")]
    [InlineData("class A { Training.Loop b; }")]
    [InlineData("class A { string b = $\"{Retouch.Training.Loop.Name}\"; }")]
    public void Room_UsingARoomDownstream_IsCaught(string body) =>
        Assert.Contains("downstream of Samplers", Assert.Single(Check(Sampler, body)).Message);

    [Theory]
    [InlineData("using Retouch.Denoisers;")]
    [InlineData("using Retouch.Torch;")]
    [InlineData("class A { Diffusion.Schedule b; }")]
    [InlineData("// using Retouch.Training;")]
    [InlineData("/// <see cref=\"Retouch.Training.Loop\"/>")]
    [InlineData("class A { string b = \"Retouch.Training.Loop\"; }")]
    [InlineData("class A { int c = options.Training.Steps; }")]
    public void Room_UsingARoomUpstreamOrOnlyTalkingAboutOne_IsFine(string body) => Assert.Empty(Check(Sampler, body));

    [Fact]
    public void Rooms_EachMayUseTheOnesBeforeItAndNoneAfterIt()
    {
        foreach (var (assembly, rooms) in HouseRules.Rooms)
        {
            for (var user = 0; user < rooms.Length; user++)
            {
                for (var used = 0; used < rooms.Length; used++)
                {
                    var folder = $"src/{assembly}/{rooms[user]}/".Replace("//", "/");
                    var found = Check(folder + "A.cs", $"using {assembly}.{rooms[used]};".Replace(".;", ";"));
                    Assert.Equal(used > user ? 1 : 0, found.Count);
                }
            }
        }
    }

    [Theory]
    [InlineData("src/Retouch/Attic/Old.cs")]
    [InlineData("src/Retouch/Stray.cs")]
    [InlineData("src/Retouch.Experiments/Attic/Old.cs")]
    public void File_OutsideTheKnownRooms_IsCaught(string path) => Assert.Contains("no room", Assert.Single(Check(path, "")).Message);

    [Fact]
    public void File_InAnUnknownAssembly_IsCaught() =>
        Assert.Contains("unknown assembly", Assert.Single(Check("src/Retouch.Extras/A.cs", "")).Message);

    [Theory]
    [InlineData("src/Retouch/Objectives/LatentPerceptual/A.cs", "Retouch.Objectives")]
    [InlineData("src/Retouch/Objectives/A.cs", "Retouch.Objectives.LatentPerceptual")]
    [InlineData("src/Retouch.Cli/Commands/A.cs", "Retouch.Cli")]
    public void Namespace_OtherThanTheFolder_IsCaught(string path, string ns) =>
        Assert.Contains("in the folder of", Assert.Single(Check(path, "", ns)).Message);

    [Fact]
    public void Type_OutsideANamespace_IsCaught()
    {
        Assert.Contains(
            "outside a namespace",
            Assert.Single(HouseRules.CheckSource("src/Retouch.Cli/A.cs", "internal sealed class A;\n")).Message
        );
        Assert.Empty(HouseRules.CheckSource("src/Retouch.Cli/Program.cs", "return 0;\n"));
    }

    [Fact]
    public void File_PastTheLongestLength_IsCaught()
    {
        Assert.Empty(Check(Sampler, new string('\n', HouseRules.LongestFile - 4) + "//"));
        Assert.Contains("351 lines", Assert.Single(Check(Sampler, new string('\n', HouseRules.LongestFile - 2) + "//")).Message);
    }

    [Fact]
    public void Line_PastTheLongestLength_IsCaught()
    {
        var longest = new string('→', HouseRules.LongestLine);
        Assert.Empty(HouseRules.CheckLines(Sampler, $"a\n{longest}\n"));
        Assert.StartsWith($"{Sampler}:2: 141 characters", Assert.Single(HouseRules.CheckLines(Sampler, $"a\n{longest}-\n")).ToString());
    }

    [Theory]
    [InlineData("docs/a.md", "A text.\nNothing more can\nbe had from it.", 2)]
    [InlineData("eng/a.sh", "# Not the dearest.\n", 1)]
    [InlineData("native/a.h", "// The file of\n// strangers.\n", 2)]
    [InlineData(Sampler, "/// <summary>Weights laid\n/// over a model.</summary>\nint a;", 1)]
    [InlineData(Sampler, "var a = \"The rest is passed over.\";", 1)]
    [InlineData(Sampler, "var a =\n    \"step in \"\n    + $\"hand {b}\";", 2)]
    [InlineData(Sampler, "/// <param name=\"a\">Told which step it is.</param>", 1)]
    public void Idiom_IsCaughtWithItsPlainTerm(string path, string text, int line)
    {
        var violations = HouseRules.CheckWords(path, text).ToList();
        Assert.NotEmpty(violations);
        Assert.All(violations, violation => Assert.Contains("plain: ", violation.Message));
        Assert.Equal(line, violations[0].Line);
    }

    [Theory]
    [InlineData("docs/a.md", "Steps in progress; a second-hand text; told apart by name.")]
    [InlineData(Sampler, "int dearest = laid.over;")]
    [InlineData(Sampler, "// There is no folder.")]
    [InlineData("docs/results/first-run.md", "the dearest")]
    public void Words_ThatArePlainOrCodeOrExempt_AreFine(string path, string text) => Assert.Empty(HouseRules.CheckWords(path, text));

    [Theory]
    [InlineData("GC.Collect();")]
    [InlineData("var a = DateTime.Now;")]
    [InlineData("var a = DateTime.UtcNow;")]
    [InlineData("var a = DateTimeOffset.UtcNow;")]
    [InlineData("var a = new Random(1);")]
    [InlineData("var a = new System.Random();")]
    [InlineData("Random a = new();")]
    [InlineData("var a = Random.Shared;")]
    [InlineData("throw new NotImplementedException();")]
    [InlineData("// TODO later")]
    [InlineData("/* FIXME */")]
    public void Words_ThatAreBanned_AreCaught(string body) => Assert.Single(Check(Sampler, body));

    [Theory]
    [InlineData("// DateTime.Now is ambient")]
    [InlineData("var a = \"GC.Collect\";")]
    [InlineData("var a = @\"c:\\\"; var b = \"new Random(\";")]
    [InlineData("var a = \"\"\"say \"new Random(\" \"\"\";")]
    [InlineData("var a = '\"'; var b = \"new Random(\";")]
    [InlineData("var a = Randomness.Shared;")]
    [InlineData("var a = new RandomCrop(3);")]
    [InlineData("var mastodon = 1;")]
    public void Words_ThatAreNotBannedOrNotCode_AreFine(string body) => Assert.Empty(Check(Sampler, body));

    [Fact]
    public void Violation_NamesFileAndLine() =>
        Assert.StartsWith("src/Retouch/Samplers/Euler.cs:4: 'GC.Collect'", Assert.Single(Check(Sampler, "\nGC.Collect();")).ToString());

    [Theory]
    [InlineData("using Retouch.Images;")]
    [InlineData("using Retouch.Cli;")]
    public void Engine_MentioningWhatIsBuiltOnIt_IsCaught(string body) =>
        Assert.Contains("built on it", Assert.Single(Check("src/Retouch.Torch/Nn/Linear.cs", body)).Message);

    [Theory]
    [InlineData("using Retouch.Torch;")]
    [InlineData("class A { Retouch.Images.Picture b; }")]
    public void Core_MentioningWhatIsBuiltOnIt_IsCaught(string body) =>
        Assert.Contains("built on it", Assert.Single(Check("src/Retouch.Core/Io/A.cs", body)).Message);

    [Fact]
    public void Arena_MentioningTraining_IsCaught() =>
        Assert.Contains("arena", Assert.Single(Check("src/Retouch.Arena/Pages/Vote.cs", "using Retouch.Training;")).Message);

    [Theory]
    [InlineData("using Retouch.Training;")]
    [InlineData("class A { Training.Loop b; }")]
    public void Evaluation_MentioningTraining_IsCaught(string body) =>
        Assert.Contains("measured", Assert.Single(Check("src/Retouch.Evaluation/Studies/Taps.cs", body)).Message);

    [Fact]
    public void GlobalUsing_OfARoom_IsCaught() =>
        Assert.Contains(
            "global using",
            Assert.Single(HouseRules.CheckSource("src/Retouch/Training/Usings.cs", "global using Retouch.Images;\n")).Message
        );

    [Theory]
    [InlineData("Retouch.Torch", "..\\Retouch\\Retouch.csproj")]
    [InlineData("Retouch", "../Retouch.Cli/Retouch.Cli.csproj")]
    [InlineData("Retouch.Core", "../Retouch.Torch/Retouch.Torch.csproj")]
    [InlineData("Retouch", "../Retouch.Evaluation/Retouch.Evaluation.csproj")]
    [InlineData("Retouch.Arena", "..\\Retouch.Cli\\Retouch.Cli.csproj")]
    public void Project_ReferencingAgainstTheWalls_IsCaught(string name, string reference) =>
        Assert.Contains(
            "must not reference",
            Assert
                .Single(
                    HouseRules.CheckProject(
                        $"src/{name}/{name}.csproj",
                        $"<Project>\n<ProjectReference Include=\"{reference}\" />\n</Project>"
                    )
                )
                .Message
        );

    [Fact]
    public void Project_WithProjectWideUsings_IsCaught() =>
        Assert.Single(HouseRules.CheckProject("src/Retouch/Retouch.csproj", "<Using Include=\"Retouch.Images\" />"));

    [Fact]
    public void CodeOnly_KeepsLinesAndHolesAndBlanksTheRest()
    {
        const string text = "a(\"x\\\"y\"); // c\nb($\"{{z}} {v:N} {f(\"q\")}\"); /* d\ne */ g('\\'', $$\"\"\"k {{w}} {n}\"\"\");";
        var code = CSharpText.CodeOnly(text);
        Assert.Equal(text.Length, code.Length);
        Assert.Equal("a(\" \");\nb($\" v:N f(\" \") \"); g(' ', $$\"\"\" w \"\"\");", Squeeze(code));
    }

    private static string Squeeze(string code) =>
        string.Join(
            '\n',
            System.Text.RegularExpressions.Regex.Replace(code, " +", " ").Replace(" \n", "\n").Replace("\n g", " g").Split('\n')
        );
}
