namespace Retouch.Evaluation.Features;

/// <summary>
/// Names of figures on features: the established names (<c>fid</c>, <c>kid</c>, <c>precision</c>) for Inception features only, names with
/// the network's key otherwise.
/// </summary>
public static class FeatureNames
{
    /// <summary>Key of the Inception network.</summary>
    public const string Inception = "inception";

    /// <summary>Name of the Fréchet distance.</summary>
    /// <param name="network">Key of the network.</param>
    public static string Frechet(string network) => network == Inception ? "fid" : "fd" + Suffix(network);

    /// <summary>Name of the kernel distance.</summary>
    /// <param name="network">Key of the network.</param>
    public static string Kernel(string network) => network == Inception ? "kid" : "kd" + Suffix(network);

    /// <summary>Suffix of the other figures.</summary>
    /// <param name="network">Key of the network.</param>
    public static string Suffix(string network) => network == Inception ? "" : "." + network;
}
