using Retouch.Torch;

namespace Retouch.Conditioning;

/// <summary>
/// Conditioning inputs of a denoiser other than noisy latent and timestep. The architecture determines the required members; the rest
/// are null.
/// </summary>
/// <param name="ClassLabels">int64 [batch]; the number of classes means "no class" (classifier-free guidance).</param>
public sealed record Condition(Tensor? ClassLabels = null)
{
    /// <summary>
    /// Prompt token embeddings [batch, tokens, width]: those of one text encoder, or of several as combined by the model's pipeline.
    /// </summary>
    public Tensor? Text { get; init; }

    /// <summary>Padding mask, int64 [batch, tokens], 1 for a token and 0 for padding; null for no padding.</summary>
    public Tensor? TextMask { get; init; }

    /// <summary>Pooled prompt vector [batch, width].</summary>
    public Tensor? Pooled { get; init; }

    /// <summary>
    /// SDXL's micro-conditioning (Podell et al. 2023, section 2.2), [batch, 6] in pixels: original height and width, top and left of the
    /// crop, target height and width.
    /// </summary>
    public Tensor? TimeIds { get; init; }

    /// <summary>Number of samples, or null if all members are null.</summary>
    public int? Batch => Members.FirstOrDefault(static t => t is not null) is { } any ? checked((int)any.Shape[0]) : null;

    /// <summary><see cref="ClassLabels"/> of a class-conditional network.</summary>
    /// <param name="classes">Number of classes, the label for no class.</param>
    /// <exception cref="ArgumentException">There are none.</exception>
    internal Tensor LabelsOf(int classes) =>
        ClassLabels
        ?? throw new ArgumentException($"This network is class-conditional: give one label per sample, {classes} for no class.");

    private Tensor?[] Members => [ClassLabels, Text, TextMask, Pooled, TimeIds];

    /// <summary>Samples [start, start + count), as views that share memory.</summary>
    /// <param name="start">First sample.</param>
    /// <param name="count">Number of samples.</param>
    public Condition Narrow(int start, int count) => Map(t => t.Narrow(0, start, count));

    /// <summary>Concatenates two batches, as for classifier-free guidance in one forward pass.</summary>
    /// <exception cref="ArgumentException">A member is null in one condition only.</exception>
    public Condition Concat(Condition other)
    {
        ArgumentNullException.ThrowIfNull(other);
        (Tensor? Mine, Tensor? Theirs)[] pairs = [.. Members.Zip(other.Members)];
        if (Array.Exists(pairs, static p => p.Mine is null != p.Theirs is null))
            throw new ArgumentException("Both conditions must have the same members.", nameof(other));
        return Of([.. pairs.Select(static p => p.Mine is null ? null : Ops.Cat([p.Mine, p.Theirs!]))]);
    }

    /// <summary>Concatenates batches.</summary>
    /// <param name="parts">At least one condition, all with the same members.</param>
    /// <exception cref="ArgumentException">Members differ in presence or in shape beyond the batch dimension.</exception>
    public static Condition Cat(IReadOnlyList<Condition> parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        ArgumentOutOfRangeException.ThrowIfZero(parts.Count);
        foreach (var part in parts)
        {
            if (parts[0].Mismatch(part) is { } member)
                throw new ArgumentException($"Conditions must have the same members of the same shape; {member} differs.", nameof(parts));
        }

        return Of([.. parts[0].Members.Select((first, k) => first is null ? null : Ops.Cat([.. parts.Select(p => p.Members[k]!)]))]);
    }

    /// <summary>
    /// Name of the first member that is null in one condition only or differs in shape beyond the batch dimension; null if none does.
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

    /// <summary>Copies the members to another device.</summary>
    public Condition To(Device device) => Map(t => t.To(device));

    /// <summary>Deep copy.</summary>
    public Condition Copy() => Map(static t => t.Clone());

    /// <summary>Moves the members of a scope to the enclosing one (<see cref="TensorScope.Keep(Tensor)"/>).</summary>
    /// <param name="scope">Innermost open scope.</param>
    public Condition KeepBy(TensorScope scope)
    {
        ArgumentNullException.ThrowIfNull(scope);
        return Map(scope.Keep);
    }

    /// <summary>Moves all members out of their scopes; the caller must dispose them.</summary>
    public Condition Escape() => Map(static t => t.Escape());

    /// <summary>Disposes all members.</summary>
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
