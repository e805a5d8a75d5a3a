namespace Retouch.Evaluation.Statistics;

/// <summary>Mean power spectra of a set and of its reference.</summary>
/// <param name="Profile">Radial profile of the set, ring 1 first.</param>
/// <param name="ReferenceProfile">Radial profile of the reference.</param>
/// <param name="LogRatio">log₁₀ of the set's power over the reference's [height, width], frequency 0 in the centre.</param>
public sealed record MeanSpectra(IReadOnlyList<double> Profile, IReadOnlyList<double> ReferenceProfile, double[,] LogRatio);
