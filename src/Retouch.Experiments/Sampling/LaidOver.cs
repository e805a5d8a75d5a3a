namespace Retouch.Experiments.Sampling;

/// <summary>Adapters that are merged into a model.</summary>
/// <param name="Path">The file.</param>
/// <param name="Scale">Scale; 1 is as trained.</param>
public sealed record LaidOver(string Path, double Scale);
