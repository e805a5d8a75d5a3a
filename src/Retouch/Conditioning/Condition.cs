using Retouch.Torch;

namespace Retouch.Conditioning;

/// <summary>
/// What a denoiser is told besides the noisy latent and the time. Which members it needs is the architecture's; the rest are null.
/// </summary>
/// <param name="ClassLabels">int64 [batch]; the number of classes stands for "no class" (classifier-free guidance).</param>
public sealed record Condition(Tensor? ClassLabels = null)
{
    /// <summary>
    /// Token embeddings of the prompt, [batch, tokens, width]: one text encoder's, or several put together as the model's pipeline does.
    /// </summary>
    public Tensor? Text { get; init; }

    /// <summary>Which tokens count, int64 [batch, tokens], 1 for a token and 0 for padding; null where all of them do.</summary>
    public Tensor? TextMask { get; init; }

    /// <summary>One vector for the whole prompt, [batch, width].</summary>
    public Tensor? Pooled { get; init; }

    /// <summary>
    /// SDXL's micro-conditioning (Podell et al. 2023, section 2.2), [batch, 6] in pixels: original height and width, top and left of the
    /// crop, target height and width.
    /// </summary>
    public Tensor? TimeIds { get; init; }

    /// <summary>Samples, or null where the condition says nothing about any.</summary>
    public int? Batch => Members.FirstOrDefault(static t => t is not null) is { } any ? checked((int)any.Shape[0]) : null;

    private Tensor?[] Members => [ClassLabels, Text, TextMask, Pooled, TimeIds];

    /// <summary>Some samples of the batch, in memory that is shared.</summary>
    /// <param name="start">The first.</param>
    /// <param name="count">How many.</param>
    public Condition Narrow(int start, int count) => Map(t => t.Narrow(0, start, count));

    /// <summary>Two batches as one: classifier-free guidance runs both in one pass.</summary>
    /// <exception cref="ArgumentException">One has a member that the other lacks.</exception>
    public Condition Concat(Condition other)
    {
        ArgumentNullException.ThrowIfNull(other);
        (Tensor? Mine, Tensor? Theirs)[] pairs = [.. Members.Zip(other.Members)];
        if (Array.Exists(pairs, static p => p.Mine is null != p.Theirs is null))
            throw new ArgumentException("Both conditions need the same members.", nameof(other));
        return Of([.. pairs.Select(static p => p.Mine is null ? null : Ops.Cat([p.Mine, p.Theirs!]))]);
    }

    /// <summary>Several batches as one.</summary>
    /// <param name="parts">At least one, all with the same members.</param>
    /// <exception cref="ArgumentException">One has a member that another lacks, or of another shape.</exception>
    public static Condition Cat(IReadOnlyList<Condition> parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        ArgumentOutOfRangeException.ThrowIfZero(parts.Count);
        foreach (var part in parts)
        {
            if (parts[0].Mismatch(part) is { } member)
                throw new ArgumentException($"All conditions need the same members of the same shape; {member} differs.", nameof(parts));
        }

        return Of([.. parts[0].Members.Select((first, k) => first is null ? null : Ops.Cat([.. parts.Select(p => p.Members[k]!)]))]);
    }

    /// <summary>
    /// The name of a member that only one of the two has, or that differs in shape beyond the batch; null where they fit each other.
    /// </summary>
    public string? Mismatch(Condition other)
    {
        ArgumentNullException.ThrowIfNull(other);
        string[] names = [nameof(ClassLabels), nameof(Text), nameof(TextMask), nameof(Pooled), nameof(TimeIds)];
        return names
            .Where(
                (_, k) =>
                    Members[k] is { } mine
                        ? other.Members[k] is not { } theirs || !mine.Shape.AsSpan(1).SequenceEqual(theirs.Shape.AsSpan(1))
                        : other.Members[k] is not null
            )
            .FirstOrDefault();
    }

    /// <summary>The same on another device.</summary>
    public Condition To(Device device) => Map(t => t.To(device));

    /// <summary>The same in memory of its own.</summary>
    public Condition Copy() => Map(static t => t.Clone());

    /// <summary>Takes all members out of their scopes: from now on the caller disposes them.</summary>
    public Condition Escape() => Map(static t => t.Escape());

    /// <summary>Frees all members.</summary>
    public void Free() => Array.ForEach(Members, static t => t?.Dispose());

    private static Condition Of(Tensor?[] members) =>
        new(members[0])
        {
            Text = members[1],
            TextMask = members[2],
            Pooled = members[3],
            TimeIds = members[4],
        };

    private Condition Map(Func<Tensor, Tensor> change) => Of([.. Members.Select(t => t is null ? null : change(t))]);
}
