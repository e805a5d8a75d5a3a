using Retouch.Arena.Votes;
using Retouch.Data;

namespace Retouch.Arena.Study;

/// <summary>Progress of a rater.</summary>
/// <param name="Done">Valid judgements, including attention checks.</param>
/// <param name="Total">Expected total with the current votes.</param>
internal sealed record Progress(int Done, int Total);

/// <summary>
/// Chooses a rater's next task: by question, then fewest ratings first, in an order specific to the rater. An assigned task stays assigned
/// until it is judged, across restarts of browser and server.
/// </summary>
internal sealed class Scheduler(StudyFile file, StudyPlan plan, ArenaOptions options, ulong seed)
{
    private const ulong OrderStream = 0x6F72646572;
    private const ulong SideStream = 0x7369646573;
    private const ulong CheckStream = 0x636865636B;

    /// <summary>Current task of the rater, assigned now if there is none; null after the last task.</summary>
    public (Assignment? Current, Progress Progress) Next(long rater) =>
        file.Database.Transaction(() =>
        {
            var given = file.Assignments.Of(rater);
            var open = Open(rater, given);
            var current = file.Assignments.Outstanding(rater) ?? Give(rater, given.Count, open);
            var done = file.Votes.Count(rater);
            // An assigned task is no longer among the open ones.
            var left = open.Count + given.Count - done;
            return (current, new Progress(done, done + Math.Max(left, current is null ? 0 : 1)));
        });

    private Assignment? Give(long rater, int position, List<StudyTask> open)
    {
        if (open.Count == 0)
            return null;
        var task = CheckAt(rater, position, open[0]) ?? open[0];
        var swapped = (SplitMix64.Derive(seed, SideStream, (ulong)rater, (ulong)position) & 1) == 1;
        return file.Assignments.Add(rater, position, task, swapped);
    }

    /// <summary>Open tasks of the rater, the next one first.</summary>
    private List<StudyTask> Open(long rater, List<Assignment> given)
    {
        var ratings = file.Votes.Tally().ToDictionary(static t => (t.Question, t.Task), static t => t.Ratings);
        var seen = given.Select(static a => (a.Task.Question, a.Task.Key)).ToHashSet();
        var spent = given.Where(static a => a.Task.Kind == TaskKind.Judge).CountBy(static a => a.Task.Question).ToDictionary();
        var open = plan
            .Tasks.Select(
                (task, index) =>
                    (
                        Task: task,
                        Order: SplitMix64.Derive(seed, OrderStream, (ulong)rater, (ulong)index),
                        Ratings: ratings.GetValueOrDefault((task.Question, task.Key))
                    )
            )
            .Where(t => t.Ratings < options.Ratings && !seen.Contains((t.Task.Question, t.Task.Key)))
            .GroupBy(static t => t.Task.Question)
            .ToDictionary(
                static g => g.Key,
                static g => g.OrderBy(static t => t.Ratings).ThenBy(static t => t.Order).Select(static t => t.Task).ToList()
            );
        if (options.PerRater == 0)
            return [.. plan.Questions.SelectMany(q => open.GetValueOrDefault(q, []))];
        return Limited(open, spent);
    }

    /// <summary>Splits a rater's limit between the questions; unused parts are redistributed.</summary>
    private List<StudyTask> Limited(Dictionary<Question, List<StudyTask>> open, Dictionary<Question, int> spent)
    {
        var left = Math.Max(0, options.PerRater - spent.Values.Sum());
        var share = (options.PerRater + plan.Questions.Count - 1) / plan.Questions.Count;
        var within = plan
            .Questions.SelectMany(q => open.GetValueOrDefault(q, []).Take(Math.Max(0, share - spent.GetValueOrDefault(q))))
            .ToList();
        var beyond = plan.Questions.SelectMany(q => open.GetValueOrDefault(q, []).Skip(Math.Max(0, share - spent.GetValueOrDefault(q))));
        return [.. within.Concat(beyond).Take(left)];
    }

    /// <summary>Replaces <paramref name="next"/> by an attention check at one random position per stretch of tasks.</summary>
    private StudyTask? CheckAt(long rater, int position, StudyTask next)
    {
        if (options.CheckEvery == 0 || !next.Question.IsPaired())
            return null;
        var stretch = (ulong)(position / options.CheckEvery);
        var random = new SplitMix64(SplitMix64.Derive(seed, CheckStream, (ulong)rater, stretch));
        // Never the first task: the rater has not seen the question yet.
        if (Math.Max(1, random.NextInt(options.CheckEvery)) != position % options.CheckEvery)
            return null;
        var pairs = plan.Tasks.Where(t => t.Question == next.Question).ToList();
        var source = pairs[random.NextInt(pairs.Count)];
        var model = random.NextInt(2) == 0 ? source.First : source.Second!;
        return new(next.Question, random.NextInt(2) == 0 ? TaskKind.Identical : TaskKind.Degraded, source.Item, model, model);
    }
}
