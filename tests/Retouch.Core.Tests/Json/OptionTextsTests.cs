using System.Xml.Linq;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Core.Tests.Json;

public class OptionTextsTests
{
    [Theory]
    [InlineData("Samples per\n    step,   at least 1.", "Samples per step, at least 1.")]
    [InlineData("The path <c>from</c> &lt;x&gt;.", "The path from <x>.")]
    [InlineData("Exponent of <see cref=\"F:Retouch.Torch.Optim.Shape.LogSigmoid\"/>.", "Exponent of log-sigmoid.")]
    [InlineData(
        "With <see cref=\"P:Retouch.Training.Options.DataOptions.CacheLatents\"/> and <see langword=\"null\"/>",
        "With cacheLatents and null"
    )]
    [InlineData("See <see cref=\"T:Retouch.Data.Quarantine\"/> and <see cref=\"M:A.B.Of(System.Int32,C.D)\"/>", "See Quarantine and Of")]
    public void Doc_comments_become_one_line_of_text(string comment, string expected) =>
        Assert.Equal(expected, OptionTexts.Plain(XElement.Parse($"<summary>{comment}</summary>")));

    [Fact]
    public void A_member_has_the_summary_of_its_doc_comment() =>
        Assert.Equal("Process exit code.", OptionTexts.Of(typeof(RetouchException).GetProperty(nameof(RetouchException.ExitCode))!));

    [Fact]
    public void A_missing_documentation_file_is_an_error_of_the_environment() =>
        Assert.Contains("absent.xml", Assert.Throws<EnvironmentException>(static () => OptionTexts.Load("absent.xml")).Message);
}
