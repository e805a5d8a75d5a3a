using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>
/// Compares how strongly the terms pull, where the network's output enters the losses. The gradients of decoded terms are at hand there;
/// bringing them from the latents to the output crosses only elementwise operators, so this costs next to nothing.
/// </summary>
internal static class GradientNorms
{
    /// <summary>Logs each term's gradient norm at the prediction, and each other term's ratio to the diffusion loss.</summary>
    public static void Watch(HealthLog health, ObjectiveInputs inputs, List<Term> terms, double[] weights)
    {
        var prediction = inputs.Estimate.Raw.Value;
        if (!Autograd.IsEnabled || !prediction.RequiresGrad)
            return;
        using var scope = TensorScope.Enter();
        Tensor? latent = null;
        for (var k = 0; k < terms.Count; k++)
        {
            var name = terms[k].Objective.Name;
            if (AtPrediction(terms[k], prediction) is not { } gradient)
                continue;
            var norm = weights[k] * gradient.To(DType.Float64).Square().Sum().Sqrt();
            health.Ratio($"{name}/gradient_norm", norm, Ops.OnesLike(norm));
            // Without a diffusion loss the preference on the same errors takes its place.
            if (latent is null && terms[k].Objective is LatentObjective or LatentPreferenceObjective)
                latent = norm;
            else if (latent is not null)
                health.Ratio($"{name}/gradient_ratio", norm, latent);
        }

        health.Flush();
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
