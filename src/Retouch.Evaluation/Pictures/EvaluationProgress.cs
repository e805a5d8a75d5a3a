namespace Retouch.Evaluation.Pictures;

/// <summary>Progress of an evaluation.</summary>
/// <param name="Done">Pictures read so far, over all readings.</param>
/// <param name="Total">Pictures to read in all.</param>
public readonly record struct EvaluationProgress(long Done, long Total);
