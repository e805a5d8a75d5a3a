using System.Text.RegularExpressions;

namespace Retouch.Tests.Architecture;

/// <summary>The word list: idioms that have a plain term in the field.</summary>
internal static partial class HouseRules
{
    /// <summary>Folders and files whose text is not checked, from the repository's root. The only such list.</summary>
    public static readonly string[] WordListExemptions =
    [
        // Quotes the idioms.
        "tests/Retouch.Tests/Architecture",
    ];

    /// <summary>A space of a pattern: white space, also across lines with comment marks.</summary>
    private const string Gap = @"[\s/#]+";

    /// <summary>Regular expressions with single spaces between words, each with its plain replacement.</summary>
    private static readonly (string Pattern, string Plain)[] Idioms =
    [
        (@"\b(how )?manieth\b", "index"),
        (@"\b(cannot|can|could|to) be had\b", "is (not) available"),
        (@"\bin hand\b", "current"),
        (@"\bat hand\b", "available"),
        (@"\bdearest\b", "most expensive"),
        (@"\bpast saving\b", "diverged"),
        (@"\bwhoever\b", "the caller, the user"),
        (@"\b(is|are|be|being|was|were) told\b(?! (apart|to)\b)", "a noun: the condition, the message"),
        (@"\bTold (how|of|that|the|what|where|which)\b", "Receives …"),
        (@"\blaid over\b|\b(lay|lays|lies) \w+ (\w+ )?over\b", "overrides, merged into"),
        (@"\btravels? along\b|\bpassengers?\b", "is copied"),
        (@"\bsleeper\b", "a suspended process"),
        (@"\b[Uu]nder which it is\b", "a noun: log name"),
        (@"\b(is|are) looked (at|into|through)\b", "is used, is analysed, is decoded"),
        (@"\bwhere nobody\b|\bnobody (asks|else|gives|listens|looks|says)\b", "or null; by default"),
        (@"\bmade anew\b", "rebuilt"),
        (@"\bstays? the caller's\b", "not disposed here"),
        (@"\bwould do nothing\b", "has no effect"),
        (@"(?<!\b[Tt]here )\bis no (cache|folder|JSON|list|member|number|run|sampler|text|valid)\b", "is not a …"),
        (@"\bspeaks? of\b", "is for, mentions"),
        (@"\bleft aside\b|\bpassed over\b", "ignored, skipped"),
        (@"\bdrowns?\b", "dominates"),
        (@"\bstrangers?\b", "untrusted, third-party"),
        (@"\b(somebody|someone) else\b", "third-party"),
        (@"\bno business of\b", "is independent of"),
        (@"\ball is well\b", "valid, empty"),
        (@"\b(go|goes|going) on (after|at|from|where|with)\b", "continues, resumes"),
        (@"\ba person should\b", "user-facing"),
        (@"\bsaid aloud\b", "reported"),
        (@"\b(is|are|was|were) asked for\b", "is requested"),
        (@"\bworth naming\b", "relevant, significant"),
        (@"\bof (its|their|his) own\b", "separate"),
        (@"\bmade-up\b", "synthetic, random"),
        (@"\bmends?\b|\bmended\b", "fixes, fixed"),
        (@"\byardstick\b", "reference"),
        (@"\bputs? out\b", "outputs, writes"),
        (@"\bg(ave|ives?|iven) back\b", "returns, releases"),
        (@"\bhalf the width\b", "half-width"),
        (@"\b(is|are|was|were) said\b", "is stated, is reported"),
        (@"\bit lies between\b", "must be … to …"),
        (@"\bhow sure\b", "confidence"),
        (@"\bby looks\b", "selected"),
        (@"\bthat is no (covariance|mean|number|pipeline)\b", "is not a …"),
        (@"\bwhich is (none|no) \b", "is not one of, is not a"),
        (@"\bdoes nothing (for|with)\b", "has no effect"),
        (@"\bas people (count|have|write)\b", "natural, common"),
        (@"\bdrawn anew\b|\bsaved? anew\b|\bbuilt anew\b|\bwritten anew\b", "again, rebuilt"),
        (@"<(param|summary)[^>]*>[\s/]*(By (how many|what|which)|Told|Under which|Whose|With what)\b", "a noun phrase"),
    ];

    /// <summary>
    /// Checks the words of a text file: of comments and string literals in C#, of everything elsewhere. Phrases may break across lines.
    /// </summary>
    public static IEnumerable<Violation> CheckWords(string path, string text)
    {
        if (WordListExemptions.Any(folder => path == folder || path.StartsWith(folder + "/", StringComparison.Ordinal)))
            return [];
        var prose = path.EndsWith(".cs", StringComparison.Ordinal) ? CSharpText.ProseOnly(text) : text;
        return Idioms
            .SelectMany(idiom => Regex.Matches(prose, idiom.Pattern.Replace(" ", Gap)).Select(match => (match, idiom.Plain)))
            .Select(found => new Violation(
                path,
                LineOf(text, found.match.Index),
                $"'{One(found.match.Value)}' is idiom; plain: {found.Plain}"
            ))
            .OrderBy(static violation => violation.Line);
    }

    private static string One(string phrase) => Regex.Replace(phrase, Gap, " ");
}
