using System.Text.Json;
using Retouch.Core.Io;
using Retouch.Core.Json;

namespace Retouch.Evaluation.Judging;

/// <summary>
/// Writes what an automatic judge decided as a data set of pairs: <c>images/</c>, <c>metadata.jsonl</c> with <c>winner</c>, <c>loser</c>,
/// <c>caption</c> and <c>label</c>, and who judged beside each pair; <c>scores.jsonl</c> with every candidate's score, <c>judge.json</c>
/// with the protocol, and <c>README.md</c>, so that nobody takes the pairs for people's votes.
/// </summary>
internal static class JudgedPairs
{
    /// <summary>Writes the folder, as a whole or not at all.</summary>
    public static void Write(
        Judgement judgement,
        IReadOnlyList<JudgedPair> pairs,
        IReadOnlyList<ScoredCandidate> candidates,
        JudgeOptions options
    ) =>
        AtomicFolder.Write(
            judgement.Folder,
            folder =>
            {
                foreach (var candidate in pairs.SelectMany(static p => new[] { p.Winner.Candidate, p.Loser.Candidate }).Distinct())
                    Put(candidate, folder, options.Link);
                var (judge, weights) = (judgement.Judge.Judge, judgement.Judge.Sha256);
                WriteLines(
                    folder,
                    "metadata.jsonl",
                    pairs.Select(p => new
                    {
                        Winner = NameOf(p.Winner.Candidate),
                        Loser = NameOf(p.Loser.Candidate),
                        Caption = p.Winner.Candidate.Prompt,
                        p.Winner.Candidate.Label,
                        Automatic = true,
                        Judge = judge,
                        WinnerScore = p.Winner.Score,
                        LoserScore = p.Loser.Score,
                        JudgeSha256 = weights,
                    })
                );
                WriteLines(
                    folder,
                    "scores.jsonl",
                    candidates.Select(static c => new
                    {
                        Picture = c.Candidate.Name,
                        Caption = c.Candidate.Prompt,
                        c.Candidate.Label,
                        c.Score,
                        c.Sha256,
                    })
                );
                File.WriteAllText(
                    Path.Combine(folder, "judge.json"),
                    JsonSerializer.Serialize(
                        new
                        {
                            Automatic = true,
                            Protocol = judgement.Judge,
                            options.Pairs,
                            options.Margin,
                            options.BatchSize,
                            Result = new
                            {
                                judgement.Candidates,
                                judgement.Prompts,
                                judgement.Alone,
                                judgement.Pairs,
                                judgement.Ties,
                                judgement.Scores,
                                judgement.Margins,
                            },
                        },
                        JsonStyles.DatasetDocument
                    ) + "\n"
                );
                File.WriteAllText(Path.Combine(folder, "README.md"), Readme(judgement, options));
            }
        );

    private static string NameOf(Candidate candidate) => "images/" + candidate.Name;

    private static void WriteLines<T>(string folder, string name, IEnumerable<T> lines) =>
        File.WriteAllText(
            Path.Combine(folder, name),
            string.Concat(lines.Select(static l => JsonSerializer.Serialize(l, JsonStyles.Dataset) + "\n"))
        );

    private static void Put(Candidate candidate, string folder, bool link)
    {
        var target = Path.Combine(folder, "images", candidate.Name.Replace('/', Path.DirectorySeparatorChar));
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        if (!link || !HardLink.TryMake(candidate.Path, target))
            File.Copy(candidate.Path, target);
    }

    private static string Readme(Judgement judgement, JudgeOptions options) =>
        FormattableString.Invariant(
            $"""
            # Pairs that no person judged

            These {judgement.Pairs} pairs were decided by a program (`retouch judge`), by the measure `{judgement.Judge.Judge}`:
            {judgement.Judge.Score}. They say which picture has the higher score, not which one people prefer.

            * Network: {judgement.Judge.Model ?? "none"}{(judgement.Judge.Sha256 is { } hash ? $", SHA-256 of its weights {hash}" : "")}
            * Candidates: {judgement.Candidates} of {judgement.Prompts} prompts; {judgement.Alone} prompts had a single one
            * Pairs: {(
                options.Pairs == JudgedPairing.All ? "every two candidates" : "the best and the worst candidate"
            )} of a prompt, at least {options.Margin} apart; {judgement.Ties} ties left out

            `metadata.jsonl` has a pair a line, `scores.jsonl` every candidate's score, `judge.json` the protocol.

            """
        );
}
