using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Objectives;
using Retouch.Objectives.Autoencoder;
using Retouch.Torch.Optim;

namespace Retouch.Training.Options;

public sealed partial record TrainingOptions
{
    /// <summary>Validates all options and reports all problems at once.</summary>
    /// <exception cref="UsageException">An option is out of range or contradicts another.</exception>
    public void Validate()
    {
        var check = Requirements.OfFile();
        check.Members(this);
        check.That(Torch.DTypes.Precisions.ContainsKey(Precision), $"precision is '{Precision}'; it must be float32, bfloat16 or float16");
        check.Under(nameof(Batch)).Members(Batch);
        check.Under(nameof(Checkpoints)).Members(Checkpoints);
        check.Under(nameof(Log)).Members(Log);
        ValidateAverages(check);
        ValidateDevice(check);
        Data.Validate(check.Under(nameof(Data)));
        Optimiser.Validate(check.Under(nameof(Optimiser)));
        ValidateWeights(check);
        Samples.Validate(check.Under(nameof(Samples)));
        Model.Validate(Task, check.Under(nameof(Model)));
        ValidatePairs(check);
        Validation?.Validate(this, check.Under(nameof(Validation)));
        if (Task == TrainingTaskKind.Denoiser)
            ValidateDenoiser(check);
        else
            ValidateAutoencoder(check);
        check.Throw("Invalid options");
    }

    private void ValidateAverages(Requirements check)
    {
        var usual = new WeightAverageOptions();
        check.That(Averages.Select(static a => a.Decay).Distinct().Count() == Averages.Count, "averages: two have the same decay");
        for (var k = 0; k < Averages.Count; k++)
        {
            var (average, inner) = (Averages[k], check.Under($"{nameof(Averages)}[{k}]"));
            inner.Members(average);
            inner.That(
                average.Warmup == AverageWarmup.Power || (average.InverseGamma == usual.InverseGamma && average.Power == usual.Power),
                nameof(average.Power),
                "and inverseGamma have no effect unless warmup is power; leave them out"
            );
        }
    }

    private void ValidateWeights(Requirements check)
    {
        if (Optimiser.Weights == TrainedWeights.Float32)
            return;
        const string Member = "optimiser.weights";
        check.That(Precision == "bfloat16", $"{Member} bfloat16 needs precision bfloat16, not {Precision}");
        check.That(Task == TrainingTaskKind.Denoiser, $"{Member} bfloat16 is for denoisers; leave it out");
        check.That(Lora is null, $"{Member} has no effect with lora, whose adapters are small and stay float32; leave it out");
    }

    private void ValidateDevice(Requirements check)
    {
        try
        {
            var device = Torch.Device.Parse(Device);
            // The availability of the device is checked elsewhere.
            var isThere = device.Type == Torch.DeviceType.Cpu || device.Index < Torch.Devices.CudaStatus.Read().Devices;
            var refusal =
                isThere && Torch.DTypes.Precisions.TryGetValue(Precision, out var type) ? MixedPrecision.Refusal(device, type) : null;
            check.That(refusal is null, $"precision {refusal}");
            check.That(
                Arithmetic == new ArithmeticOptions() || device.Type != Torch.DeviceType.Cpu,
                nameof(Arithmetic),
                "has no effect on the CPU; leave it out"
            );
        }
        catch (UsageException e)
        {
            check.That(false, "device: " + e.Message);
        }
    }

    private void ValidateDenoiser(Requirements check)
    {
        check.That(AutoencoderLoss is null, nameof(AutoencoderLoss), "has no effect with task denoiser; leave it out");
        check.That(Objective is not null, nameof(Objective), "is missing; give one with --objective, such as latent or lpl");
        Objective?.Validate(check.Under(nameof(Objective)));
        check.Under(nameof(Conditioning)).Members(Conditioning);
        Times.Validate(check.Under(nameof(Times)));
        Lora?.Validate(check.Under(nameof(Lora)));
        check.That(
            Data.Prior?.Count is null || Model.Path is not null,
            "data.prior.count draws pictures with an existing model (model.path); without one, give a folder of pictures"
        );
        check.That(
            Lora is null || Model.Config is null,
            nameof(Lora),
            "needs an existing denoiser (model.path); with model.config there is no model for its adapters to belong to"
        );
        check.That(
            Data.Masks is null || Objective?.Perceptual is not { TargetFrequencies: > 1 },
            "objective.perceptual.targetFrequencies",
            "must be 0 or 1 with data.masks"
        );
    }

