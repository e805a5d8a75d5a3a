namespace Retouch.Tests.Architecture;

/// <summary>Each rule detects planted violations, and ignores the same words in comments and literals.</summary>
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
    public void Use_of_a_later_room_is_caught(string body) =>
        Assert.Contains("downstream of Samplers", Assert.Single(Check(Sampler, body)).Message);

    [Theory]
    [InlineData("using Retouch.Denoisers;")]
    [InlineData("using Retouch.Torch;")]
    [InlineData("class A { Diffusion.Schedule b; }")]
    [InlineData("// using Retouch.Training;")]
    [InlineData("/// <see cref=\"Retouch.Training.Loop\"/>")]
    [InlineData("class A { string b = \"Retouch.Training.Loop\"; }")]
    [InlineData("class A { int c = options.Training.Steps; }")]
    public void Use_of_an_earlier_room_is_allowed(string body) => Assert.Empty(Check(Sampler, body));

    [Fact]
    public void Rooms_may_use_earlier_rooms_only()
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
    [InlineData("class A { JsonSerializerOptions _b = new JsonSerializerOptions { WriteIndented = true }; }")]
    [InlineData("class A { static readonly JsonSerializerOptions B = new(); }")]
    [InlineData("class A { static JsonSerializerOptions B { get; } = new() { MaxDepth = 8 }; }")]
    [InlineData("class A { static JsonWriterOptions B => new(); }")]
    [InlineData("class A { string b = node.ToJsonString(new() { WriteIndented = true }); }")]
    [InlineData("class A { object b = JavaScriptEncoder.Default; }")]
    public void Json_setting_outside_its_module_is_caught(string body)
    {
        Assert.Contains("JsonStyles", Assert.Single(Check(Sampler, body)).Message);
        Assert.Empty(Check("src/Retouch.Core/Json/A.cs", body));
    }

    [Theory]
    [InlineData("class A { void B(JsonSerializerOptions options) => C(options, new()); }")]
    [InlineData("class A { string b = node.ToJsonString(JsonStyles.Dataset); }")]
    public void Use_of_a_json_style_is_fine(string body) => Assert.Empty(Check(Sampler, body));

    [Theory]
    [InlineData("src/Retouch/Attic/Old.cs")]
    [InlineData("src/Retouch/Stray.cs")]
    [InlineData("src/Retouch.Experiments/Attic/Old.cs")]
    public void A_file_outside_the_known_rooms_is_caught(string path) => Assert.Contains("no room", Assert.Single(Check(path, "")).Message);

    [Fact]
    public void A_file_in_an_unknown_assembly_is_caught() =>
        Assert.Contains("unknown assembly", Assert.Single(Check("src/Retouch.Extras/A.cs", "")).Message);

    [Theory]
    [InlineData("src/Retouch/Objectives/LatentPerceptual/A.cs", "Retouch.Objectives")]
    [InlineData("src/Retouch/Objectives/A.cs", "Retouch.Objectives.LatentPerceptual")]
    [InlineData("src/Retouch.Cli/Commands/A.cs", "Retouch.Cli")]
    public void A_namespace_other_than_the_folder_is_caught(string path, string ns) =>
        Assert.Contains("in the folder of", Assert.Single(Check(path, "", ns)).Message);

    [Fact]
    public void A_type_outside_a_namespace_is_caught()
    {
        Assert.Contains(
            "outside a namespace",
            Assert.Single(HouseRules.CheckSource("src/Retouch.Cli/A.cs", "internal sealed class A;\n")).Message
        );
        Assert.Empty(HouseRules.CheckSource("src/Retouch.Cli/Program.cs", "return 0;\n"));
    }

    [Fact]
    public void A_file_beyond_the_maximum_length_is_caught()
    {
        Assert.Empty(Check(Sampler, new string('\n', HouseRules.LongestFile - 4) + "//"));
        Assert.Contains("351 lines", Assert.Single(Check(Sampler, new string('\n', HouseRules.LongestFile - 2) + "//")).Message);
    }

    [Fact]
    public void A_line_beyond_the_maximum_length_is_caught()
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
    public void Idiom_is_caught_with_its_plain_term(string path, string text, int line)
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
    [InlineData("tests/Retouch.Tests/Architecture/a.md", "the dearest")]
    public void Plain_code_and_exempt_words_are_allowed(string path, string text) => Assert.Empty(HouseRules.CheckWords(path, text));

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
    public void Banned_words_are_caught(string body) => Assert.Single(Check(Sampler, body));

    [Theory]
    [InlineData("// DateTime.Now is ambient")]
    [InlineData("var a = \"GC.Collect\";")]
    [InlineData("var a = @\"c:\\\"; var b = \"new Random(\";")]
    [InlineData("var a = \"\"\"say \"new Random(\" \"\"\";")]
    [InlineData("var a = '\"'; var b = \"new Random(\";")]
    [InlineData("var a = Randomness.Shared;")]
    [InlineData("var a = new RandomCrop(3);")]
    [InlineData("var mastodon = 1;")]
    public void Other_words_and_comments_are_allowed(string body) => Assert.Empty(Check(Sampler, body));

    [Theory]
    [InlineData("class A\n{\n    private readonly int count;\n}", "'count'")]
    [InlineData("class A\n{\n    private static Dictionary<string, int>? seen = null;\n}", "'seen'")]
    [InlineData("class A\n{\n    [Fact]\n    public void Sums_AreExact() { }\n}", "'AreExact'")]
    [InlineData("class A\n{\n    [Theory]\n    [InlineData(1)]\n    public async Task SumsAre_exact(int n) { }\n}", "'SumsAre'")]
    public void A_name_of_another_style_is_caught(string code, string name) =>
        Assert.Contains(name, Assert.Single(HouseRules.CheckNames("tests/A.cs", code)).Message);

    [Theory]
    [InlineData("class A\n{\n    private readonly int _count;\n    private const int Most = 3;\n}")]
    [InlineData("class A\n{\n    private int Sum(int a, int b = 0) => a + b;\n    private int Twice => 2;\n}")]
    [InlineData("class A\n{\n    [Fact]\n    public void UNet_of_PixArt_is_no_DDIM() { }\n}")]
    public void Names_of_the_style_are_allowed(string code) => Assert.Empty(HouseRules.CheckNames("tests/A.cs", code));

    [Fact]
    public void Violation_names_file_and_line() =>
        Assert.StartsWith("src/Retouch/Samplers/Euler.cs:4: 'GC.Collect'", Assert.Single(Check(Sampler, "\nGC.Collect();")).ToString());

    [Theory]
    [InlineData("using Retouch.Images;")]
    [InlineData("using Retouch.Cli;")]
    public void The_engine_may_not_mention_its_users(string body) =>
        Assert.Contains("built on it", Assert.Single(Check("src/Retouch.Torch/Nn/Linear.cs", body)).Message);

    [Theory]
    [InlineData("using Retouch.Torch;")]
    [InlineData("class A { Retouch.Images.Picture b; }")]
    public void The_core_may_not_mention_its_users(string body) =>
        Assert.Contains("built on it", Assert.Single(Check("src/Retouch.Core/Io/A.cs", body)).Message);

    [Fact]
    public void The_arena_may_not_mention_training() =>
        Assert.Contains("arena", Assert.Single(Check("src/Retouch.Arena/Pages/Vote.cs", "using Retouch.Training;")).Message);

    [Theory]
    [InlineData("using Retouch.Training;")]
    [InlineData("class A { Training.Loop b; }")]
    public void Evaluation_may_not_mention_training(string body) =>
        Assert.Contains("measured", Assert.Single(Check("src/Retouch.Evaluation/Studies/Taps.cs", body)).Message);

    [Fact]
    public void A_global_using_of_a_room_is_caught() =>
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
    public void A_forbidden_project_reference_is_caught(string name, string reference) =>
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
    public void A_project_with_project_wide_usings_is_caught() =>
        Assert.Single(HouseRules.CheckProject("src/Retouch/Retouch.csproj", "<Using Include=\"Retouch.Images\" />"));

    [Fact]
    public void Code_only_keeps_lines_and_interpolations()
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
