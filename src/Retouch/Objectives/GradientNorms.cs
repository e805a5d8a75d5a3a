using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>
/// How strongly the terms pull, where the network's output enters the losses. The gradients of decoded terms exist there already; bringing
/// them from the latents to the output crosses only elementwise operators, so this costs next to nothing.
/// </summary>
internal static class GradientNorms
{
    /// <summary>The squared norm of each term's gradient at the prediction, unweighted; null for terms without one, and where nothing is
    /// recorded.</summary>
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
                squares.Add((k, gradient.To(DType.Float64).Square().Sum()));
        }

        if (squares.Count == 0)
            return result;
        var values = Ops.Stack([.. squares.Select(static s => s.Square)]).ToArray<double>();
        for (var k = 0; k < values.Length; k++)
            result[squares[k].Term] = values[k];
        return result;
    }

    /// <summary>
    /// The term that others are compared with: the diffusion loss, or, without one, the preference on the same errors; −1 where there is
    /// neither.
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
