namespace Retouch.Torch.Interop;

/// <summary>An operator of the dispatcher, looked up on first use and kept for the life of the process.</summary>
internal sealed unsafe class OperatorHandle(string name, string overload)
{
    private nint _handle;

    /// <summary>Whether the loaded libtorch has the operator.</summary>
    public bool Exists => _handle != 0 || (_handle = LookUp()) != 0;

    private nint Handle => _handle != 0 ? _handle : Find();

    public void Invoke(Value* arguments, int count, Value* results, int resultCount)
    {
        Native.Check(Native.Call(Handle, arguments, count, results, resultCount), overload.Length == 0 ? name : $"{name}.{overload}");
    }

    /// <summary>
    /// The same call made <paramref name="times"/> times by a loop in C++ that frees its results <paramref name="hold"/> at a time.
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
                $"The native library '{NativeLoader.LoadedFrom}' is older than this program: it lacks {name}. Run './retouch "
                    + $"doctor' in the source tree to build it anew."
            );
        if (found == 0)
            throw new TorchException(
                $"libtorch {TorchRuntime.Version} has no operator {name}{(overload.Length == 0 ? "" : "." + overload)}; use a "
                    + $"newer libtorch (RETOUCH_LIBTORCH)."
            );
        return _handle = found;
    }

    /// <summary>0 where the loaded libtorch has no such operator.</summary>
    private nint LookUp()
    {
        const int NotThere = 1;
        Native.Load();
        nint found = 0;
        var status = Native.OperatorFind(name, overload, &found);
        // Anything else is not about the operator: what a release function threw before, for instance.
        if (status != NotThere)
            Native.Check(status, name);
        return found;
    }
}
