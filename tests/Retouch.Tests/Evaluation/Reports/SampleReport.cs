using Retouch.Evaluation.Reports;
using Retouch.Tests.Training.Telemetry;

namespace Retouch.Tests.Evaluation.Reports;

/// <summary>A report with all types of blocks and synthetic numbers, similar to that of a comparison of losses.</summary>
internal static class SampleReport
{
    public const string Latent = "Latent loss only";
    public const string Perceptual = "+ latent perceptual";
    public const string Pixel = "+ pixel loss";

    /// <summary>Must appear as literal text in all places.</summary>
    public const string Hostile = "</script><img src=x onerror=alert(1)> & \"quoted\" 'it'";

    private static readonly string[] Arms = [Latent, Perceptual, Pixel];

    public static ReportDocument Create() =>
        new(
            "Comparison of losses",
            [
                new("Pictures", new Prose("All arms use the same seeds and classes, so that only the training differs."), Pictures()),
                new("Numbers", Metrics(), new BlockRow(Spectrum(), Bands())),
                new(
                    "Training",
                    new BlockRow(Losses(), Shares()),
                    new BlockRow(
                        new KeyValues(
                            "Shared options",
                            new("Model", "U-Net, 12.4 M parameters"),
                            new("Formulation", "rectified flow"),
                            new("Steps", "2,000 at batch 32"),
                            new("Learning rate", "2e-4, 200 steps of warm-up"),
                            new("Seed", "7")
                        ),
                        new KeyValues(
                            "Machine",
                            new("Processor", "2 cores"),
                            new("libtorch", "1.13.1, OpenBLAS"),
                            new(".NET", "10.0"),
                            new("Note", Hostile)
                        )
                    )
                ),
                new(
                    "Reproduction",
                    new CodeBlock(
                        "Commands",
                        "retouch demo --seed 7 --steps 2000\nretouch compare --runs runs/latent runs/lpl runs/pixel --report report"
                    ),
                    new CodeBlock(
                        "Options of “+ latent perceptual”",
                        "{\n  \"objective\": {\n    \"latent\": { \"weight\": 1 },\n    \"lpl\": { \"weight\": \"auto\", "
                            + "\"share\": 0.2, \"taps\": 4 }\n  }\n}",
                        Collapsed: true
                    ),
                    new CodeBlock("Options of “+ pixel loss”", "{ \"objective\": { \"pixel\": { \"weight\": 8 } } }", Collapsed: true)
                ),
            ]
        )
        {
            Subtitle = "Toy scenes at 64 × 64 pixels, three objectives, same initial weights. Synthetic numbers.",
            Verdict = new(
                VerdictTone.Better,
                "The **latent perceptual loss** reduces the error of fine detail by 41 %, " + "a significant difference.",
                "The improvement by the pixel-space loss is not significant. One training run per arm: "
                    + "intervals cover the variation between pictures, not between trainings."
            ),
            Highlights =
            [
                new("Fréchet wavelet distance", "−23 %", "perceptual against latent only"),
                new("Error of the finest band", "−41 %", "perceptual against latent only"),
                new("Time per step", "1.6×", "perceptual against latent only"),
            ],
            Arms =
            [
                new(Latent, "Diffusion loss only."),
                new(Perceptual, "Decoder features, four taps, share 0.2."),
                new(Pixel, "Decoded noisy latents, weight 8."),
            ],
        };

    private static ReportTable Metrics() =>
        new(
            "Results on 512 pictures per arm",
            "Arm",
            [
                new("Fréchet wavelet distance", Better.Lower),
                new("Spectrum error", Better.Lower) { Unit = "dB" },
                new("Sharpness", Better.Higher) { Unit = "of real pictures" },
                new("Time per step", Better.Lower) { Unit = "ms" },
                new("Memory") { Unit = "MiB" },
            ],
            [
                new(
                    "Real pictures",
                    TableCell.Of(0.0412, 0.0031),
                    TableCell.Of(0.21, 0.04),
                    TableCell.Of(1, 0.02),
                    TableCell.Missing,
                    TableCell.Missing
                )
                {
                    IsReference = true,
                },
                new(Latent, TableCell.Of(1.4231, 0.0412), TableCell.Of(3.12, 0.11), TableCell.Of(0.713, 0.02), 212.4, 812),
                new(Perceptual, TableCell.Of(1.0958, 0.0377), TableCell.Of(1.97, 0.09), TableCell.Of(0.871, 0.02), 339.9, 1204),
                new(Pixel, TableCell.Of(1.2210, 0.0395), TableCell.Of(2.05, 0.10), TableCell.Of(0.842, 0.02), 402.2, 1377),
            ]
        )
        {
            IntervalNote = "95 % bootstrap over pictures, 1,000 resamples.",
        };

