using Retouch.Torch.Optim;

namespace Retouch.Training.Distributed;

/// <summary>Weights that are put into the network to be evaluated or saved: averages, and those of the optimiser's method.</summary>
/// <param name="share">Share of this process in the parameters; null if it has all. With a share, all processes take part.</param>
internal sealed class EvaluatedWeights(ParameterShare? share)
{
    /// <summary>Divided weights, which are collected meanwhile; null if all are in every process.</summary>
    public DividedWeights? Divided { private get; set; }

    /// <summary>Does something with the trained weights in the network.</summary>
    /// <param name="action">What is done.</param>
    public void Whole(Action action)
    {
        using var whole = Divided?.Whole();
        action();
    }

    /// <summary>Does something with other weights in the network.</summary>
    /// <param name="weights">Puts the weights of this process's parameters into the network until the result is disposed; null if these
    /// are the trained ones.</param>
    /// <param name="action">What is done; a cancellation must be that of all processes. After any other failure all of them end.</param>
    public void With(Func<IDisposable?> weights, Action action)
    {
        var put = weights();
        if (put is null)
        {
            Whole(action);
            return;
        }

        try
        {
            using (put)
            {
                share?.Exchange();
                Whole(action);
            }
        }
        catch (OperationCanceledException)
        {
            share?.Exchange();
            throw;
        }

        share?.Exchange();
    }
}
