using Retouch.Arena.Results;
using Retouch.Arena.Votes;
using Retouch.Core.Io;

namespace Retouch.Arena;

/// <summary>Reads a study without serving it; a server may be running on it.</summary>
public static class StudyReports
{
    /// <summary>The results as they stand.</summary>
    /// <param name="votesFile">The file of votes.</param>
    /// <param name="time">A clock.</param>
    /// <param name="ratings">Ratings that a comparison needs; null takes the study's own number.</param>
    public static StudyResults Results(string votesFile, TimeProvider time, int? ratings = null)
    {
        using var file = StudyFile.Read(votesFile, time);
        return ResultsBuilder.Of(file, ratings);
    }

    /// <summary>Writes every vote as a line of JSON; returns how many there are.</summary>
    public static int WriteVotes(string votesFile, string path, TimeProvider time)
    {
        using var file = StudyFile.Read(votesFile, time);
        var lines = VoteLines.Of(file).ToList();
        AtomicFile.WriteText(path, string.Concat(lines.Select(static l => l + "\n")));
        return lines.Count;
    }

    /// <summary>Writes a preference data set: pictures, and metadata.jsonl with winner, loser (a list) and caption.</summary>
    /// <param name="votesFile">The file of votes.</param>
    /// <param name="folder">The folder of the study's pictures.</param>
    /// <param name="output">The folder to write; new or empty.</param>
    /// <param name="options">What becomes a preference.</param>
    /// <param name="time">A clock.</param>
    public static PreferenceResult WritePreferences(
        string votesFile,
        string folder,
        string output,
        PreferenceOptions options,
        TimeProvider time
    )
    {
        using var file = StudyFile.Read(votesFile, time);
        return PreferenceExport.Write(file, Path.GetFullPath(folder), output, options);
    }
}
