using Retouch.Denoisers;

namespace Retouch.Objectives.Preference;

/// <summary>
/// Reference model of DPO: the denoiser before training, as a frozen copy or as the trained one with adapters disabled. Called without
/// autograd.
/// </summary>
public interface IReferenceModel : IDenoisedModel, IDisposable;
