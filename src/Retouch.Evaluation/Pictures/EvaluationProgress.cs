namespace Retouch.Evaluation.Pictures;

/// <summary>Progress of an evaluation.</summary>
/// <param name="Done">Pictures read, over all readings.</param>
/// <param name="Total">Number of pictures to read.</param>
public readonly record struct EvaluationProgress(long Done, long Total);
