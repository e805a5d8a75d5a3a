using System.Security.Cryptography;
using Retouch.Core.Errors;
using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Evaluation.Judging;

/// <summary>
/// Judges candidates by a measure, without human raters: scores, winners and losers, and a data set of pairs that names the judge.
/// </summary>
public static class CandidateJudge
{
    /// <summary>Scores all candidates, forms pairs within each prompt, and writes them. Deterministic.</summary>
    /// <param name="folders">Folders of pictures, each with a prompt or a class.</param>
    /// <param name="measure">Measure of the scores; not disposed.</param>
    /// <param name="options">Rules for pairs.</param>
    /// <param name="output">Output folder; new or empty.</param>
    /// <param name="progress">Receives the numbers of completed and of all pictures.</param>
    /// <param name="cancellation">Cancels between batches.</param>
    /// <exception cref="UsageException">An option is out of range, a folder is given twice, or the output is not empty.</exception>
    /// <exception cref="InputException">A picture cannot be read or has no prompt, sizes differ within a prompt, or no pairs
    /// remain.</exception>
    public static Judgement Judge(
        IReadOnlyList<string> folders,
        ICandidateMeasure measure,
        JudgeOptions options,
        string output,
        Action<int, int>? progress = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(folders);
        ArgumentNullException.ThrowIfNull(measure);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        if (File.Exists(output) || (Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any()))
            throw new UsageException(
                $"'{output}' is not empty. Choose another folder with --output; existing files are never overwritten."
            );
        var groups = CandidateFolders.Read(folders);
        if (measure.NeedsPrompts && groups.FirstOrDefault(static g => g[0].Prompt is null) is { } wordless)
            throw new InputException(
                $"'{wordless[0].Path}' has a class but no prompt, which {measure.Protocol.Judge} requires. Add "
                    + $"a \"text\" in metadata.jsonl, or judge by another measure."
            );
        if (groups.All(static g => g.Count < 2))
            throw new InputException(
                $"Each of the {groups.Count} prompts has only one candidate, so that no comparison is possible. Sample several "
                    + $"(retouch sample --images-per-prompt), or give folders of several models."
            );
        var scored = Score(groups, measure, options.BatchSize, progress, cancellation);
        List<JudgedPair> pairs = [];
        var ties = 0;
        foreach (var group in scored)
        {
            var (decided, near) = Decide(group, options);
            pairs.AddRange(decided);
            ties += near;
        }

        ScoredCandidate[] all = [.. scored.SelectMany(static g => g)];
        var scores = ScoreDistribution.Of(all.Select(static c => c.Score));
        if (pairs.Count == 0)
            throw new InputException(
                $"All {ties} comparisons are ties: scores from {scores.Lowest:G6} to {scores.Highest:G6}, with a margin of "
                    + $"{options.Margin:G6}. Lower --margin, or sample more candidates."
            );
        var judgement = new Judgement(
            Path.GetFullPath(output),
            measure.Protocol,
            all.Length,
            scored.Count,
            scored.Count(static g => g.Count < 2),
            pairs.Count,
            ties,
            scores,
            ScoreDistribution.Of(pairs.Select(static p => p.Margin))
        );
        JudgedPairs.Write(judgement, pairs, all, options);
        return judgement;
    }

    /// <summary>
    /// Pairs of one prompt's candidates, and the number of ties. The sort is stable: among equal scores the first candidate is the better.
    /// </summary>
    internal static (IReadOnlyList<JudgedPair> Pairs, int Ties) Decide(IReadOnlyList<ScoredCandidate> group, JudgeOptions options)
    {
        if (group.Count < 2)
            return ([], 0);
        ScoredCandidate[] ranked = [.. group.OrderByDescending(static c => c.Score)];
        IEnumerable<JudgedPair> compared =
            options.Pairs == JudgedPairing.BestWorst
                ? [new(ranked[0], ranked[^1])]
                : ranked.SelectMany((winner, k) => ranked[(k + 1)..].Select(loser => new JudgedPair(winner, loser)));
        var decided = compared.ToLookup(p => p.Margin > 0 && p.Margin >= options.Margin);
        return ([.. decided[true]], decided[false].Count());
    }

    private static List<IReadOnlyList<ScoredCandidate>> Score(
        IReadOnlyList<IReadOnlyList<Candidate>> groups,
        ICandidateMeasure measure,
        int batchSize,
        Action<int, int>? progress,
        CancellationToken cancellation
    )
    {
        // Identical files share one score: rounding that depends on the position in a batch must not create a winner.
        var scores = new Dictionary<(string Sha256, string? Prompt), double>();
        List<(Picture Picture, string Sha256, Candidate Candidate)> waiting = [];
        List<(Candidate Candidate, string Sha256)[]> hashed = [];
        var (done, total) = (0, groups.Sum(static g => g.Count));
        foreach (var group in groups)
        {
            (int Width, int Height)? size = null;
            var hashes = new List<(Candidate, string)>();
            foreach (var candidate in group)
            {
                cancellation.ThrowIfCancellationRequested();
                var content = File.ReadAllBytes(candidate.Path);
                var sha256 = Convert.ToHexStringLower(SHA256.HashData(content));
                hashes.Add((candidate, sha256));
                progress?.Invoke(++done, total);
                var picture = PictureFile.Decode(content, candidate.Path).Picture;
                if (size is { } first && first != (picture.Width, picture.Height))
                    throw new InputException(
                        $"'{candidate.Path}' has {picture.Width} x {picture.Height} pixels, another candidate of "
                            + $"{candidate.Subject} {first.Width} x {first.Height}; scores of different sizes are not comparable. Sample "
                            + $"them in one size."
                    );
                size = (picture.Width, picture.Height);
                if (!scores.TryAdd((sha256, candidate.Prompt), double.NaN))
                    continue;
                if (waiting.Count == batchSize || (waiting.Count > 0 && (waiting[0].Picture.Width, waiting[0].Picture.Height) != size))
                    Flush();
                waiting.Add((picture, sha256, candidate));
            }

            hashed.Add([.. hashes]);
        }

        Flush();
        return
        [
            .. hashed.Select(g =>
                (IReadOnlyList<ScoredCandidate>)
                    [.. g.Select(c => new ScoredCandidate(c.Candidate, c.Sha256, scores[(c.Sha256, c.Candidate.Prompt)]))]
            ),
        ];

        void Flush()
        {
            using var scope = TensorScope.Enter();
            var found = measure.Of(
                ToTensor([.. waiting.Select(static w => w.Picture)]),
                [.. waiting.Select(static w => w.Candidate.Prompt ?? "")]
            );
            for (var k = 0; k < found.Length; k++)
            {
                var (_, sha256, candidate) = waiting[k];
                scores[(sha256, candidate.Prompt)] = double.IsFinite(found[k])
                    ? found[k]
                    : throw new InputException(
                        $"The {measure.Protocol.Judge} of '{candidate.Path}' is {found[k]}; check the weights of the judge."
                    );
            }

            waiting.Clear();
        }
    }

    private static Tensor ToTensor(Picture[] pictures)
    {
        using var scope = TensorScope.Enter();
        var (width, height) = (pictures[0].Width, pictures[0].Height);
        var size = Picture.Channels * width * height;
        var planes = new byte[checked(pictures.Length * size)];
        for (var k = 0; k < pictures.Length; k++)
            pictures[k].CopyToPlanes(planes.AsSpan(k * size, size));
        return scope.Keep(Tensor.From(planes, pictures.Length, Picture.Channels, height, width).To(DType.Float32) / 255);
    }
}
