using Retouch.Conditioning.Clip;
using Retouch.Conditioning.Prompts;
using Retouch.Conditioning.T5;
using Retouch.Conditioning.Tokenizers;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Tests.Conditioning.Prompts;

/// <summary>Combination of encoders as in each family's pipeline.</summary>
public sealed class PromptEncoderTests : IDisposable
{
    private readonly ClipTextModel _small = Clip(8, 6, projection: false, seed: 1);
    private readonly ClipTextModel _projected = Clip(8, 6, projection: true, seed: 2);
    private readonly ClipTextModel _second = Clip(12, 10, projection: true, seed: 3);
    private readonly T5Encoder _t5 = T5();
    private readonly Words _words = new(7);

    public void Dispose()
    {
        _small.Dispose();
        _projected.Dispose();
        _second.Dispose();
        _t5.Dispose();
    }

    [Fact]
    public void Stable_Diffusion_1_uses_the_last_or_an_earlier_normalised_state()
    {
        using var scope = TensorScope.Enter();
        var encoder = new ClipPromptEncoder(new ClipTower(_small, _words));
        var encoded = encoder.Encode(["ab", "", "abcdefgh"]);
        var ids = Ids("ab", "", "abcdefgh");
        Same(_small.Forward(ids).LastHiddenState, encoded.Condition.Text!);
        Assert.Equal((8, null, false), (encoder.Width, encoder.PooledWidth, encoder.TakesTimeIds));
        Assert.Null(encoded.Condition.Pooled);
        Assert.Null(encoded.Condition.TextMask);
        Assert.Equal([new CutPrompt(2, "text_encoder", "fgh")], encoded.Cut);
        Same(
            _small.FinalNorm(_small.Forward(ids, skip: 1).HiddenState!),
            new ClipPromptEncoder(new ClipTower(_small, _words), 1).Encode(["ab", "", "abcdefgh"]).Condition.Text!
        );
        Assert.Throws<ArgumentException>(() => encoder.Encode([]));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ClipPromptEncoder(new ClipTower(_small, _words), 2));
    }

    [Fact]
    public void The_mask_is_used_if_configured()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 1);
        using var masked = new ClipTextModel(_small.Config with { UseAttentionMask = true });
        masked.Parameters.Initialise(generator, Device.Cpu);
        var mask = Tensor.From([1L, 1, 1, 1, 0, 0, 0], 1, 7);
        var text = new ClipPromptEncoder(new ClipTower(masked, _words)).Encode(["ab"]).Condition.Text!;
        Same(masked.Forward(Ids("ab"), mask).LastHiddenState, text);
        Assert.NotEqual(masked.Forward(Ids("ab")).LastHiddenState.ToArray<float>(), text.ToArray<float>());
    }

    [Fact]
    public void Sdxl_uses_two_penultimate_states_and_the_second_projection()
    {
        using var scope = TensorScope.Enter();
        var encoder = new SdxlPromptEncoder(
            new ClipTower(_small, _words),
            new ClipTower(_second, _words, "text_encoder_2"),
            forceZerosForEmptyPrompt: false
        );
        var whole = MicroConditioning.Whole(512, 768);
        var encoded = encoder.Encode(["ab", ""], [new MicroConditioning(600, 900, 3, 5, 512, 768), whole]);
        var (a, b) = (_small.Forward(Ids("ab", ""), skip: 1), _second.Forward(Ids("ab", ""), skip: 1));
        Same(a.HiddenState!, encoded.Condition.Text!.Narrow(2, 0, 8));
        Same(b.HiddenState!, encoded.Condition.Text!.Narrow(2, 8, 12));
        Same(b.Projected!, encoded.Condition.Pooled!);
        Assert.Equal([600f, 900, 3, 5, 512, 768, 512, 768, 0, 0, 512, 768], encoded.Condition.TimeIds!.ToArray<float>());
        Assert.Equal((20, 10, true), (encoder.Width, encoder.PooledWidth, encoder.TakesTimeIds));
        Assert.Null(encoder.Encode(["ab"]).Condition.TimeIds);
        Assert.Throws<ArgumentException>(() => encoder.Encode(["ab"], [whole, whole]));
        Assert.Equal(["text_encoder", "text_encoder_2"], encoder.Encode(["abcdefg"]).Cut.Select(static c => c.Encoder));
    }

    [Fact]
    public void Sdxl_can_replace_empty_prompts_by_zeros()
    {
        using var scope = TensorScope.Enter();
        var plain = new SdxlPromptEncoder(new ClipTower(_small, _words), new ClipTower(_second, _words), forceZerosForEmptyPrompt: false)
            .Encode(["", "ab"])
            .Condition;
        var zeros = new SdxlPromptEncoder(new ClipTower(_small, _words), new ClipTower(_second, _words), forceZerosForEmptyPrompt: true)
            .Encode(["", "ab"])
            .Condition;
        Assert.All(zeros.Text!.Select(0, 0).ToArray<float>(), static v => Assert.Equal(0, v));
        Assert.All(zeros.Pooled!.Select(0, 0).ToArray<float>(), static v => Assert.Equal(0, v));
        Same(plain.Text!.Select(0, 1), zeros.Text!.Select(0, 1));
        Same(plain.Pooled!.Select(0, 1), zeros.Pooled!.Select(0, 1));
        Assert.NotEqual(0, plain.Text!.Select(0, 0).Abs().Max().Item());
    }

    [Fact]
    public void Stable_Diffusion_3_appends_T5_to_both_CLIP_embeddings()
    {
        using var scope = TensorScope.Enter();
        var (first, second) = (new ClipTower(_projected, _words), new ClipTower(_second, _words));
        var encoder = new Sd3PromptEncoder(first, second, new T5Tower(_t5, _words), width: 24, t5Tokens: 9);
        var condition = encoder.Encode(["ab", ""]).Condition;
        var (a, b) = (_projected.Forward(Ids("ab", ""), skip: 1), _second.Forward(Ids("ab", ""), skip: 1));
        Assert.Equal([2, 7 + 9, 24], condition.Text!.Shape);
        Same(a.HiddenState!, condition.Text!.Narrow(1, 0, 7).Narrow(2, 0, 8));
        Same(b.HiddenState!, condition.Text!.Narrow(1, 0, 7).Narrow(2, 8, 12));
        Assert.Equal(0, condition.Text!.Narrow(1, 0, 7).Narrow(2, 20, 4).Abs().Max().Item());
        var ids = Tensor.From(_words.Encode("ab", 9).Ids.Concat(_words.Encode("", 9).Ids).Select(static i => (long)i).ToArray(), 2, 9);
        Same(_t5.Forward(ids), condition.Text!.Narrow(1, 7, 9));
        Same(a.Projected!, condition.Pooled!.Narrow(1, 0, 6));
        Same(b.Projected!, condition.Pooled!.Narrow(1, 6, 10));
        Assert.Equal((24, 16), (encoder.Width, encoder.PooledWidth));
        var without = new Sd3PromptEncoder(first, second, null, width: 24, t5Tokens: 9).Encode(["ab", ""]).Condition;
        Assert.Equal(condition.Text!.Shape, without.Text!.Shape);
        Same(condition.Text!.Narrow(1, 0, 7), without.Text!.Narrow(1, 0, 7));
        Assert.Equal(0, without.Text!.Narrow(1, 7, 9).Abs().Max().Item());
    }

    [Fact]
    public void PixArt_uses_T5_with_mask_and_lower_case()
    {
        using var scope = TensorScope.Enter();
        var encoder = new PixArtPromptEncoder(new T5Tower(_t5, _words), 6);
        var encoded = encoder.Encode([" AB ", ""]);
        var mask = Tensor.From([1L, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0], 2, 6);
        var ids = Tensor.From(_words.Encode("ab", 6).Ids.Concat(_words.Encode("", 6).Ids).Select(static i => (long)i).ToArray(), 2, 6);
        Same(_t5.Forward(ids, mask), encoded.Condition.Text!);
        Assert.Equal(mask.ToArray<long>(), encoded.Condition.TextMask!.ToArray<long>());
        Assert.Equal([new CutPrompt(0, "text_encoder", "efg")], encoder.Encode(["abcdefg"]).Cut);
    }

    [Fact]
    public void Unsuitable_encoders_are_rejected()
    {
        var (plain, second) = (new ClipTower(_small, _words), new ClipTower(_second, _words));
        Assert.Contains(
            "ids",
            Assert.Throws<InputException>(() => new ClipTower(_small, new Words(7, vocabulary: 41))).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "ids",
            Assert.Throws<InputException>(() => new T5Tower(_t5, new Words(7, vocabulary: 41))).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "text_encoder_2",
            Assert.Throws<InputException>(() => new SdxlPromptEncoder(second, plain, false)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "tokens",
            Assert.Throws<InputException>(() => new SdxlPromptEncoder(new ClipTower(_small, new Words(6)), second, false)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "text_encoder ",
            Assert.Throws<InputException>(() => new Sd3PromptEncoder(plain, second, null)).Message,
            StringComparison.Ordinal
        );
        var projected = new ClipTower(_projected, _words);
        Assert.Contains(
            "20",
            Assert.Throws<InputException>(() => new Sd3PromptEncoder(projected, second, null, width: 16)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "d_model",
            Assert.Throws<InputException>(() => new Sd3PromptEncoder(projected, second, new T5Tower(_t5, _words), width: 32)).Message,
            StringComparison.Ordinal
        );
    }

    private static void Same(Tensor expected, Tensor found)
    {
        Assert.Equal(expected.Shape, found.Shape);
        Assert.Equal(expected.ToArray<float>(), found.ToArray<float>());
    }

    private Tensor Ids(params string[] prompts) =>
        Tensor.From(prompts.SelectMany(p => _words.Encode(p, 7).Ids).Select(static i => (long)i).ToArray(), prompts.Length, 7);

    internal static ClipTextModel Clip(int width, int projected, bool projection, ulong seed)
    {
        using var generator = Generator.Create(Device.Cpu, seed);
        var model = new ClipTextModel(
            new ClipTextConfig
            {
                VocabSize = 40,
                HiddenSize = width,
                IntermediateSize = 16,
                ProjectionDim = projected,
                NumHiddenLayers = 2,
                NumAttentionHeads = 2,
                EosTokenId = 1,
                WithProjection = projection,
            }
        );
        model.Parameters.Initialise(generator, Device.Cpu);
        return model;
    }

    private static T5Encoder T5()
    {
        using var generator = Generator.Create(Device.Cpu, 4);
        var model = new T5Encoder(
            new T5Config
            {
                VocabSize = 40,
                DModel = 24,
                DKv = 4,
                DFf = 16,
                NumLayers = 1,
                NumHeads = 2,
                FeedForwardProj = "gated-gelu",
            }
        );
        model.Parameters.Initialise(generator, Device.Cpu);
        return model;
    }

    /// <summary>Tokenizer with one letter per token.</summary>
    internal sealed class Words(int length, int vocabulary = 40) : ITextTokenizer
    {
        public int MaxLength => length;

        public int VocabularySize => vocabulary;

        public TokenSequence Encode(string text, int tokens)
        {
            var kept = text[..Math.Min(text.Length, tokens - 2)];
            int[] ids = [0, .. kept.Select(static c => c - 'a' + 3), 1];
            return new TokenSequence(
                [.. ids, .. Enumerable.Repeat(2, tokens - ids.Length)],
                ids.Length,
                kept.Length < text.Length ? text[kept.Length..] : null
            );
        }
    }
}

/// <summary>Checks that encoding leaks no tensors.</summary>
[Collection(LiveTensorCollection.Name)]
public sealed class PromptEncoderLeakTests
{
    [Fact]
    public void Only_the_condition_is_kept_without_gradients()
    {
        using var scope = TensorScope.Enter();
        using var model = PromptEncoderTests.Clip(8, 6, projection: true, seed: 1);
        model.Parameters.RequireGrad(true);
        var encoder = new SdxlPromptEncoder(
            new ClipTower(model, new PromptEncoderTests.Words(7)),
            new ClipTower(model, new PromptEncoderTests.Words(7)),
            true
        );
        var before = Tensor.LiveCount;
        var condition = encoder.Encode(["ab", ""]).Condition;
        Assert.Equal(before + 2, Tensor.LiveCount);
        Assert.False(condition.Text!.RequiresGrad);
    }
}
