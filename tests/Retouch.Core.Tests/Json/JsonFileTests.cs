using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Core.Tests.Json;

public sealed class JsonFileTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    private sealed record Planted(int Count);

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void Objects_and_records_are_read()
    {
        File.WriteAllText(_path, """{ "count": 3 }""");
        Assert.Equal(3, (int)JsonFile.Object(_path, "Write another.")["count"]!);
        Assert.Equal(new Planted(3), JsonFile.Read<Planted>(_path, JsonStyles.State, "Write another."));
    }

    [Theory]
    [InlineData("[1]")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("""{ "count": "x" }""", false)]
    public void Broken_files_are_named_with_what_to_do(string text, bool isBroken = true)
    {
        File.WriteAllText(_path, text);
        List<string> messages =
        [
            Assert.Throws<InputException>(() => JsonFile.Read<Planted>(_path, JsonStyles.State, "Write another.")).Message,
        ];
        if (isBroken)
            messages.Add(Assert.Throws<InputException>(() => JsonFile.Object(_path, "Write another.")).Message);
        Assert.All(
            messages,
            message =>
            {
                Assert.Contains($"'{_path}'", message);
                Assert.EndsWith(". Write another.", message);
                Assert.DoesNotContain("System.", message);
            }
        );
    }

    [Fact]
    public void A_missing_file_is_named_with_what_to_do() =>
        Assert.EndsWith(
            "it does not exist. Write another.",
            Assert.Throws<InputException>(() => JsonFile.Object(_path + "-not-there", "Write another.")).Message
        );
}
