namespace Retouch.Evaluation.Metrics;

/// <summary>Reference of an evaluation, or the saved statistics in its place.</summary>
/// <param name="Name">Name of the set.</param>
/// <param name="Count">Number of pictures.</param>
/// <param name="Preparation">Preparation of the pictures.</param>
/// <param name="Profile">Mean radial power spectrum, ring 1 first; null without the metric.</param>
public sealed record ReferenceResult(string Name, int Count, string Preparation, IReadOnlyList<double>? Profile);
