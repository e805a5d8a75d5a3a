using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Denoisers;
using Retouch.Pipelines.Diffusers;
using Retouch.Training.Options;

namespace Retouch.Training;

/// <summary>Picture size of a run without one in its options, from configurations alone.</summary>
public static class NativeSize
{
    private const string Origin = "model.config";

    /// <summary>
    /// A pipeline's native size; for a denoiser from scratch its <c>sample_size</c> times the autoencoder's downsampling; otherwise the
    /// <c>sample_size</c> of the autoencoder's configuration.
    /// </summary>
    /// <exception cref="RetouchException">A configuration is missing, invalid, or states no size.</exception>
    public static int Of(TrainingOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var model = options.Model;
        if (model.Path is { } path)
        {
            if (PipelineReader.IsAt(path))
                return PipelineReader.NativeSizeOf(path);
            using var component = ComponentFolder.Describe(path);
            return Stated(component.Config.Json, $"'{path}'");
        }

        if (options.Task == TrainingTaskKind.Autoencoder)
            return Stated(model.Config!, Origin);
        using var autoencoder = ComponentFolder.Describe(model.Autoencoder!);
        using var denoiser = ComponentRegistry.Find(model.Config!, Origin).Create(model.Config!, Origin);
        return autoencoder.Network is IAutoencoder decoder && denoiser is IDenoiser network
            ? network.SampleSize * decoder.Downsampling
            : throw new UsageException("model.config is not a denoiser, or model.autoencoder not an autoencoder; task is denoiser.");
    }

    /// <summary>Options with the size, if they have none.</summary>
    /// <exception cref="RetouchException">See <see cref="Of"/>.</exception>
    public static TrainingOptions FillIn(TrainingOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return options.Data.Size is null ? options with { Data = options.Data with { Size = Of(options) } } : options;
    }

    private static int Stated(JsonObject config, string origin) =>
        config["sample_size"] is JsonValue value && value.TryGetValue(out int size) && size > 0
            ? size
            : throw new UsageException($"{origin} states no sample_size; give the size of the pictures with --size (data.size).");
}
