namespace Retouch.Experiments.Sampling;

/// <summary>Adapters that are laid over a model.</summary>
/// <param name="Path">The file.</param>
/// <param name="Scale">How strongly; 1 is as trained.</param>
public sealed record LaidOver(string Path, double Scale);
