using System.Runtime.InteropServices;
using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>Reverse-mode differentiation.</summary>
public static unsafe class Autograd
{
    /// <summary>
    /// Backward function of a custom operation: maps output gradients to input gradients.
    /// </summary>
    /// <param name="outputGradients">One entry per output; null without a gradient.</param>
    /// <returns>One entry per input; null without a gradient.</returns>
    public delegate Tensor?[] BackwardFunction(Tensor?[] outputGradients);

    /// <summary>Whether operators record the autograd graph on this thread.</summary>
    public static bool IsEnabled
    {
        get
        {
            Native.Load();
            return Native.GradModeGet() != 0;
        }
    }

    /// <summary>Disables gradient recording until the result is disposed.</summary>
    public static Mode NoGrad() => new(false);

    /// <summary>Enables gradient recording until the result is disposed.</summary>
    public static Mode WithGrad() => new(true);

    /// <summary>Accumulates the gradient of <paramref name="output"/> in every leaf that requires one.</summary>
    /// <param name="output">A scalar, or any tensor with a <paramref name="gradient"/> of the same shape.</param>
    /// <param name="gradient">Gradient of the output; null for 1 (scalars only).</param>
    /// <param name="retainGraph">Whether to keep the graph for another backward pass.</param>
    public static void Backward(Tensor output, Tensor? gradient = null, bool retainGraph = false)
    {
        var handle = output.Handle;
        var seed = gradient?.Handle ?? 0;
        Native.Check(Native.Backward(&handle, 1, gradient is null ? null : &seed, retainGraph ? 1 : 0, 0), "backward");
    }

    /// <summary>
    /// Gradients of <paramref name="outputs"/> with respect to <paramref name="inputs"/>, without accumulating in leaves.
    /// </summary>
    /// <param name="outputs">Differentiated tensors.</param>
    /// <param name="inputs">Tensors to differentiate with respect to.</param>
    /// <param name="gradients">Gradients of the outputs, one per output; null if all outputs are scalars.</param>
    /// <param name="retainGraph">Whether to keep the graph for another backward pass.</param>
    /// <param name="createGraph">Whether to record the backward pass itself, for second derivatives.</param>
    /// <param name="allowUnused">Whether to return null for inputs that no output depends on, instead of failing.</param>
    public static Tensor?[] Grad(
        IReadOnlyList<Tensor> outputs,
        IReadOnlyList<Tensor> inputs,
        IReadOnlyList<Tensor>? gradients = null,
        bool retainGraph = false,
        bool createGraph = false,
        bool allowUnused = false
    )
    {
        var results = new nint[inputs.Count];
        fixed (
            nint* o = Handles(outputs),
                i = Handles(inputs),
                g = gradients is null ? null : Handles(gradients),
                r = results
        )
        {
            var status = Native.Grad(
                o,
                outputs.Count,
                i,
                inputs.Count,
                g,
                retainGraph ? 1 : 0,
                createGraph ? 1 : 0,
                allowUnused ? 1 : 0,
                r
            );
            Native.Check(status, "grad");
        }

        return Array.ConvertAll(results, static h => h == 0 ? null : new Tensor(h));
    }

    /// <summary>
    /// Attaches a custom backward function to tensors computed without recording. Results share the memory of
    /// <paramref name="outputs"/>.
    /// </summary>
    /// <param name="inputs">Tensors that receive gradients.</param>
    /// <param name="outputs">Tensors computed from the inputs.</param>
    /// <param name="backward">Maps output gradients to input gradients. Runs in its own tensor scope, possibly on another thread, with
    /// recording disabled.</param>
    /// <param name="released">
    /// Called once to free what the function holds: after the backward pass, unless it retains the graph, else when the graph is freed.
    /// </param>
    public static Tensor[] Function(
        IReadOnlyList<Tensor> inputs,
        IReadOnlyList<Tensor> outputs,
        BackwardFunction backward,
        Action? released = null
    )
    {
        var results = new nint[outputs.Count];
        fixed (
            nint* i = Handles(inputs),
                o = Handles(outputs),
                r = results
        )
        {
            // Freed by the native side, whether or not the call succeeds.
            var context = GCHandle.ToIntPtr(GCHandle.Alloc(new CallbackContext(backward, released)));
            var status = Native.CustomFunction(i, inputs.Count, o, outputs.Count, &RunBackward, &FreeContext, context, r);
            Native.Check(status, "custom function");
        }

        return Array.ConvertAll(results, static h => new Tensor(h));
    }

