using System.Text.Json.Nodes;
using Retouch.Conditioning;
using Retouch.Conditioning.Prompts;
using Retouch.Torch;

namespace Retouch.Training.Caching;

/// <summary>Prompts, each encoded once: the text encoders need not stay in memory while a denoiser is trained.</summary>
internal sealed class PromptTable : IDisposable
{
    private const string Text = "text";
    private const string Mask = "mask";
    private const string Pooled = "pooled";
    private const int Chunk = 16;
    private const int RowsPerFile = 256;

    // Counts the ways in which prompts were read and encoded: whoever changes a tokenizer or an encoder so that other numbers come out
    // raises it, and what was kept before is stale.
    private const int Revision = 1;

    private readonly Dictionary<string, Condition> _memory = new(StringComparer.Ordinal);
    private readonly RowStore? _store;

    private PromptTable(RowStore? store) => _store = store;

    /// <summary>What the rows of a store depend on beside the prompts.</summary>
    /// <param name="family">The pipeline's class, which decides how encoders are put together.</param>
    /// <param name="encoderHashes">Of the folders of encoders and tokenizers.</param>
    public static JsonObject Key(string family, IEnumerable<string> encoderHashes) =>
        new()
        {
            ["kind"] = "prompts",
            ["revision"] = Revision,
            ["family"] = family,
            ["encoders"] = new JsonArray([.. encoderHashes.Select(static h => (JsonNode?)h)]),
        };

    /// <summary>Encodes the prompts that are not there yet.</summary>
    /// <param name="prompts">Repeated ones are encoded once.</param>
    /// <param name="encode">From some prompts to a condition on any device; asked for only where a prompt is missing.</param>
    /// <param name="store">Keeps them on the disk; null keeps them in memory. This disposes it.</param>
    /// <param name="progress">Told how many prompts are encoded, and how many there are.</param>
    /// <param name="cancellation">Stops between batches; what is on the disk by then stays.</param>
    public static PromptTable Encode(
        IEnumerable<string> prompts,
        Func<IReadOnlyList<string>, EncodedPrompts> encode,
        RowStore? store,
        Action<int, int>? progress,
        CancellationToken cancellation
    )
    {
        var table = new PromptTable(store);
        try
        {
            string[] all = [.. prompts.Distinct(StringComparer.Ordinal)];
            string[] missing = [.. all.Where(p => store?.Has(p) != true)];
            var done = all.Length - missing.Length;
            foreach (var group in missing.Chunk(RowsPerFile))
            {
                foreach (var some in group.Chunk(Chunk))
                {
                    cancellation.ThrowIfCancellationRequested();
                    table.Add(some, encode);
                    progress?.Invoke(done += some.Length, all.Length);
                }

                table.Store(group);
            }

            return table;
        }
        catch
        {
            table.Dispose();
            throw;
        }
    }

    /// <summary>What a denoiser is told for prompts, on the CPU and in the open scope.</summary>
    /// <param name="prompts">Encoded before.</param>
    public Condition Of(IReadOnlyList<string> prompts)
    {
        if (_store is null)
            return Condition.Cat([.. prompts.Select(p => _memory[p])]);
        Tensor? Part(string name) => _store.Holds(name) ? _store.Read(prompts, name) : null;
        return new Condition
        {
            Text = Part(Text),
            TextMask = Part(Mask),
            Pooled = Part(Pooled),
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var condition in _memory.Values)
            condition.Free();
        _memory.Clear();
        _store?.Dispose();
    }

    private void Add(string[] prompts, Func<IReadOnlyList<string>, EncodedPrompts> encode)
    {
        using var scope = TensorScope.Enter();
        var encoded = encode(prompts).Condition.To(Device.Cpu);
        for (var k = 0; k < prompts.Length; k++)
            _memory[prompts[k]] = encoded.Narrow(k, 1).Copy().Escape();
    }

    private void Store(string[] prompts)
    {
        if (_store is null)
            return;
        using var scope = TensorScope.Enter();
        var rows = Condition.Cat([.. prompts.Select(p => _memory[p])]);
        var parts = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        void Put(string name, Tensor? part)
        {
            if (part is not null)
                parts[name] = part;
        }

        Put(Text, rows.Text);
        Put(Mask, rows.TextMask);
        Put(Pooled, rows.Pooled);
        _store.Append(prompts, parts);
        foreach (var prompt in prompts)
        {
            _memory[prompt].Free();
            _memory.Remove(prompt);
        }
    }
}
