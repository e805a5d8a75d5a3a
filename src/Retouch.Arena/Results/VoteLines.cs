using System.Text.Json;
using Retouch.Arena.Material;
using Retouch.Arena.Study;
using Retouch.Arena.Votes;
using Retouch.Core.Json;

namespace Retouch.Arena.Results;

/// <summary>All votes as JSON Lines.</summary>
internal static class VoteLines
{
    /// <summary>One line per valid vote, including those of excluded raters and attention checks, marked as such.</summary>
    public static IEnumerable<string> Of(StudyFile file)
    {
        var items = file.Items().ToDictionary(static i => i.Key);
        return file
            .Votes.Standing()
            .Select(vote => JsonSerializer.Serialize(Line(vote, items.GetValueOrDefault(vote.Given.Task.Item)), JsonStyles.DatasetTable));
    }

    private static object Line(Vote vote, StudyItem? item)
    {
        var task = vote.Given.Task;
        var (left, right) = vote.Given.Swapped ? (task.Second, task.First) : (task.First, task.Second);
        return new
        {
            vote.At,
            vote.Rater,
            vote.Excluded,
            Question = task.Question.Name(),
            Check = task.Kind == TaskKind.Judge ? null : task.Kind.ToString().ToLowerInvariant(),
            task.Item,
            item?.Prompt,
            item?.Label,
            Left = task.Question.IsPaired() ? left : task.First,
            Right = task.Question.IsPaired() ? right : null,
            Answer = vote.Answer.ToString().ToLowerInvariant(),
            Preferred = task.Kind != TaskKind.Judge || !task.Question.IsPaired() || vote.Outcome == 0 ? null
            : vote.Outcome > 0 ? task.First
            : task.Second,
            LeftFlaws = vote.LeftFlaws?.ToString().ToLowerInvariant(),
            RightFlaws = vote.RightFlaws?.ToString().ToLowerInvariant(),
            vote.Milliseconds,
        };
    }
}
