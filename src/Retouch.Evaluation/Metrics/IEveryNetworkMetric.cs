using Retouch.Core.Errors;
using Retouch.Evaluation.Features;

namespace Retouch.Evaluation.Metrics;

/// <summary>Metric on the features of every network, of which there must be one.</summary>
internal interface IEveryNetworkMetric : IMetric
{
    bool IMetric.Uses(string network) => true;

    bool IMetric.ReadsPictures => false;

    void IMetric.Validate(IReadOnlyList<IFeatureExtractor> networks, Requirements check)
    {
        ArgumentNullException.ThrowIfNull(check);
        ValidateOptions(check);
        FeaturePass.Require(
            this,
            networks,
            check,
            $"{Name} needs a feature network: give one with --inception FILE, --squeezenet FILE, --clip FOLDER or "
                + "--retouch-features FOLDER"
        );
    }

    /// <summary>Checks the options of the metric.</summary>
    /// <param name="check">Receives the problems.</param>
    void ValidateOptions(Requirements check);
}