    private void ValidateAutoencoder(Requirements check)
    {
        const string Idle = "has no effect with task autoencoder; leave it out";
        check.That(Data.Buckets is null, "data.buckets is for denoisers; an autoencoder is trained on square pictures");
        check.That(Data.Captions is null, "data.captions", Idle);
        check.That(Data.Masks is null, "data.masks", Idle);
        check.That(Data.Prior is null, "data.prior", Idle);
        check.That(Objective is null, nameof(Objective), Idle);
        check.That(Lora is null, nameof(Lora), Idle);
        check.That(Times == new TimeOptions(), nameof(Times), Idle);
        check.That(Conditioning == new ConditioningOptions(), nameof(Conditioning), Idle);
        check.That(
            Samples == new SampleOptions { Every = Samples.Every, Count = Samples.Count },
            "samples.steps, guidance and seed have no effect with task autoencoder, whose grid shows reconstructions; leave them out"
        );
        check.That(!Model.CheckpointActivations, "model.checkpointActivations", Idle);
        check.That(
            !Data.CacheLatents && Data.Cache is null,
            "data.cacheLatents and data.cache are for denoisers; an autoencoder trains on pixels"
        );
        check.That(
            Distributed.Shard != DividedParts.Weights,
            "distributed.shard weights divides the blocks of a denoiser; with task autoencoder use gradients"
        );
        var loss = AutoencoderLoss ?? new();
        loss.Validate(check.Under(nameof(AutoencoderLoss)));
        check.That(
            !loss.DecoderOnly || Model.Path is not null,
            "autoencoderLoss.decoderOnly needs an existing autoencoder (model.path), whose encoder stays as it is"
        );
        check.That(
            !loss.DecoderOnly || Model.MeasureScaling is null or false,
            "model.measureScaling has no effect with autoencoderLoss.decoderOnly, which leaves latents as they are; leave it out"
        );
        check.That(
            loss.Adversarial is not { } adversarial || Data.Size is null || Data.Size >= adversarial.SmallestSide,
            "autoencoderLoss.adversarial.layers",
            $"needs pictures of at least {loss.Adversarial?.SmallestSide} pixels a side; give fewer layers, or a larger data.size"
        );
    }

    private void ValidatePairs(Requirements check)
    {
        check.That(
            Data.Pairs is null || Task == TrainingTaskKind.Denoiser,
            "data.pairs is for denoisers; an autoencoder trains on single pictures"
        );
        check.That(
            Data.Pairs is null || Objective?.Preference is not null || Task != TrainingTaskKind.Denoiser,
            "data.pairs needs objective.preference; no other term uses losers"
        );
        check.That(
            Data.Pairs is not null || Objective?.Preference is null,
            "objective.preference needs pairs of a winner and a loser: give them with data.pairs"
        );
        check.That(
            Batch.Extra == 0 || (Data.Pairs is not null && Data.Folder is not null),
            "batch.extra is the number of single samples beside pairs: it needs data.pairs, and data.folder for their pictures"
        );
        check.That(
            Batch.Extra == 0 || Data.Buckets is null,
            "batch.extra does not support data.buckets: single samples must have the size of the batch's pairs"
        );
        check.That(
            Batch.Extra != 0 || Data.Pairs is null || Data.Folder is null,
            "data.folder beside data.pairs provides single samples; give their number per batch with batch.extra"
        );
        check.That(
            Batch.Extra <= 0 || Objective is not { Imitates: false },
            "batch.extra: no term uses single samples; give objective.latentWeight, or a perceptual or pixel loss"
        );
    }
}