    private static LineChart Spectrum()
    {
        double[] frequency = [.. Enumerable.Range(1, 32).Select(k => k / 64.0)];
        double[] real = [.. frequency.Select(f => 0.02 / Math.Pow(f, 2.1))];
        double[] decay = [5.5, 2.6, 3.4];
        return new(
            "Radial power spectrum",
            new("cycles per pixel", Log: true),
            new("power", Log: true),
            [
                new("Real pictures", frequency, real) { IsReference = true },
                .. Arms.Select(
                    (arm, i) =>
                    {
                        double[] power = [.. frequency.Select((f, k) => real[k] * Math.Exp(-decay[i] * f * f * 2))];
                        return new ChartSeries(arm, frequency, power)
                        {
                            Low = [.. power.Select(p => p * 0.93)],
                            High = [.. power.Select(p => p * 1.07)],
                        };
                    }
                ),
            ]
        )
        {
            Note = "Bands: 95 % bootstrap over pictures.",
        };
    }

    private static BarChart Bands() =>
        new(
            "Spectrum error by band",
            "mean log power against real pictures, dB",
            ["coarse, below 1/16", "1/16 to 1/8", "1/8 to 1/4", "finest, above 1/4"],
            [
                new(Latent, [0.21, -0.62, -1.9, -5.2]) { HalfWidths = [0.2, 0.2, 0.25, 0.3] },
                new(Perceptual, [0.18, -0.31, -0.92, -3.07]) { HalfWidths = [0.2, 0.2, 0.22, 0.28] },
                new(Pixel, [-0.35, -0.41, -1.3, -3.9]) { HalfWidths = [0.2, 0.2, 0.2, 0.3] },
            ]
        )
        {
            Note = "Below zero: the pictures hold less of this detail than real ones do.",
        };

    private static LineChart Losses()
    {
        var noise = new Wobble(3);
        return new(
            "Latent term while training",
            new("step"),
            new("loss"),
            [
                .. Arms.Select(
                    (arm, i) =>
                    {
                        double[] steps = [.. Enumerable.Range(1, 400).Select(k => k * 5.0)];
                        double[] loss =
                        [
                            .. steps.Select(step => (0.22 + (0.012 * i) + (0.5 * Math.Exp(-step / 260))) * (1 + (0.16 * noise.Next()))),
                        ];
                        return new ChartSeries(arm, steps, loss);
                    }
                ),
            ]
        )
        {
            Smoothing = 0.95,
        };
    }

    private static LineChart Shares()
    {
        var noise = new Wobble(9);
        double[] steps = [.. Enumerable.Range(1, 100).Select(k => k * 20.0)];
        double[] latent = [.. steps.Select(step => 0.24 + (0.5 * Math.Exp(-step / 260)) + (0.01 * noise.Next()))];
        return new(
            "Terms of “+ latent perceptual”",
            new("step"),
            new("weighted loss"),
            [new("latent", steps, latent), new("lpl", steps, [.. latent.Select(value => value * (0.25 + (0.03 * noise.Next())))])]
        )
        {
            Stacked = true,
        };
    }

    private static PictureGrid Pictures()
    {
        string[] scenes =
        [
            .. Enumerable.Range(0, 12).Select(i => $"seed {100 + i}, class “{(i % 2 == 0 ? "circle on grass" : "hill at dusk")}”"),
        ];
        double[] blur = [1.6, 0.5, 0.9];
        return new(
            "Samples, 50 Euler steps, guidance 1.5",
            scenes,
            [.. Arms.Select((arm, a) => new PictureColumn(arm, [.. scenes.Select((_, i) => Scene(i, blur[a]))]))]
        )
        {
            Note = "Not hand-picked: these are the first twelve seeds.",
        };
    }

    private static byte[] Scene(int seed, double softness)
    {
        var noise = new Wobble(seed + 1);
        var (cx, cy, r) = (32 + (14 * noise.Next()), 30 + (10 * noise.Next()), 11 + (4 * noise.Next()));
        var (hue, tilt) = (Math.Abs(noise.Next()), noise.Next() * 0.3);
        return TestPng.Encode(
            64,
            64,
            (x, y) =>
            {
                var ground = Edge(y - 42 - (tilt * (x - 32)), softness);
                var disc = Edge(r - Math.Sqrt(((x - cx) * (x - cx)) + ((y - cy) * (y - cy))), softness);
                var stripes = 1 + (0.25 / (1 + (softness * softness)) * Math.Sin(x * 2.1) * Math.Sin(y * 1.7) * ground);
                return (Mix(150 + (60 * hue), 70 + (50 * hue), 225), Mix(190, 120, 80 + (120 * hue)), Mix(225 - (80 * hue), 60, 60));

                byte Mix(double sky, double earth, double sun) =>
                    (byte)Math.Clamp((((sky * (1 - ground)) + (earth * ground * stripes)) * (1 - disc)) + (sun * disc), 0, 255);
            }
        );
    }

    private static double Edge(double distance, double softness) => 1 / (1 + Math.Exp(-distance / (softness * 0.6)));

    /// <summary>Deterministic numbers in [-1, 1], equal on all machines.</summary>
    private sealed class Wobble(int seed)
    {
        private uint _state = unchecked((uint)seed * 2654435761u) | 1;

        public double Next()
        {
            _state ^= _state << 13;
            _state ^= _state >> 17;
            _state ^= _state << 5;
            return (_state / (double)uint.MaxValue * 2) - 1;
        }
    }
}
