using Retouch.Conditioning;
using Retouch.Conditioning.Prompts;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Samplers;
using Retouch.Torch;

namespace Retouch.Pipelines.Diffusers;

public sealed partial class LatentDiffusionPipeline
{
    /// <summary>
    /// A sampling request with the model's native size and default guidance, and its classes in rotation; vary it with <c>with</c>. For a
    /// model that takes prompts, <see cref="Prompted"/> follows.
    /// </summary>
    /// <param name="seeds">Seed of each picture.</param>
    /// <param name="width">Width in pixels; null for the native size.</param>
    /// <param name="height">Height in pixels; null for the native size.</param>
    public PipelineSampling Request(IReadOnlyList<ulong> seeds, int? width = null, int? height = null)
    {
        var (w, h) = (width ?? NativeSize, height ?? NativeSize);
        return new PipelineSampling
        {
            Seeds = seeds,
            Width = w,
            Height = h,
            Guidance = new(DefaultGuidance(w, h)),
        };
    }

    /// <summary>
    /// A sampling request with prompts, encoded by the model's text encoders, which are in memory only during this call. Equal prompts are
    /// encoded once.
    /// </summary>
    /// <param name="request">Request with the number and size of the pictures.</param>
    /// <param name="prompts">Prompts in rotation: the first for the first picture. At least one.</param>
    /// <param name="device">Device of the encoders.</param>
    /// <param name="negative">Negative prompt for guidance; null for the empty prompt.</param>
    /// <param name="note">Receives a sentence for each truncated prompt; null to truncate without a note.</param>
    /// <returns>The request with conditions on the CPU, which belong to the enclosing <see cref="TensorScope"/>.</returns>
    /// <exception cref="UsageException">There are no prompts.</exception>
    /// <exception cref="InputException">The denoiser takes no prompts, or encoders are missing, invalid or do not fit it.</exception>
    public PipelineSampling Prompted(
        PipelineSampling request,
        IReadOnlyList<string> prompts,
        Device device,
        string? negative = null,
        Action<string>? note = null
    )
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(prompts);
        if (prompts.Count == 0)
            throw new UsageException("There are no prompts; give at least one.");
        using var encoders = LoadPromptEncoders(device);
        var known = new Dictionary<string, Condition>(StringComparer.Ordinal);
        Condition Of(string prompt)
        {
            if (known.TryGetValue(prompt, out var condition))
                return condition;
            using var scope = TensorScope.Enter();
            var encoded = encoders.Encoder.Encode([prompt]);
            foreach (var cut in encoded.Cut)
                note?.Invoke(
                    $"the prompt '{Excerpt.Of(prompt)}' exceeds the encoder's maximum length; truncated: '{Excerpt.Of(cut.Dropped)}'"
                );
            var whole = encoders.Encoder.TakesTimeIds
                ? encoded.Condition with
                {
                    TimeIds = MicroConditioning.ToTensor([MicroConditioning.Whole(request.Height, request.Width)], device),
                }
                : encoded.Condition;
            return known[prompt] = whole.To(Device.Cpu).KeepBy(scope);
        }

        return request with
        {
            Labels = null,
            Conditions = [.. Enumerable.Range(0, request.Seeds.Count).Select(k => Of(prompts[k % prompts.Count]))],
            Unconditional = Of(negative ?? ""),
        };
    }
}
