using System.Text.Json;
using Retouch.Core.Io;

namespace Retouch.Core.Tests.Io;

/// <summary>Exceptions of the runtime in plain words.</summary>
public sealed class ReasonsTests
{
    [Fact]
    public void File_errors_have_plain_messages()
    {
        var folder = Directory.CreateTempSubdirectory("retouch-reasons-").FullName;
        Assert.Equal("it does not exist", Of(() => File.ReadAllText(Path.Combine(folder, "none"))));
        Assert.Equal("it does not exist", Of(() => File.ReadAllText(Path.Combine(folder, "none", "none"))));
        Assert.Equal("the folder is not empty", Of(() => Fill(folder)));
        Assert.Equal("permission is denied", Reasons.Of(new UnauthorizedAccessException("Access to the path '/x' is denied.")));
        Assert.Equal("no space is left on the disk", Reasons.Of(new IOException("No space left on device : '/x'", 28)));
        Assert.Equal("a value has the wrong type", Reasons.Of(new InvalidOperationException("Operation is not valid.")));
        Assert.Equal("the system gives no reason", Reasons.Of(new ArithmeticException("Overflow.")));
        Directory.Delete(folder, recursive: true);

        static void Fill(string folder)
        {
            File.WriteAllText(Path.Combine(folder, "a"), "");
            Directory.Delete(folder);
        }
    }

    [Fact]
    public void JSON_errors_name_the_position()
    {
        Assert.Equal("invalid JSON at character 7", Of(static () => JsonDocument.Parse("{\"a\": N}")));
        Assert.Equal("invalid JSON in line 2, at character 2", Of(static () => JsonDocument.Parse("{\n x}")));
        Assert.Equal("it is not JSON", Reasons.Of(new JsonException("x")));
    }

    private static string Of(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e)
        {
            return Reasons.Of(e);
        }

        return "nothing happened";
    }
}
