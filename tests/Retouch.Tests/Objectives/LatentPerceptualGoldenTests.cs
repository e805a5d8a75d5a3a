using Retouch.Autoencoders;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

/// <summary>The loss with a real decoder against an independent implementation.</summary>
public sealed class LatentPerceptualGoldenTests
{
    private static readonly int[] AllTaps = [0, 1, 2, 3, 4];

    public static TheoryData<string, string, string, bool> Cases()
    {
        var cases = new TheoryData<string, string, string, bool>();
        foreach (var golden in new[] { "lpl_clean", "lpl_outliers" })
        {
            foreach (var scheme in new[] { "exp2", "inverse", "uniform" })
            {
                foreach (var normalisation in new[] { "shared", "separate" })
                {
                    cases.Add(golden, scheme, normalisation, true);
                    cases.Add(golden, scheme, normalisation, false);
                }
            }
        }

        return cases;
    }

    [Theory]
    [Trait("speed", "slow")]
    [MemberData(nameof(Cases))]
    public void Losses_and_gradients(string name, string scheme, string normalisation, bool detached)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(name);
        using var autoencoder = Load(golden);
        var options = new LatentPerceptualOptions
        {
            Weight = 1,
            TargetFrequencies = 0,
            ErrorScale = 1,
            Taps = AllTaps,
            Statistics = normalisation == "shared" ? StatisticsSource.Estimate : StatisticsSource.Own,
            StatisticsGradient = detached ? 0 : 1,
            VarianceFloor = 0,
            DepthWeighting = scheme switch
            {
                "exp2" => DepthWeighting.Exponential,
                "inverse" => DepthWeighting.Inverse,
                _ => DepthWeighting.Uniform,
            },
            Threshold = (double)golden.Document["params"]!["tau"]!,
            SampleReduction = SampleReduction.Active,
        };
        var tag = $"{scheme}.{normalisation}.{(detached ? "detached" : "attached")}";
        var leaf = golden.ReadLeaf("in.z0_hat");
        var clean = autoencoder.Scale(golden.Read("in.z0"));
        var estimate = autoencoder.Scale(leaf);
        var sigma = golden.Read("in.sigma");
        var noisy = new NoisedLatent(clean, new Latent(clean), Ops.ZerosLike(clean), new NoiseLevel(sigma, sigma, sigma, sigma));
        var inputs = new ObjectiveInputs(Step.Flow, noisy, new Denoised(new Latent(estimate), estimate, new Prediction(leaf)));
        var terms = new ObjectiveSet(new() { LatentWeight = 0, Perceptual = options }, autoencoder).Evaluate(inputs);
        golden.Check($"out.{tag}.total", terms.Total);
        golden.Check($"grad.{tag}.z0_hat", Autograd.Grad([terms.Total], [leaf])[0]!);

        using var quiet = Autograd.NoGrad();
        var decoded = new DecodedSamples(
            autoencoder.DecodeWithTaps(new Latent(estimate), new TapRequest(AllTaps)),
            autoencoder.DecodeWithTaps(new Latent(clean), new TapRequest(AllTaps)),
            null
        );
        var layers = new LatentPerceptualObjective(options, autoencoder).PerLayer(decoded, new HealthLog(scope));
        golden.Check($"out.{tag}.per_layer", Ops.Stack(layers));
    }

    [Theory]
    [InlineData("squared", FeatureDifference.Squared, DepthWeighting.Inverse)]
    [InlineData("absolute", FeatureDifference.Absolute, DepthWeighting.Inverse)]
    [InlineData("uniform", FeatureDifference.Squared, DepthWeighting.Uniform)]
    public void The_preset_reference_equals_the_public_script(string variant, FeatureDifference difference, DepthWeighting depth)
    {
        using var scope = TensorScope.Enter();
        using var inputs = GoldenCase.Open("lpl_outliers");
        using var expected = GoldenCase.Open("lpl_reference");
        using var autoencoder = Load(inputs);
        var options = LatentPerceptualPresets.Reference with { Difference = difference, DepthWeighting = depth };
        var leaf = inputs.ReadLeaf("in.z0_hat");
        var clean = autoencoder.Scale(inputs.Read("in.z0"));
        var estimate = autoencoder.Scale(leaf);
        var sigma = Ops.FullLike(inputs.Read("in.sigma"), 0.1);
        var noisy = new NoisedLatent(clean, new Latent(clean), Ops.ZerosLike(clean), new NoiseLevel(sigma, sigma, sigma, sigma));
        var step = new ObjectiveInputs(Step.Flow, noisy, new Denoised(new Latent(estimate), estimate, new Prediction(leaf)));
        var total = new ObjectiveSet(new() { LatentWeight = 0, Perceptual = options }, autoencoder).Evaluate(step).Total;
        using (Autograd.NoGrad())
        {
            DecodedTaps Decode(Tensor latents) => autoencoder.DecodeWithTaps(new Latent(latents), new TapRequest(AllTaps));
            var layers = new LatentPerceptualObjective(options, autoencoder).PerLayer(
                new(Decode(estimate), Decode(clean), null),
                new HealthLog(scope)
            );
            // The script divides by the number of taps at the end.
            expected.Check($"out.{variant}.per_layer", Ops.Stack(layers) * AllTaps.Length);
        }

        expected.Check($"out.{variant}.total", total);
        expected.Check($"grad.{variant}.z0_hat", Autograd.Grad([total], [leaf])[0]!);
    }

    [Theory]
    [InlineData("lpl_clean")]
    [InlineData("lpl_outliers")]
    public void Masks_thresholds_and_statistics(string name)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open(name);
        using var autoencoder = Load(golden);
        TapRequest request = new(AllTaps);
        var target = autoencoder.DecodeWithTaps(new Latent(autoencoder.Scale(golden.Read("in.z0"))), request).Features;
        var estimate = autoencoder.DecodeWithTaps(new Latent(autoencoder.Scale(golden.Read("in.z0_hat"))), request).Features;
        var plan = new LayerPlan(new() { Taps = AllTaps }, autoencoder, 1);
        for (var l = 0; l < AllTaps.Length; l++)
        {
            var settings = plan.Layers[l].Features;
            var (low, high) = OutlierMask.Thresholds(estimate[l], settings.Mask!);
            golden.Check($"mid.threshold_low.{l}", low.Flatten(1));
            golden.Check($"mid.threshold_high.{l}", high.Flatten(1));
            golden.CheckMask($"out.mask.{l}", OutlierMask.Compute(estimate[l], settings.Mask!));
            var terms = FeatureLoss.Compare(target[l], estimate[l], settings);
            golden.Check($"mid.masked_std.{l}", (terms.EstimateVariance + FeatureLoss.VarianceFloor).Sqrt());
            golden.Check($"out.mask_fraction.{l}", terms.Kept / (double)(estimate[l].Shape[2] * estimate[l].Shape[3]));
        }
    }

    private static AutoencoderKl Load(GoldenCase golden)
    {
        var network = new AutoencoderKl(AutoencoderKlConfig.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters);
        return network;
    }
}
