namespace Retouch.Torch.Interop;

/// <summary>A dispatcher operator, looked up on first use and cached for the life of the process.</summary>
internal sealed unsafe class OperatorHandle(string name, string overload)
{
    private nint _handle;

    /// <summary>Whether libtorch has the operator.</summary>
    public bool Exists => _handle != 0 || (_handle = LookUp()) != 0;

    private nint Handle => _handle != 0 ? _handle : Find();

    public void Invoke(Value* arguments, int count, Value* results, int resultCount)
    {
        Native.Check(Native.Call(Handle, arguments, count, results, resultCount), overload.Length == 0 ? name : $"{name}.{overload}");
    }

    /// <summary>
    /// Repeats a call <paramref name="times"/> times in a C++ loop that frees its results every <paramref name="hold"/> calls.
    /// </summary>
    public void InvokeNatively(Value* arguments, int count, long times, long hold)
    {
        Native.Check(Native.CallRepeat(Handle, arguments, count, times, hold), name);
    }

    private nint Find()
    {
        var found = LookUp();
        if (found == 0 && name.StartsWith("retouch::", StringComparison.Ordinal))
            throw new Core.Errors.EnvironmentException(
                $"The native library '{NativeLoader.LoadedFrom}' is older than this program: it lacks {name}. Run 'retouch "
                    + $"doctor' to rebuild it."
            );
        if (found == 0)
            throw new TorchException(
                $"libtorch {TorchRuntime.Version} has no operator {name}{(overload.Length == 0 ? "" : "." + overload)}; use a "
                    + $"newer libtorch (RETOUCH_LIBTORCH)."
            );
        return _handle = found;
    }

    /// <summary>Operator handle; 0 if libtorch has no such operator.</summary>
    private nint LookUp()
    {
        const int NotThere = 1;
        Native.Load();
        nint found = 0;
        var status = Native.OperatorFind(name, overload, &found);
        // Other errors are unrelated to the operator, such as the exception of an earlier release callback.
        if (status != NotThere)
            Native.Check(status, name);
        return found;
    }
}
