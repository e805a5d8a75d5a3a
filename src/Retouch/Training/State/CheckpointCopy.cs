using Retouch.Torch;
using Retouch.Torch.Devices;

namespace Retouch.Training.State;

/// <summary>A copy of the tensors of a checkpoint in main memory, which any thread may write.</summary>
internal sealed class CheckpointCopy : IDisposable
{
    private readonly List<CheckpointFile> _files = [];
    private readonly List<Tensor> _copies = [];

    /// <param name="files">Files of the checkpoint.</param>
    /// <exception cref="OutOfDeviceMemoryException">The main memory does not suffice.</exception>
    public CheckpointCopy(IEnumerable<CheckpointFile> files)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        try
        {
            foreach (var (name, tensors) in files)
                _files.Add(new(name, [.. tensors.Select(t => KeyValuePair.Create(t.Key, Copied(t.Value)))]));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Writes the files.</summary>
    /// <param name="folder">Folder of the checkpoint.</param>
    /// <returns>Hashes of the files, by name.</returns>
    public IReadOnlyDictionary<string, string> Write(string folder) => CheckpointTensors.Write(folder, _files);

    /// <inheritdoc/>
    public void Dispose() => _copies.ForEach(static t => t.Dispose());

    private Tensor Copied(Tensor tensor)
    {
        var own = tensor.Detach();
        var copy = (own.Device.Type == DeviceType.Cpu ? own.Clone() : own.To(Device.Cpu)).Contiguous().Escape();
        _copies.Add(copy);
        return copy;
    }
}
