using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Objectives.Preference;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Objectives.Preference;

public sealed class ReferenceTests
{
    [Fact]
    public void Both_live_references_equal_the_initial_network()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("training_dit_lpl");
        using var pipeline = TinyModel.Pipeline(new JsonObject { ["_class_name"] = "DDIMScheduler" });
        var model = pipeline.CreateModel();
        var level = model.Formulation.LevelsAt(golden.Read("in.probe_timestep").ToArray<double>(), Device.Cpu);
        float[] Predict(IDenoisedModel of) =>
            of.At(golden.Read("in.probe"), level, new Condition(golden.Read("in.probe_labels"))).Raw.Value.ToArray<float>();
        var before = Predict(model);
        using (var frozen = new FrozenReference(pipeline.CopyDenoiser(), model.Formulation))
        {
            using var adapters = LowRankAdapters.Attach(pipeline.Denoiser.Parameters, new AdapterOptions { Rank = 2 });
            using var generator = Generator.Create(Device.Cpu, 3);
            adapters.Parameters.Initialise(generator, Device.Cpu);
            foreach (var parameter in adapters.Parameters.All)
                parameter.Value.AddInPlace(Ops.Randn(parameter.Shape, generator, dtype: DType.Float32));
            using var off = new AdaptersOffReference(model, adapters);
            Assert.NotEqual(before, Predict(model));
            Assert.Equal(before, Predict(off));
            Assert.True(adapters.IsOn);
            Assert.Equal(before, Predict(frozen));
        }

        using var copy = new FrozenReference(pipeline.CopyDenoiser(), model.Formulation);
        foreach (var parameter in pipeline.Denoiser.Parameters.Trained)
            parameter.Value.MulInPlace(1.5);
        Assert.NotEqual(before, Predict(model));
        Assert.Equal(before, Predict(copy));
    }
}
