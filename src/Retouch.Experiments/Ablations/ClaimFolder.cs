using System.Globalization;
using System.Text;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Training.Options;

namespace Retouch.Experiments.Ablations;

/// <summary>
/// Distributes jobs among processes that share a folder, without a server and without locks. A claim on a job is a file <c>ID.N</c>,
/// created exclusively; the highest N is valid. Its owner increments a heartbeat in the file. If the owner has released the claim, is dead
/// (same machine), or its heartbeat has not changed for long (any machine; by the observer's clock, so that clocks need not agree), another
/// process takes over by creating <c>ID.N+1</c>. A suspended owner finds that file at its next heartbeat and stops.
/// </summary>
/// <param name="folder">Shared folder.</param>
/// <param name="time">Clock.</param>
/// <param name="staleAfter">Time without heartbeat after which a claim is stale.</param>
internal sealed class ClaimFolder(string folder, TimeProvider time, TimeSpan staleAfter)
{
    private readonly Dictionary<string, (string Text, long Since)> _seen = [];

    /// <summary>Interval of heartbeats.</summary>
    public TimeSpan BeatEvery => staleAfter / 8;

    /// <summary>Claims a job; null if another process holds it.</summary>
    /// <param name="id">Identifier of the job; usable as a file name.</param>
    /// <exception cref="EnvironmentException">The folder is not writable.</exception>
    public Claim? TryTake(string id)
    {
        var newest = Newest(folder, id);
        if (newest > 0 && !IsFree(id, newest))
            return null;
        var path = FileOf(folder, id, newest + 1);
        try
        {
            Directory.CreateDirectory(folder);
            using var stream = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.Read);
            stream.Write(Encoding.UTF8.GetBytes(OptionsFile.Write(ClaimOwner.Me)));
        }
        catch (IOException) when (File.Exists(path))
        {
            // Another process was faster.
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EnvironmentException($"Cannot write the claim '{path}': {Reasons.Of(e)}.", e);
        }

        return new Claim(folder, id, newest + 1, newest > 0 && Owner(folder, id, newest) is not { Released: true }, time, BeatEvery);
    }

    internal static string FileOf(string folder, string id, int generation) =>
        Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{id}.{generation}"));

    /// <summary>Highest claim on a job; 0 without any.</summary>
    internal static int Newest(string folder, string id)
    {
        if (!Directory.Exists(folder))
            return 0;
        var start = id.Length + 1;
        return Directory
            .EnumerateFiles(folder, id + ".*")
            .Select(static f => Path.GetFileName(f))
            .Select(name => int.TryParse(name.AsSpan(start), NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : 0)
            .DefaultIfEmpty(0)
            .Max();
    }

    /// <summary>Content of a claim; null while it is being written.</summary>
    internal static ClaimOwner? Owner(string folder, string id, int generation)
    {
        try
        {
            var path = FileOf(folder, id, generation);
            return OptionsFile.Bind<ClaimOwner>(OptionsFile.Read(path), path);
        }
        catch (RetouchException)
        {
            return null;
        }
    }

    private bool IsFree(string id, int generation)
    {
        var owner = Owner(folder, id, generation);
        if (owner is { Released: true } or { IsDead: true })
            return true;
        var said = string.Create(CultureInfo.InvariantCulture, $"{generation} {owner?.Beat}");
        if (!_seen.TryGetValue(id, out var before) || before.Text != said)
        {
            _seen[id] = (said, time.GetTimestamp());
            return false;
        }

        return time.GetElapsedTime(before.Since) >= staleAfter;
    }
}

/// <summary>Claimed job, released on disposal.</summary>
internal sealed class Claim : IDisposable
{
    private readonly string _folder;
    private readonly string _id;
    private readonly int _generation;
    private readonly Lock _writing = new();
    private readonly CancellationTokenSource _lost = new();
    private readonly ITimer _timer;
    private long _beat;
    private bool _released;

    public Claim(string folder, string id, int generation, bool takenOver, TimeProvider time, TimeSpan every)
    {
        (_folder, _id, _generation, TakenOver) = (folder, id, generation, takenOver);
        _timer = time.CreateTimer(_ => Beat(), null, every, every);
    }

    /// <summary>Whether the previous owner was interrupted.</summary>
    public bool TakenOver { get; }

    /// <summary>Cancelled if another process took over because this one was suspended for too long.</summary>
    public CancellationToken Lost => _lost.Token;

    /// <summary>Writes a heartbeat, and checks for a newer claim.</summary>
    internal void Beat()
    {
        lock (_writing)
        {
            if (_released)
                return;
            if (IsTakenOver())
            {
                _lost.Cancel();
                return;
            }

            Write(ClaimOwner.Me with { Beat = ++_beat });
        }
    }

    /// <summary>Releases the claim.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        lock (_writing)
        {
            if (_released)
                return;
            _released = true;
            Write(ClaimOwner.Me with { Beat = _beat, Released = true });
        }

        _lost.Dispose();
    }

    private bool IsTakenOver()
    {
        try
        {
            return ClaimFolder.Newest(_folder, _id) > _generation;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The shared folder is temporarily unavailable; the next heartbeat checks again.
            return false;
        }
    }

    private void Write(ClaimOwner owner)
    {
        try
        {
            AtomicFile.WriteText(ClaimFolder.FileOf(_folder, _id, _generation), OptionsFile.Write(owner));
        }
        catch (EnvironmentException)
        {
            // A missed heartbeat is harmless; without any, another process rightly takes over.
        }
    }
}
