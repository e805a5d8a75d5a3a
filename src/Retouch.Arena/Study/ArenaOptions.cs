using System.Net;
using Retouch.Core.Errors;

namespace Retouch.Arena.Study;

/// <summary>Options of a study and its server.</summary>
public sealed record ArenaOptions
{
    /// <summary>Minimum length of an access token, against guessing.</summary>
    public const int ShortestToken = 16;

    /// <summary>Folder with one subfolder of pictures per model.</summary>
    public required string Folder { get; init; }

    /// <summary>File of votes; null for <c>arena.sqlite</c> in <see cref="Folder"/>.</summary>
    public string? Votes { get; init; }

    /// <summary>Title for raters; null for a generic one.</summary>
    public string? Title { get; init; }

    /// <summary>Questions in order; null: all that the pictures allow.</summary>
    public IReadOnlyList<Question>? Questions { get; init; }

    /// <summary>Compare models only with this one; null: all pairs.</summary>
    public string? Baseline { get; init; }

    /// <summary>Target and minimum ratings per comparison; 1 to 1000.</summary>
    [Bounds(AtLeast = 1, AtMost = 1000)]
    public int Ratings { get; init; } = 5;

    /// <summary>Maximum judgements per rater, without attention checks; 0: unlimited.</summary>
    [Bounds(AtLeast = 0)]
    public int PerRater { get; init; }

    /// <summary>One attention check per this many pairs; 0: none, else at least 2.</summary>
    public int CheckEvery { get; init; } = 10;

    /// <summary>Seed of sides, order and checks; null: the study's seed, 0 for a new study.</summary>
    public ulong? Seed { get; init; }

    /// <summary>Raters with personal links; empty: anyone with access can join under a name.</summary>
    public IReadOnlyList<string> Raters { get; init; } = [];

    /// <summary>Address to listen on.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>Port; 0 picks a free one.</summary>
    [Bounds(AtLeast = 0, AtMost = 65535)]
    public int Port { get; init; } = 8137;

    /// <summary>Access token for raters; null is allowed only on a loopback address.</summary>
    public string? Token { get; init; }

    /// <summary>Host names of the server besides its addresses and the machine's name.</summary>
    public IReadOnlyList<string> HostNames { get; init; } = [];

    /// <summary>Absolute path of the file of votes.</summary>
    public string VotesFile => Path.GetFullPath(Votes ?? Path.Combine(Folder, "arena.sqlite"));

    /// <summary>Checks the options.</summary>
    /// <exception cref="UsageException">An option is out of range, or a non-loopback address has no token.</exception>
    public void Validate()
    {
        var check = Requirements.OfFlags();
        check.Members(this);
        check.That(
            CheckEvery is 0 or >= 2 and <= 1000,
            nameof(CheckEvery),
            $"is {CheckEvery}; it must lie in [2, 1000], or be 0 for no attention checks"
        );
        check.That(Questions is not { Count: 0 }, nameof(Questions), "is empty; known: flaws, appeal and alignment");
        check.That(Questions is null || Questions.Distinct().Count() == Questions.Count, nameof(Questions), "contains a question twice");
        check.That(Title is null or { Length: >= 1 and <= 120 }, nameof(Title), "must have 1 to 120 characters");
        check.That(Raters.Distinct(StringComparer.OrdinalIgnoreCase).Count() == Raters.Count, nameof(Raters), "contains a name twice");
        foreach (var rater in Raters)
            check.That(
                RaterName.Tidy(rater) == rater,
                $"'{rater}' is not a valid rater name; use up to {RaterName.Longest} printable characters"
            );
        check.That(
            Token is null || Token.Length >= ShortestToken,
            $"The token has fewer than {ShortestToken} characters; 'openssl rand -hex 16' generates one"
        );
        check.That(
            IPAddress.IsLoopback(Address) || Token is not null,
            $"{Address} is reachable from other machines: set a token with --token (or RETOUCH_ARENA_TOKEN), at least "
                + $"{ShortestToken} characters"
        );
        check.Throw();
    }
}
