using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>
/// Gradient norms of the terms at the network's output. Gradients of decoded terms with respect to the latents are already available; the
/// path from the latents to the output is elementwise, so the cost is negligible. Of windows, the norm is that of the whole pictures'
/// gradient, which the windows' is on average, as far as different parts of a picture are independent.
/// </summary>
internal static class GradientNorms
{
    /// <summary>
    /// Squared gradient norm of each unweighted term at the prediction; null for terms without gradient, and without autograd.
    /// </summary>
    public static double?[] Squared(ObjectiveInputs inputs, IReadOnlyList<Term> terms)
    {
        var prediction = inputs.Estimate.Raw.Value;
        var result = new double?[terms.Count];
        if (!Autograd.IsEnabled || !prediction.RequiresGrad)
            return result;
        using var scope = TensorScope.Enter();
        List<(int Term, Tensor Square)> squares = [];
        for (var k = 0; k < terms.Count; k++)
        {
            if (AtPrediction(terms[k], prediction) is { } gradient)
                squares.Add((k, gradient.To(DType.Float64).Square().Sum() * (terms[k].Decoded?.Share ?? 1)));
        }

        if (squares.Count == 0)
            return result;
        var values = Ops.Stack([.. squares.Select(static s => s.Square)]).ToArray<double>();
        for (var k = 0; k < values.Length; k++)
            result[squares[k].Term] = values[k];
        return result;
    }

    /// <summary>
    /// Index of the anchor, the term that gradient ratios are relative to: the diffusion loss or, without one, the preference on the
    /// network's output; −1 without either.
    /// </summary>
    public static int Anchor(IReadOnlyList<IObjective> objectives)
    {
        for (var k = 0; k < objectives.Count; k++)
        {
            if (objectives[k] is LatentObjective or LatentPreferenceObjective)
                return k;
        }

        return -1;
    }

    private static Tensor? AtPrediction(Term term, Tensor prediction)
    {
        if (term.Decoded is not { } decoded)
            return Autograd.Grad([term.Raw], [prediction], retainGraph: true, allowUnused: true)[0];
        if (decoded.Gradient is null)
            return null;
        if (Autograd.Grad([term.Raw], [decoded.Losses.Values], retainGraph: true, allowUnused: true)[0] is not { } flow)
            return null;
        return Autograd.Grad(
            [decoded.Source],
            [prediction],
            [flow.View([-1L, 1, 1, 1]) * decoded.Gradient],
            retainGraph: true,
            allowUnused: true
        )[0];
    }
}
