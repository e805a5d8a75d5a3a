using System.Net;
using Retouch.Core.Errors;

namespace Retouch.Arena.Study;

/// <summary>How a study is run and served.</summary>
public sealed record ArenaOptions
{
    /// <summary>The fewest characters of an access token: what is guessed over a network must be long.</summary>
    public const int ShortestToken = 16;

    /// <summary>The folder with one subfolder of pictures for each model.</summary>
    public required string Folder { get; init; }

    /// <summary>The file of votes; null for <c>arena.sqlite</c> in <see cref="Folder"/>.</summary>
    public string? Votes { get; init; }

    /// <summary>What raters see as the title; null for a general one.</summary>
    public string? Title { get; init; }

    /// <summary>What is asked, in this order; null for all questions that the pictures allow.</summary>
    public IReadOnlyList<Question>? Questions { get; init; }

    /// <summary>Only compare other models with this one; null compares every two.</summary>
    public string? Baseline { get; init; }

    /// <summary>Ratings that every comparison should get, and needs before it counts; 1 to 1000.</summary>
    public int Ratings { get; init; } = 5;

    /// <summary>Most judgements of one rater, attention checks aside; 0 for no limit.</summary>
    public int PerRater { get; init; }

    /// <summary>One in this many pairs is an attention check; 0 for none, else at least 2.</summary>
    public int CheckEvery { get; init; } = 10;

    /// <summary>Decides sides, order and checks; null takes the study's own, which is 0 for a new one.</summary>
    public ulong? Seed { get; init; }

    /// <summary>Raters who are invited by links of their own; empty lets everyone with access join by a name.</summary>
    public IReadOnlyList<string> Raters { get; init; } = [];

    /// <summary>The address to listen on.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>The port; 0 for any that is free.</summary>
    public int Port { get; init; } = 8137;

    /// <summary>What raters need to get in; null for none, which only the loopback address allows.</summary>
    public string? Token { get; init; }

    /// <summary>Names under which the server is reached besides its addresses and the machine's name.</summary>
    public IReadOnlyList<string> HostNames { get; init; } = [];

    /// <summary>The file of votes, as an absolute path.</summary>
    public string VotesFile => Path.GetFullPath(Votes ?? Path.Combine(Folder, "arena.sqlite"));

    /// <summary>Checks the options.</summary>
    /// <exception cref="UsageException">One is out of range, or an address beyond this machine lacks a token.</exception>
    public void Validate()
    {
        Require(Ratings is >= 1 and <= 1000, $"--ratings is {Ratings}; it lies between 1 and 1000.");
        Require(PerRater >= 0, $"--per-rater is {PerRater}; it is at least 1, or 0 for no limit.");
        Require(
            CheckEvery is 0 or >= 2 and <= 1000,
            $"--check-every is {CheckEvery}; it lies between 2 and 1000, or is 0 for no attention checks."
        );
        Require(Port is >= 0 and <= 65535, $"--port is {Port}; it lies between 0 and 65535.");
        Require(Questions is not { Count: 0 }, "--questions names none; there are flaws, appeal and alignment.");
        Require(Questions is null || Questions.Distinct().Count() == Questions.Count, "--questions names one of them twice.");
        Require(Title is null or { Length: >= 1 and <= 120 }, "--title has 1 to 120 characters.");
        Require(Raters.Distinct(StringComparer.OrdinalIgnoreCase).Count() == Raters.Count, "--raters names somebody twice.");
        foreach (var rater in Raters)
            Require(
                RaterName.Tidy(rater) == rater,
                $"'{rater}' is no name for a rater; use up to {RaterName.Longest} printable characters."
            );
        Require(
            Token is null || Token.Length >= ShortestToken,
            $"The token has fewer than {ShortestToken} characters; 'openssl rand -hex 16' makes a good one."
        );
        Require(
            IPAddress.IsLoopback(Address) || Token is not null,
            $"{Address} can be reached from other machines: give raters a token with --token (or RETOUCH_ARENA_TOKEN), at least "
                + $"{ShortestToken} characters."
        );
    }

    private static void Require(bool holds, string message)
    {
        if (!holds)
            throw new UsageException(message);
    }
}
