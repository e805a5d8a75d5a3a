using System.Text.Json.Nodes;
using Retouch.Conditioning;
using Retouch.Conditioning.Prompts;
using Retouch.Torch;

namespace Retouch.Training.Caching;

/// <summary>Encoded prompts, so that text encoders need not stay in memory during denoiser training.</summary>
internal sealed class PromptTable : IDisposable
{
    private const string Text = "text";
    private const string Mask = "mask";
    private const string Pooled = "pooled";
    private const int Chunk = 16;
    private const int RowsPerFile = 256;

    // Revision of prompt encoding: increment when a tokenizer or text encoder changes its output, to invalidate stored rows.
    private const int Revision = 1;

    private readonly Dictionary<string, Condition> _memory = new(StringComparer.Ordinal);
    private readonly RowStore? _store;

    private PromptTable(RowStore? store) => _store = store;

    /// <summary>Cache key of a store: everything its rows depend on besides the prompts.</summary>
    /// <param name="family">Class of the pipeline, which determines how encoders are combined.</param>
    /// <param name="encoderHashes">Hashes of encoder and tokenizer folders.</param>
    public static JsonObject Key(string family, IEnumerable<string> encoderHashes) =>
        new()
        {
            ["kind"] = "prompts",
            ["revision"] = Revision,
            ["family"] = family,
            ["encoders"] = new JsonArray([.. encoderHashes.Select(static h => (JsonNode?)h)]),
        };

    /// <summary>Encodes all prompts that are not cached.</summary>
    /// <param name="prompts">Prompts; duplicates are encoded once.</param>
    /// <param name="encode">Maps prompts to a condition on any device; called only for missing prompts.</param>
    /// <param name="store">On-disk store, or null to keep rows in memory. Disposed with this object.</param>
    /// <param name="progress">Receives the number of encoded prompts and the total, or null.</param>
    /// <param name="cancellation">Stops between batches; rows written so far remain on disk.</param>
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

    /// <summary>Condition of prompts, on the CPU and in the current scope.</summary>
    /// <param name="prompts">Encoded prompts.</param>
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
