namespace Retouch.Torch.Nn;

/// <summary>
/// A place in a network: modules are constructed on a path, and the path of a parameter is its key in a diffusers checkpoint.
/// </summary>
/// <param name="Store">Where parameters are registered.</param>
/// <param name="Name">The path so far, parts joined by dots; empty at the root.</param>
public readonly record struct ParameterPath(ParameterStore Store, string Name)
{
    /// <summary>One level down.</summary>
    public static ParameterPath operator /(ParameterPath path, string part) =>
        new(path.Store, path.Name.Length == 0 ? part : $"{path.Name}.{part}");

    /// <summary>One level down, by position in a list of modules.</summary>
    public static ParameterPath operator /(ParameterPath path, int index) =>
        path / index.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Registers a trained tensor.</summary>
    /// <exception cref="InvalidOperationException">The key is taken.</exception>
    public Parameter Parameter(string name, ReadOnlySpan<long> shape, Init init) =>
        Store.Register((this / name).Name, shape.ToArray(), init, isBuffer: false);

    /// <summary>Registers a tensor that is stored but not trained.</summary>
    /// <exception cref="InvalidOperationException">The key is taken.</exception>
    public Parameter Buffer(string name, ReadOnlySpan<long> shape, Init init) =>
        Store.Register((this / name).Name, shape.ToArray(), init, isBuffer: true);

    /// <summary>Shows a module's output to whoever watches the store (<see cref="ParameterStore.Observer"/>), and returns it.</summary>
    public Tensor Observe(Tensor output)
    {
        Store.Observer?.Invoke(Name, output);
        return output;
    }
}
