using Retouch.Diffusion;
using Retouch.Objectives;

namespace Retouch.Training.Tasks;

/// <summary>Position of a batch in a run.</summary>
/// <param name="Position">Step and micro-batch.</param>
/// <param name="Levels">Noise levels of all micro-batches of the step; null for a single one.</param>
internal sealed record StepPlace(StepPosition Position, IReadOnlyList<NoiseLevel>? Levels);
