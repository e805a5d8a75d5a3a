using Retouch.Core.Errors;

namespace Retouch.Arena.Study;

/// <summary>Questions for raters, as in the human evaluation of the pixel-space paper.</summary>
public enum Question
{
    /// <summary>Which of two pictures has fewer visual flaws? The prompt is hidden; minor and major flaws may be marked.</summary>
    Flaws,

    /// <summary>Which of two pictures is more appealing? The prompt is hidden.</summary>
    Appeal,

    /// <summary>Does this picture match its prompt? One picture, yes or no.</summary>
    Alignment,
}

/// <summary>Questions by their names in options, files and messages.</summary>
public static class Questions
{
    /// <summary>Name of a question.</summary>
    public static string Name(this Question question) =>
        question switch
        {
            Question.Flaws => "flaws",
            Question.Appeal => "appeal",
            _ => "alignment",
        };

    /// <summary>Whether two pictures are compared.</summary>
    public static bool IsPaired(this Question question) => question != Question.Alignment;

    /// <summary>Question of a name.</summary>
    /// <exception cref="UsageException">The name is unknown.</exception>
    public static Question Parse(string name) =>
        name.ToLowerInvariant() switch
        {
            "flaws" => Question.Flaws,
            "appeal" => Question.Appeal,
            "alignment" => Question.Alignment,
            _ => throw new UsageException($"Unknown question '{name}'; known: flaws, appeal and alignment."),
        };
}
