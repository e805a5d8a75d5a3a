namespace Retouch.Tests.Samplers;

/// <summary>
/// Independent scalar implementation of the published solvers in double precision, in σ and x = z/a as in the papers. The network is
/// 0.3·sin(z) + 0.1·t/1000, as in the scheduler goldens.
/// is 0.3·sin(z) + 0.1·t/1000, as in the scheduler goldens.
/// </summary>
/// <param name="velocity">Whether the network's output is v instead of ε.</param>
/// <param name="times">Timestep passed to the network at each level.</param>
/// <param name="sigmas">Levels, including the end: one more.</param>
internal sealed class ScalarSolvers(bool velocity, double[] times, double[] sigmas)
{
    private int Steps => times.Length;

    /// <summary>Karras et al. 2022 with the ancestral split of k-diffusion: down to σ_down, then up by new noise.</summary>
    public double EulerAncestral(double x, Func<int, double> noise)
    {
        for (var k = 0; k < Steps; k++)
        {
            var (from, to) = (sigmas[k], sigmas[k + 1]);
            var up = to == 0 ? 0 : Math.Sqrt(to * to * ((from * from) - (to * to)) / (from * from));
            var down = Math.Sqrt((to * to) - (up * up));
            x += ((down - from) * Slope(x, k)) + (up * noise(k));
        }

        return x;
    }

    /// <summary>Karras et al. 2022, algorithm 1 without churn.</summary>
    public double Heun(double x)
    {
        for (var k = 0; k < Steps; k++)
        {
            var width = sigmas[k + 1] - sigmas[k];
            var slope = Slope(x, k);
            var guess = x + (width * slope);
            x = sigmas[k + 1] == 0 ? guess : x + (width * (slope + Slope(guess, k + 1)) / 2);
        }

        return x;
    }

    /// <summary>
    /// Adams–Bashforth with the polynomial through the last four slopes, integrated by Simpson's rule, which is exact for it.
    /// </summary>
    public double LinearMultistep(double x)
    {
        List<(double Node, double Value)> past = [];
        for (var k = 0; k < Steps; k++)
        {
            past.Insert(0, (sigmas[k], Slope(x, k)));
            var nodes = past.Take(4).ToArray();
            x += Simpson(s => Interpolate(nodes, s), sigmas[k], sigmas[k + 1], 2);
        }

        return x;
    }

    /// <summary>
    /// UniPC in z, with weights not from a linear system: where the papers solve one, the step is the integral z_t = (b_t/b_s)·z_s +
    /// b_t·∫e^λ·q(λ)dλ of the polynomial through the estimates; where ½ is published instead (predictor of order 2, corrector of order 1),
    /// the residual is half a difference times a_t·B(h).
    /// </summary>
    public double UniPc(double z, int order, bool bh1, bool lowerFinal)
    {
        List<(double Lambda, double M)> past = [];
        var (start, last) = (z, 0);
        for (var k = 0; k < Steps; k++)
        {
            var m = Clean(z, k);
            if (k > 0)
                z = Step(k - 1, start, past, last, (Lambda(k), m), last == 1);
            past.Insert(0, (Lambda(k), m));
            start = z;
            last = Math.Min(Math.Min(order, k + 1), lowerFinal ? Steps - k : order);
            z = sigmas[k + 1] == 0 ? m : Step(k, start, past, last, null, last == 2);
        }

        return z;

        double Step(int k, double from, List<(double Lambda, double M)> known, int p, (double Lambda, double M)? arrived, bool half)
        {
            var (l0, m0) = known[0];
            var l1 = Lambda(k + 1);
            var h = l1 - l0;
            var (a, b, before) = (Signal(k + 1), Signal(k + 1) * sigmas[k + 1], Signal(k) * sigmas[k]);
            var plain = (b / before * from) + (a * (1 - Math.Exp(-h)) * m0);
            if (p == 1 && arrived is null)
                return plain;
            if (half)
            {
                var difference = arrived is { } there ? there.M - m0 : (known[1].M - m0) / ((known[1].Lambda - l0) / h);
                return plain - (a * (bh1 ? -h : Math.Exp(-h) - 1) * 0.5 * difference);
            }

            (double, double)[] nodes = [.. known.Take(p), .. arrived is { } end ? [end] : Array.Empty<(double, double)>()];
            return (b / before * from) + (b * Simpson(l => Math.Exp(l) * Interpolate(nodes, l), l0, l1, 400));
        }
    }

    /// <summary>Liu et al. 2022, eq. 9 and 12 in ᾱ, with diffusers' first step: ε̂ at both its ends.</summary>
    /// <param name="z">Initial value.</param>
    /// <param name="alphas">ᾱ of each level, including the end.</param>
    public double Plms(double z, double[] alphas)
    {
        List<double> past = [];
        for (var k = 0; k < Steps; k++)
        {
            past.Insert(0, Output(z, times[k]));
            var mean = past.Count switch
            {
                1 => past[0],
                2 => ((3 * past[0]) - past[1]) / 2,
                3 => ((23 * past[0]) - (16 * past[1]) + (5 * past[2])) / 12,
                _ => ((55 * past[0]) - (59 * past[1]) + (37 * past[2]) - (9 * past[3])) / 24,
            };
            if (k == 0 && Steps > 1)
                mean = (mean + Output(Transfer(z, mean, alphas[0], alphas[1]), times[1])) / 2;
            z = Transfer(z, mean, alphas[k], alphas[k + 1]);
        }

        return z;
    }

    private static double Output(double z, double t) => (0.3 * Math.Sin(z)) + (0.1 * t / 1000);

    private double Transfer(double z, double output, double now, double next)
    {
        var noise = velocity ? (Math.Sqrt(now) * output) + (Math.Sqrt(1 - now) * z) : output;
        return (Math.Sqrt(next / now) * z) - ((next - now) * noise / ((now * Math.Sqrt(1 - next)) + Math.Sqrt(now * (1 - now) * next)));
    }

    /// <summary>dx/dσ = (x − x0)/σ.</summary>
    private double Slope(double x, int k)
    {
        var (s, a) = (sigmas[k], Signal(k));
        var output = Output(x * a, times[k]);
        return velocity ? (x - ((x / ((s * s) + 1)) - (s * a * output))) / s : output;
    }

    private double Clean(double z, int k)
    {
        var (a, b) = (Signal(k), Signal(k) * sigmas[k]);
        var output = Output(z, times[k]);
        return velocity ? (a * z) - (b * output) : (z - (b * output)) / a;
    }

    private double Signal(int k) => 1 / Math.Sqrt(1 + (sigmas[k] * sigmas[k]));

    private double Lambda(int k) => -Math.Log(sigmas[k]);

    private static double Interpolate((double Node, double Value)[] points, double at) =>
        points
            .Select(
                (p, i) => points.Where((_, j) => j != i).Aggregate(p.Value, (product, q) => product * (at - q.Node) / (p.Node - q.Node))
            )
            .Sum();

    private static double Simpson(Func<double, double> f, double from, double to, int panels)
    {
        var h = (to - from) / panels;
        return Enumerable
            .Range(0, panels)
            .Sum(k => h / 6 * (f(from + (k * h)) + (4 * f(from + ((k + 0.5) * h))) + f(from + ((k + 1) * h))));
    }
}
