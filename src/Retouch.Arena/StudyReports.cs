using Retouch.Arena.Results;
using Retouch.Arena.Votes;
using Retouch.Core.Io;

namespace Retouch.Arena;

/// <summary>Reads a study, also while its server runs.</summary>
public static class StudyReports
{
    /// <summary>Results of the current votes.</summary>
    /// <param name="votesFile">File of votes.</param>
    /// <param name="time">Clock.</param>
    /// <param name="ratings">Minimum ratings per comparison; null for the study's number.</param>
    public static StudyResults Results(string votesFile, TimeProvider time, int? ratings = null)
    {
        using var file = StudyFile.Read(votesFile, time);
        return ResultsBuilder.Of(file, ratings);
    }

    /// <summary>Writes all votes as JSON Lines; returns their number.</summary>
    public static int WriteVotes(string votesFile, string path, TimeProvider time)
    {
        using var file = StudyFile.Read(votesFile, time);
        var lines = VoteLines.Of(file).ToList();
        AtomicFile.WriteText(path, string.Concat(lines.Select(static l => l + "\n")));
        return lines.Count;
    }

    /// <summary>Writes a preference data set: pictures, and metadata.jsonl with winner, loser (a list), caption and label.</summary>
    /// <param name="votesFile">File of votes.</param>
    /// <param name="folder">Folder of the study's pictures.</param>
    /// <param name="output">Output folder, new or empty.</param>
    /// <param name="options">Options of the export.</param>
    /// <param name="time">Clock.</param>
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
