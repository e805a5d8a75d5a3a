using System.Globalization;
using System.Text.Json;
using Retouch.Objectives.Preference;
using Retouch.Torch;
using Retouch.Training.Tasks;

namespace Retouch.Training.Caching;

/// <summary>
/// Errors of DPO's reference model in the steps of a run: two numbers per pair, step and space. Timesteps and noise follow from seed, step
/// and micro-batch, so that the errors can be computed before training; the other dependencies form the key of the store.
/// </summary>
/// <param name="spaces">Spaces of the errors.</param>
/// <param name="store">On-disk store, or null to keep errors in memory. Disposed with this object.</param>
internal sealed class ReferenceErrors(IReadOnlyList<PreferenceSpace> spaces, RowStore? store) : IDisposable
{
    private const int RowsPerFile = 4096;

    private readonly List<string> _names = [];
    private readonly Dictionary<string, float[]> _memory = new(StringComparer.Ordinal);

    /// <summary>Number of stored entries, one per pair and step, in the order of the steps.</summary>
    public int Count => (store?.Count ?? 0) + _memory.Count;

    /// <summary>Adds the pairs of a micro-batch.</summary>
    /// <param name="batch">The micro-batch.</param>
    /// <param name="seeds">Seeds of the micro-batch, which identify its step.</param>
    /// <param name="errors">For each space [2 · pairs], winners first.</param>
    public void Add(TrainingBatch batch, StepSeeds seeds, IReadOnlyDictionary<PreferenceSpace, Tensor> errors)
    {
        var values = spaces.Select(s => errors[s].To(DType.Float32).To(Device.Cpu).ToArray<float>()).ToArray();
        var names = Names(batch, seeds);
        for (var k = 0; k < batch.Pairs; k++)
        {
            _names.Add(names[k]);
            _memory.Add(names[k], [.. values.SelectMany(v => (float[])[v[k], v[batch.Pairs + k]])]);
        }

        if (_names.Count >= RowsPerFile)
            Flush();
    }

    /// <summary>Writes pending errors to the store, if any.</summary>
    public void Flush()
    {
        if (store is null || _names.Count == 0)
            return;
        using var scope = TensorScope.Enter();
        var rows = Tensor.From(_names.SelectMany(n => _memory[n]).ToArray(), _names.Count, spaces.Count, 2);
        store.Append(
            _names,
            spaces
                .Select(static (s, k) => (s, k))
                .ToDictionary(static p => NameOf(p.s), p => rows.Select(1, p.k).Contiguous(), StringComparer.Ordinal)
        );
        _names.Clear();
        _memory.Clear();
    }

    /// <summary>Errors of a micro-batch: for each space [2 · pairs], winners first, on the CPU and in the current scope.</summary>
    /// <exception cref="Core.Errors.InputException">A pair of this step is missing: the data has changed since the errors were
    /// computed.</exception>
    public IReadOnlyDictionary<PreferenceSpace, Tensor> Of(TrainingBatch batch, StepSeeds seeds)
    {
        var names = Names(batch, seeds);
        Tensor Rows(int space) =>
            store is null
                ? Tensor.From(names.SelectMany(n => _memory[n].Skip(2 * space).Take(2)).ToArray(), names.Length, 2)
                : store.Read(names, NameOf(spaces[space]));
        return spaces
            .Select(static (s, k) => (s, k))
            .ToDictionary(static p => p.s, p => Rows(p.k).Transpose(0, 1).Contiguous().View([-1L]));
    }

    /// <inheritdoc/>
    public void Dispose() => store?.Dispose();

    private static string NameOf(PreferenceSpace space) => JsonNamingPolicy.CamelCase.ConvertName(space.ToString());

    private static string[] Names(TrainingBatch batch, StepSeeds seeds) =>
        [
            .. Enumerable
                .Range(0, batch.Pairs)
                .Select(k =>
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{seeds.Step}.{seeds.Micro}.{k}|{batch.Samples[k].Id}|{batch.Samples[batch.Pairs + k].Id}"
                    )
                ),
        ];
}