    /// <summary>
    /// Activation checkpointing: runs <paramref name="body"/> without storing activations and recomputes it in the backward pass under
    /// the same autocast mode. This trades an additional forward pass for the memory of all segments but one. Outputs and gradients are
    /// bitwise equal to those of a plain run.
    /// </summary>
    /// <param name="body">A deterministic function of its inputs and <paramref name="parameters"/>; it must not draw random
    /// numbers.</param>
    /// <param name="inputs">Tensors that can receive gradients; kept until the backward pass.</param>
    /// <param name="parameters">Leaf tensors used by the body.</param>
    /// <param name="hold">Makes the parameters available until its result is disposed: once for each run of the body and, with
    /// recomputation, its backward pass. Null if they always are.</param>
    public static Tensor[] Checkpoint(
        Func<IReadOnlyList<Tensor>, Tensor[]> body,
        IReadOnlyList<Tensor> inputs,
        IReadOnlyList<Tensor> parameters,
        Func<IDisposable>? hold = null
    )
    {
        if (!IsEnabled || !(inputs.Any(static t => t.RequiresGrad) || parameters.Any(static t => t.RequiresGrad)))
        {
            using var held = hold?.Invoke();
            return body(inputs);
        }

        using var scope = TensorScope.Enter();
        Tensor[] outputs;
        var precision = Autocast.Current;
        using (hold?.Invoke())
        using (NoGrad())
            outputs = body(inputs);
        Autocast.ForgetCopies();
        var saved = inputs.Select(static t => t.Share().Escape()).ToArray();
        var results = Function([.. inputs, .. parameters], outputs, Recompute, () => Array.ForEach(saved, static t => t.Dispose()));
        return scope.Keep(results);

        Tensor?[] Recompute(Tensor?[] gradients)
        {
            using var held = hold?.Invoke();
            using var recording = WithGrad();
            using var resumed = Autocast.Resume(precision);
            var leaves = saved.Select(static t => t.Detach()).ToArray();
            for (var k = 0; k < leaves.Length; k++)
                leaves[k].RequiresGrad = saved[k].RequiresGrad;
            var again = body(leaves);
            var flowing = Enumerable.Range(0, again.Length).Where(k => gradients[k] is not null && again[k].RequiresGrad).ToArray();
            var all = leaves.Concat(parameters).ToArray();
            var wanted = Enumerable.Range(0, all.Length).Where(k => all[k].RequiresGrad).ToArray();
            var found = Grad(
                [.. flowing.Select(k => again[k])],
                [.. wanted.Select(k => all[k])],
                [.. flowing.Select(k => gradients[k]!)],
                allowUnused: true
            );
            var result = new Tensor?[all.Length];
            for (var k = 0; k < wanted.Length; k++)
                result[wanted[k]] = found[k];
            return result;
        }
    }

    private static nint[] Handles(IReadOnlyList<Tensor> tensors)
    {
        var handles = new nint[tensors.Count];
        for (var k = 0; k < handles.Length; k++)
            handles[k] = tensors[k].Handle;
        return handles;
    }

    [UnmanagedCallersOnly]
    private static nint RunBackward(nint context, nint* gradients, int count, nint* results, int resultCount)
    {
        try
        {
            using var scope = TensorScope.Enter();
            using var quiet = NoGrad();
            var incoming = new Tensor?[count];
            for (var k = 0; k < count; k++)
                incoming[k] = gradients[k] == 0 ? null : new Tensor(Native.TensorShare(gradients[k]));
            var outgoing = ((CallbackContext)GCHandle.FromIntPtr(context).Target!).Backward(incoming);
            if (outgoing.Length != resultCount)
                throw new InvalidOperationException($"A backward function returned {outgoing.Length} gradients for {resultCount} inputs.");
            for (var k = 0; k < resultCount; k++)
                results[k] = outgoing[k] is { } tensor ? Native.TensorShare(tensor.Handle) : 0;
            return 0;
        }
        catch (Exception e)
        {
            return Callback.Carry(e);
        }
    }

    [UnmanagedCallersOnly]
    private static nint FreeContext(nint context)
    {
        try
        {
            var handle = GCHandle.FromIntPtr(context);
            var released = ((CallbackContext)handle.Target!).Released;
            handle.Free();
            released?.Invoke();
            return 0;
        }
        catch (Exception e)
        {
            return Callback.Carry(e);
        }
    }

    /// <summary>Restores the previous mode when disposed.</summary>
    public readonly struct Mode : IDisposable
    {
        private readonly bool _previous;

        internal Mode(bool enabled)
        {
            _previous = IsEnabled;
            Native.GradModeSet(enabled ? 1 : 0);
        }

        /// <inheritdoc/>
        public void Dispose() => Native.GradModeSet(_previous ? 1 : 0);
    }

    private sealed record CallbackContext(BackwardFunction Backward, Action? Released);
}
