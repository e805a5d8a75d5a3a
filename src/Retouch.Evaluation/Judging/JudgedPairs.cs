using System.Text.Json;
using Retouch.Core.Io;
using Retouch.Core.Json;

namespace Retouch.Evaluation.Judging;

/// <summary>
/// Writes the pairs of an automatic judge as a data set: <c>images/</c>, <c>metadata.jsonl</c> with <c>winner</c>, <c>loser</c>,
/// <c>caption</c>, <c>label</c> and the judge of each pair; <c>scores.jsonl</c> with the scores of all candidates, <c>judge.json</c> with
/// the protocol, and <c>README.md</c>, which states that the pairs are not human votes.
/// </summary>
internal static class JudgedPairs
{
    /// <summary>Writes the folder atomically.</summary>
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
            # Automatically judged pairs

            A program (`retouch judge`) selected the winners of these {judgement.Pairs} pairs by the measure `{judgement.Judge.Judge}`:
            {judgement.Judge.Score}. The winner has the higher score; no person has compared the pictures.

            * Network: {judgement.Judge.Model ?? "none"}{(judgement.Judge.Sha256 is { } hash ? $", SHA-256 of the weights {hash}" : "")}
            * Candidates: {judgement.Candidates} of {judgement.Prompts} prompts; {judgement.Alone} prompts with a single candidate
            * Pairs: {(
                options.Pairs == JudgedPairing.All ? "all pairs of candidates" : "the best with the worst candidate"
            )} of a prompt, margin at least {options.Margin}; {judgement.Ties} ties excluded

            `metadata.jsonl` has one pair per line, `scores.jsonl` the scores of all candidates, `judge.json` the protocol.

            """
        );
}
