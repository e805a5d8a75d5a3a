using Retouch.Denoisers;

namespace Retouch.Objectives.Preference;

/// <summary>
/// The denoiser as it was before training, which DPO compares with: a frozen copy, or the trained one with what training added switched
/// off. Called with recording off.
/// </summary>
public interface IReferenceModel : IDenoisedModel, IDisposable;
