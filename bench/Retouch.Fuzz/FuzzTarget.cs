using System.Text;
using System.Text.Json.Nodes;
using Retouch.Data;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Pickle;
using Retouch.Torch.Safetensors;

namespace Retouch.Fuzz;

/// <summary>A reader of untrusted files.</summary>
/// <param name="Name">Name of the format.</param>
/// <param name="Seeds">Valid files to mutate.</param>
/// <param name="Read">Reads an input; the second argument is an empty folder for the input's file.</param>
public sealed record FuzzTarget(string Name, IReadOnlyList<byte[]> Seeds, Action<byte[], string> Read)
{
    private static readonly string[] PickleFiles = ["dtypes_strides.pth", "dtypes_strides_stream.bin", "nested.ckpt", "foreign.pt"];

    /// <summary>Divisor of the number of inputs, for readers that take milliseconds per input.</summary>
    public int Share { get; init; } = 1;

    /// <summary>All readers.</summary>
    /// <param name="goldens">The folder tests/goldens with the valid files.</param>
    public static IReadOnlyList<FuzzTarget> All(string goldens) =>
        [
            new(
                "safetensors",
                [.. SafetensorsSeeds(goldens)],
                static (bytes, folder) => ReadAll(SafetensorsFile.Open(Write(folder, "a.safetensors", bytes)))
            ),
            new("pickle", [.. PickleSeeds(goldens)], static (bytes, folder) => ReadAll(PickleFile.Open(Write(folder, "a.pth", bytes)))),
            new(
                "config.json",
                [.. Configs(goldens)],
                static (bytes, folder) =>
                {
                    var config = ConfigDocument.Parse(Encoding.UTF8.GetString(bytes), "config.json");
                    using var network = ComponentRegistry.Find(config.Json, "config.json").Create(config.Json, "config.json");
                    _ = Component.Create(network).CurrentConfig();
                }
            ),
            new(
                "scheduler_config.json",
                [.. Schedulers()],
                static (bytes, folder) =>
                {
                    var config = ConfigDocument.Parse(Encoding.UTF8.GetString(bytes), "scheduler_config.json");
                    _ = FormulationFactory.ToSchedulerConfig(FormulationFactory.FromSchedulerConfig(config.Json), config.Json);
                }
            ),
            new(
                "index of shards",
                [.. Indices(goldens)],
                static (bytes, folder) =>
                {
                    Write(folder, "diffusion_pytorch_model.safetensors.index.json", bytes);
                    foreach (var (file, tensor) in new[] { ("x.safetensors", "a"), ("y.safetensors", "b") })
                    {
                        if (!File.Exists(Path.Combine(folder, file)))
                            Write(folder, file, Safetensors($$$"""{"{{{tensor}}}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", 0));
                    }

                    using var files = WeightFiles.Open(folder);
                }
            ),
            new(
                "metadata.jsonl",
                [.. Metadata()],
                static (bytes, folder) =>
                {
                    Write(folder, "metadata.jsonl", bytes);
                    if (!File.Exists(Path.Combine(folder, "a.png")))
                        Write(folder, "a.png", [1]);
                    _ = ImageFolder.Open(folder);
                }
            ),
            .. TokenizerTargets.All(goldens),
            .. DataTargets.All(),
            DataTargets.Tables(goldens),
            .. CheckpointTargets.All(goldens),
        ];

    private static void ReadAll(Retouch.Torch.Nn.ITensorSource file)
    {
        using var owned = (IDisposable)file;
        using var scope = TensorScope.Enter();
        foreach (var name in file.Names)
            file.ReadOwned(name).Dispose();
    }

    internal static string Write(string folder, string name, byte[] bytes)
    {
        var path = Path.Combine(folder, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private static IEnumerable<byte[]> SafetensorsSeeds(string goldens)
    {
        yield return Encoding.UTF8.GetBytes("\0\0\0\0\0\0\0\0")[..8];
        foreach (
            var json in (string[])
                [
                    """
                        {"__metadata__":{"format":"pt"},"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
                        "a.bias":{"dtype":"BF16",
                        "shape":[4],"data_offsets":[24,32]}}
                        """,
                    """
                        {"x":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"y":{"dtype":"BOOL","shape":[8,0],"data_offsets":[8,8]},
                        "z":{"dtype":"F16","shape":[1,2,3,2],"data_offsets":[8,32]}}
                        """,
                ]
        )
        {
            yield return Safetensors(json, 32);
        }

        // The start of a real file: a complete header with truncated data.
        yield return File.ReadAllBytes(Path.Combine(goldens, "scheduler_ddim", "io.safetensors"));
    }

    internal static byte[] Safetensors(string header, int length) =>
        [.. BitConverter.GetBytes((long)header.Length), .. Encoding.UTF8.GetBytes(header), .. new byte[length]];

    private static IEnumerable<byte[]> PickleSeeds(string goldens) =>
        PickleFiles.Select(name => File.ReadAllBytes(Path.Combine(goldens, "pickle", name)));

    private static IEnumerable<byte[]> Configs(string goldens) =>
        from folder in Directory.EnumerateDirectories(goldens).Order(StringComparer.Ordinal)
        let config = Path.Combine(folder, "config.json")
        where File.Exists(config)
        select File.ReadAllBytes(config);

    private static IEnumerable<byte[]> Schedulers() =>
        (
            (string[])
                [
                    """
                        {"_class_name":"DDIMScheduler","beta_start":0.00085,"beta_end":0.012,"beta_schedule":"scaled_linear",
                        "num_train_timesteps":1000,"prediction_type":"v_prediction","clip_sample":false,"set_alpha_to_one":false,
                        "steps_offset":1}
                        """,
                    """
                        {"_class_name":"FlowMatchEulerDiscreteScheduler","num_train_timesteps":1000,"shift":3.0,
                        "use_dynamic_shifting":false}
                        """,
                    """
                        {"_class_name":"DDPMScheduler","num_train_timesteps":1000,"trained_betas":[0.1,0.2,0.3],
                        "rescale_betas_zero_snr":true,
                        "timestep_spacing":"trailing"}
                        """,
                    """
                        {"_class_name":"DPMSolverMultistepScheduler","beta_schedule":"squaredcos_cap_v2",
                        "prediction_type":"flow_prediction",
                        "flow_shift":3.0,"use_flow_sigmas":true}
                        """,
                ]
        ).Select(Encoding.UTF8.GetBytes);

    private static IEnumerable<byte[]> Indices(string goldens)
    {
        yield return File.ReadAllBytes(Path.Combine(goldens, "pickle", "vae_sharded", "diffusion_pytorch_model.bin.index.json"));
        yield return Encoding.UTF8.GetBytes(
            new JsonObject
            {
                ["metadata"] = new JsonObject { ["total_size"] = 8 },
                ["weight_map"] = new JsonObject { ["a"] = "x.safetensors", ["b"] = "y.safetensors" },
            }.ToJsonString()
        );
    }

    private static IEnumerable<byte[]> Metadata() =>
        (
            (string[])
                [
                    "{\"file_name\":\"a.png\",\"text\":\"a cat\",\"label\":3}\n",
                    "{\"file_name\":\"a.png\",\"label\":\"cat\"}\n{\"file_name\":\"b.png\",\"text\":\"two\\nlines\"}\n\n",
                    "{\"file_name\": \"a.png\", \"additional\": {\"x\": [1, 2, {\"y\": null}]}, \"text\": \"\u00e9\"}\n",
                ]
        ).Select(Encoding.UTF8.GetBytes);
}
