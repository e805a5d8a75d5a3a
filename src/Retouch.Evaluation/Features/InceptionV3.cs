using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Evaluation.Features;

/// <summary>
/// Inception-v3 (Szegedy et al., "Rethinking the Inception Architecture", 2016) up to its 2048 features, in the variant of FID (Heusel et
/// al. 2017): average pooling in the branches excludes the padding, and the last block uses max pooling.
/// Keys as in pytorch-fid's weights (<c>Mixed_5b.branch5x5_1.conv.weight</c>).
/// </summary>
internal sealed class InceptionV3
{
    /// <summary>Width of the features.</summary>
    public const int Width = 2048;

    private readonly ParameterPath _root;
    private readonly NormalisedConv2d[] _first;
    private readonly NormalisedConv2d[] _second;
    private readonly InceptionBlock[] _middle;
    private readonly InceptionBlock[] _last;

    public InceptionV3(ParameterPath path)
    {
        _root = path;
        _first =
        [
            new(path / "Conv2d_1a_3x3", 3, 32, (3, 3), stride: 2),
            new(path / "Conv2d_2a_3x3", 32, 32, (3, 3)),
            new(path / "Conv2d_2b_3x3", 32, 64, (3, 3), padding: (1, 1)),
        ];
        _second = [new(path / "Conv2d_3b_1x1", 64, 80), new(path / "Conv2d_4a_3x3", 80, 192, (3, 3))];
        _middle =
        [
            Five(path / "Mixed_5b", 192, 32),
            Five(path / "Mixed_5c", 256, 64),
            Five(path / "Mixed_5d", 288, 64),
            SixA(path / "Mixed_6a"),
            Six(path / "Mixed_6b", 128),
            Six(path / "Mixed_6c", 160),
            Six(path / "Mixed_6d", 160),
            Six(path / "Mixed_6e", 192),
        ];
        _last =
        [
            SevenA(path / "Mixed_7a"),
            Seven(path / "Mixed_7b", 1280, InceptionBlock.Average),
            Seven(path / "Mixed_7c", 2048, InceptionBlock.Largest),
        ];
    }

    /// <summary>[batch, 3, 299, 299] in [−1, 1] to [batch, 2048].</summary>
    public Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var y = Pooled("block64", Run(_first, x));
        y = Pooled("block192", Run(_second, y));
        y = (_root / "block768").Observe(Run(_middle, y));
        return scope.Keep(Run(_last, y).Mean([2L, 3]));
    }

    private Tensor Pooled(string name, Tensor x) => (_root / name).Observe(InceptionBlock.HalvedLargest(x));

    private static Tensor Run(NormalisedConv2d[] layers, Tensor x) => new ConvChain(layers).Forward(x);

    // One scope per block: the activations of a batch take hundreds of megabytes.
    private static Tensor Run(InceptionBlock[] blocks, Tensor x)
    {
        foreach (var block in blocks)
        {
            using var scope = TensorScope.Enter();
            x = scope.Keep(block.Forward(x));
        }

        return x;
    }

    private static InceptionBlock Five(ParameterPath path, int inputs, int pooled)
    {
        var pool = new NormalisedConv2d(path / "branch_pool", inputs, pooled);
        return new(
            new NormalisedConv2d(path / "branch1x1", inputs, 64).Forward,
            new ConvChain(new(path / "branch5x5_1", inputs, 48), new(path / "branch5x5_2", 48, 64, (5, 5), padding: (2, 2))).Forward,
            new ConvChain(
                new(path / "branch3x3dbl_1", inputs, 64),
                new(path / "branch3x3dbl_2", 64, 96, (3, 3), padding: (1, 1)),
                new(path / "branch3x3dbl_3", 96, 96, (3, 3), padding: (1, 1))
            ).Forward,
            x => pool.Forward(InceptionBlock.Average(x))
        );
    }

    private static InceptionBlock SixA(ParameterPath path) =>
        new(
            new NormalisedConv2d(path / "branch3x3", 288, 384, (3, 3), stride: 2).Forward,
            new ConvChain(
                new(path / "branch3x3dbl_1", 288, 64),
                new(path / "branch3x3dbl_2", 64, 96, (3, 3), padding: (1, 1)),
                new(path / "branch3x3dbl_3", 96, 96, (3, 3), stride: 2)
            ).Forward,
            InceptionBlock.HalvedLargest
        );

    private static InceptionBlock Six(ParameterPath path, int narrow)
    {
        const int Inputs = 768;
        var pool = new NormalisedConv2d(path / "branch_pool", Inputs, 192);
        return new(
            new NormalisedConv2d(path / "branch1x1", Inputs, 192).Forward,
            new ConvChain(
                new(path / "branch7x7_1", Inputs, narrow),
                Row(path / "branch7x7_2", narrow, narrow, 7),
                Column(path / "branch7x7_3", narrow, 192, 7)
            ).Forward,
            new ConvChain(
                new(path / "branch7x7dbl_1", Inputs, narrow),
                Column(path / "branch7x7dbl_2", narrow, narrow, 7),
                Row(path / "branch7x7dbl_3", narrow, narrow, 7),
                Column(path / "branch7x7dbl_4", narrow, narrow, 7),
                Row(path / "branch7x7dbl_5", narrow, 192, 7)
            ).Forward,
            x => pool.Forward(InceptionBlock.Average(x))
        );
    }

    private static InceptionBlock SevenA(ParameterPath path) =>
        new(
            new ConvChain(new(path / "branch3x3_1", 768, 192), new(path / "branch3x3_2", 192, 320, (3, 3), stride: 2)).Forward,
            new ConvChain(
                new(path / "branch7x7x3_1", 768, 192),
                Row(path / "branch7x7x3_2", 192, 192, 7),
                Column(path / "branch7x7x3_3", 192, 192, 7),
                new(path / "branch7x7x3_4", 192, 192, (3, 3), stride: 2)
            ).Forward,
            InceptionBlock.HalvedLargest
        );

    private static InceptionBlock Seven(ParameterPath path, int inputs, Func<Tensor, Tensor> pooling)
    {
        var pool = new NormalisedConv2d(path / "branch_pool", inputs, 192);
        return new(
            new NormalisedConv2d(path / "branch1x1", inputs, 320).Forward,
            Forked(
                new(new NormalisedConv2d(path / "branch3x3_1", inputs, 384)),
                Row(path / "branch3x3_2a", 384, 384, 3),
                Column(path / "branch3x3_2b", 384, 384, 3)
            ),
            Forked(
                new(new(path / "branch3x3dbl_1", inputs, 448), new(path / "branch3x3dbl_2", 448, 384, (3, 3), padding: (1, 1))),
                Row(path / "branch3x3dbl_3a", 384, 384, 3),
                Column(path / "branch3x3dbl_3b", 384, 384, 3)
            ),
            x => pool.Forward(pooling(x))
        );
    }

    private static Func<Tensor, Tensor> Forked(ConvChain stem, NormalisedConv2d one, NormalisedConv2d other)
    {
        var fork = new InceptionBlock(one.Forward, other.Forward);
        return x => fork.Forward(stem.Forward(x));
    }

    private static NormalisedConv2d Row(ParameterPath path, int inputs, int outputs, int length) =>
        new(path, inputs, outputs, (1, length), padding: (0, length / 2));

    private static NormalisedConv2d Column(ParameterPath path, int inputs, int outputs, int length) =>
        new(path, inputs, outputs, (length, 1), padding: (length / 2, 0));
}
