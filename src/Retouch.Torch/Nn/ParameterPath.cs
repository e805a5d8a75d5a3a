namespace Retouch.Torch.Nn;

/// <summary>
/// Path of a module in a network; the path of a parameter is its key in a diffusers checkpoint.
/// </summary>
/// <param name="Store">Store in which parameters are registered.</param>
/// <param name="Name">Path components joined by dots; empty for the root.</param>
public readonly record struct ParameterPath(ParameterStore Store, string Name)
{
    /// <summary>Appends a component.</summary>
    public static ParameterPath operator /(ParameterPath path, string part) =>
        new(path.Store, path.Name.Length == 0 ? part : $"{path.Name}.{part}");

    /// <summary>Appends an index in a list of modules.</summary>
    public static ParameterPath operator /(ParameterPath path, int index) =>
        path / index.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Registers a trainable parameter.</summary>
    /// <exception cref="InvalidOperationException">The key already exists.</exception>
    public Parameter Parameter(string name, ReadOnlySpan<long> shape, Init init) =>
        Store.Register((this / name).Name, shape.ToArray(), init, isBuffer: false);

    /// <summary>Registers a tensor that is stored but not trained.</summary>
    /// <exception cref="InvalidOperationException">The key already exists.</exception>
    public Parameter Buffer(string name, ReadOnlySpan<long> shape, Init init) =>
        Store.Register((this / name).Name, shape.ToArray(), init, isBuffer: true);

    /// <summary>Passes a module's output to the store's <see cref="ParameterStore.Observer"/>, if any, and returns it.</summary>
    public Tensor Observe(Tensor output)
    {
        Store.Observer?.Invoke(Name, output);
        return output;
    }
}
