using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Objectives.Autoencoder;
using Retouch.Tests.Evaluation;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Objectives.Autoencoder;

/// <summary>The adversarial term and its discriminator, against PyTorch.</summary>
public sealed class AdversaryTests : IDisposable
{
    private static readonly AdversarialOptions Options = new()
    {
        Weight = 0.5,
        Channels = 8,
        Layers = 1,
        LearningRate = 0.01,
    };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static Adversary Create(ulong seed, AdversarialOptions? options = null)
    {
        using var generator = Generator.Create(Device.Cpu, seed);
        return new Adversary(options ?? Options, generator, Device.Cpu);
    }

    private static Adversary Golden(GoldenCase golden)
    {
        var adversary = Create(1);
        using var quiet = Autograd.NoGrad();
        foreach (var parameter in adversary.Parameters.All)
            parameter.Value.CopyInPlace(golden.Read("in." + parameter.Name));
        return adversary;
    }

    [Fact]
    public void Term_and_factor_equal_those_of_PyTorch()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("adversarial");
        using var adversary = Golden(golden);
        var features = golden.ReadLeaf("in.features");
        using var layers = new ParameterStore();
        var layer = new Conv2d(layers.Root, 4, 3, 3, padding: 1);
        layers.Load(
            new RenamedTensors(
                golden.Tensors,
                static name =>
                    name is "in.last" ? "weight"
                    : name is "in.bias" ? "bias"
                    : null
            ),
            Device.Cpu,
            null,
            "golden"
        );
        layers.RequireGrad(true);
        var decoded = layer.Forward(features);
        var zero = Ops.Zeros([2L, 4, 1, 1]);
        var loss = new AutoencoderLoss(new AutoencoderLossOptions { Adversarial = Options }, lastLayer: layers.Find("weight"));
        var terms = loss.Evaluate(golden.Read("in.images"), decoded, new Posterior(zero, zero), adversary);
        Assert.Equal(["reconstruction", "kl", "adversarial"], terms.Terms.Select(static t => t.Name));
        golden.Check("out.deception", Tensor.From([terms.Terms[2].Raw], 1).View([]));
        golden.Check("out.factor", Tensor.From([terms.Health[AutoencoderLoss.FactorFigure]], 1).View([]));
        golden.Check("out.total", terms.Total);
        golden.Check("out.gradient", Autograd.Grad([terms.Total], [features])[0]!);
        Assert.Equal(1, terms.Terms.Sum(static t => Math.Abs(t.Share)), 6);

        // Before its start, the term is 0 and the loss that of the others.
        var before = loss.Evaluate(golden.Read("in.images"), decoded, new Posterior(zero, zero));
        Assert.Equal((0, 0), (before.Terms[2].Raw, before.Terms[2].Weighted));
        Assert.Equal(before.Terms[0].Raw, before.Total.Item(), 6);
    }

    [Fact]
    public void The_discriminators_training_equals_that_of_PyTorch()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("adversarial");
        using var adversary = Golden(golden);
        var images = golden.Read("in.images");
        var decoded = golden.Read("in.features").Conv2d(golden.Read("in.last"), golden.Read("in.bias"), [1, 1], [1, 1], [1, 1], 1);
        var losses = new double[3];
        for (var k = 0; k < losses.Length; k++)
        {
            adversary.ZeroGrad();
            // Two halves of the gradient, as with accumulation.
            losses[k] = adversary.Observe(images, decoded, 0.5).Loss;
            adversary.Observe(images, decoded, 0.5);
            // The term for the autoencoder adds no gradient to the discriminator's.
            var leaf = decoded.Detach();
            leaf.RequiresGrad = true;
            Autograd.Backward(adversary.Deception(leaf));
            adversary.Step();
        }

        golden.Check("out.losses", Tensor.From(losses, losses.Length));
        foreach (var parameter in adversary.Parameters.All)
            golden.Check("out.trained." + parameter.Name, parameter.Value.Detach());
    }

    [Fact]
    public void Logits_have_the_stated_size_and_depend_on_their_picture_alone()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 2);
        foreach (var layers in new[] { 1, 2, 3 })
        {
            var store = new ParameterStore();
            var network = new Discriminator(store.Root, 8, layers);
            store.Initialise(generator, Device.Cpu);
            var side = Discriminator.Smallest(layers);
            Assert.Equal([2, 1, 1, 1], network.Forward(Ops.Zeros([2, 3, side, side])).Shape);
            var images = Ops.Randn([3, 3, side, side + (1 << layers)], generator);
            var logits = network.Forward(images);
            Assert.Equal([3, 1, 1, 2], logits.Shape);
            Assert.InRange(TestTensors.Furthest(logits.Narrow(0, 1, 1), network.Forward(images.Narrow(0, 1, 1))), 0, 1e-5);
            store.Dispose();
        }
    }

    [Fact]
    public void Its_state_continues_its_training_to_the_bit()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        var (images, decoded) = (Ops.Randn([2L, 3, 16, 16], generator), Ops.Randn([2L, 3, 16, 16], generator));
        void Step(Adversary adversary)
        {
            adversary.ZeroGrad();
            adversary.Observe(images, decoded, 1);
            adversary.Step();
        }

        using var first = Create(4);
        Step(first);
        Step(first);
        SafetensorsWriter.Write(_folder["state.safetensors"], first.State());
        using var second = Create(5);
        using (var state = SafetensorsFile.Open(_folder["state.safetensors"]))
            second.LoadState(state);
        Step(first);
        Step(second);
        var others = second.State().ToDictionary(static s => s.Key, static s => s.Value, StringComparer.Ordinal);
        foreach (var (name, value) in first.State())
            Assert.Equal(value.To(DType.Float64).ToArray<double>(), others[name].To(DType.Float64).ToArray<double>());

        using var wider = Create(6, Options with { Channels = 16 });
        using var stored = SafetensorsFile.Open(_folder["state.safetensors"]);
        Assert.Throws<InputException>(() => wider.LoadState(stored));
    }
}
