namespace Retouch.Experiments.Sampling;

/// <summary>Adapters merged into a model.</summary>
/// <param name="Path">Path of the file.</param>
/// <param name="Scale">Scale; 1 for that of the training.</param>
public sealed record MergedAdapters(string Path, double Scale);
