#!/usr/bin/env python3
"""Predicts the time of a training step with many GPUs from a model of its parts; prints Markdown.

    bench/step-model.py [--collectives FILE] [--gpus 8,64,512] [--set NAME=VALUE] ...

FILE is the output of bench/Retouch.Collectives, to which the cost of control messages and of Gloo's sums is fitted; without it the values
of docs/scaling.md are used. --set changes an assumption (--help lists them). Operations are counted from the networks' config.json; the
count of the U-Net is checked against its number of parameters. Nothing here has been measured on a GPU.
"""
import argparse
import json
import math
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Assumptions: value, meaning.
ASSUMED = {
    "flops": (989e12, "operations per second of a GPU in bfloat16 (H100 SXM, dense)"),
    "use_transformer": (0.40, "share of it that a transformer's layers reach"),
    "use_convolution": (0.25, "share of it that convolution networks reach"),
    "memory": (3.35e12 * 0.8, "bytes per second of a GPU's memory, for the optimiser"),
    "node": (8, "GPUs per machine"),
    "inside": (360e9, "bytes per second and GPU between the GPUs of a machine (NVLink)"),
    "outside": (40e9, "bytes per second and GPU between machines (400 Gb/s InfiniBand per GPU, 80 %)"),
    "latency_inside": (5e-6, "seconds per message within a machine"),
    "latency_outside": (20e-6, "seconds per message between machines"),
    "control": (3.65e-4, "seconds of control messages per step and process (fitted, one core per process)"),
    "bucket": (25 * 2**20, "bytes per bucket of gradients"),
    "portion": (64 * 2**20, "bytes per portion of exchanged weights"),
    "spread": (0.03, "time of the slowest of 512 GPUs beyond the mean, relative; grows with the logarithm"),
}


def mmdit(config):
    """Parameters of the layers and operations of a forward pass over one picture."""
    width = config["num_attention_heads"] * config["attention_head_dim"]
    tokens = (config["sample_size"] // config["patch_size"]) ** 2 + 1
    layers = config["num_layers"] * 12 * width**2
    return layers, 2 * layers * tokens + config["num_layers"] * 4 * tokens**2 * width


class Counter:
    """Sums parameters and operations of layers."""

    def __init__(self):
        self.parameters = 0
        self.operations = 0

    def linear(self, a, b, positions, bias=True):
        self.parameters += a * b + (b if bias else 0)
        self.operations += 2 * a * b * positions

    def conv(self, a, b, side, kernel=3):
        self.linear(a * kernel**2, b, side**2)

    def norm(self, channels):
        self.parameters += 2 * channels

    def resnet(self, a, b, side, time=None):
        self.norm(a)
        self.conv(a, b, side)
        if time:
            self.linear(time, b, 1)
        self.norm(b)
        self.conv(b, b, side)
        if a != b:
            self.conv(a, b, side, 1)

    def transformer(self, c, side, depth, context, words=77):
        positions = side**2
        self.norm(c)
        self.linear(c, c, positions)
        for _ in range(depth):
            for source, keys in ((c, positions), (context, words)):
                self.norm(c)
                self.linear(c, c, positions, bias=False)
                self.linear(source, c, keys, bias=False)
                self.linear(source, c, keys, bias=False)
                self.operations += 4 * positions * keys * c
                self.linear(c, c, positions)
            self.norm(c)
            self.linear(c, 8 * c, positions)
            self.linear(4 * c, c, positions)
        self.linear(c, c, positions)


def unet(config):
    """Parameters and operations of a forward pass of SDXL's U-Net over one picture."""
    count, widths, side = Counter(), config["block_out_channels"], config["sample_size"]
    time, context = 4 * widths[0], config["cross_attention_dim"]
    count.linear(widths[0], time, 1)
    count.linear(time, time, 1)
    count.linear(config["projection_class_embeddings_input_dim"], time, 1)
    count.linear(time, time, 1)
    count.conv(config["in_channels"], widths[0], side)
    skips, before = [widths[0]], widths[0]
    for level, (kind, width) in enumerate(zip(config["down_block_types"], widths)):
        for _ in range(config["layers_per_block"]):
            count.resnet(before, width, side, time)
            if kind.startswith("CrossAttn"):
                count.transformer(width, side, config["transformer_layers_per_block"][level], context)
            before = width
            skips.append(width)
        if level + 1 < len(widths):
            side //= 2
            count.conv(width, width, side)
            skips.append(width)
    count.resnet(before, before, side, time)
    count.transformer(before, side, config["transformer_layers_per_block"][-1], context)
    count.resnet(before, before, side, time)
    for level, kind in enumerate(config["up_block_types"]):
        width = widths[-1 - level]
        for _ in range(config["layers_per_block"] + 1):
            count.resnet(before + skips.pop(), width, side, time)
            if kind.startswith("CrossAttn"):
                count.transformer(width, side, config["transformer_layers_per_block"][-1 - level], context)
            before = width
        if level + 1 < len(widths):
            side *= 2
            count.conv(width, width, side)
    count.norm(before)
    count.conv(before, config["out_channels"], side)
    return count.parameters, count.operations


def decoder(config, side):
    """Operations of a decoder up to the layer before its last block, which the latent perceptual loss compares by default."""
    count, widths = Counter(), config["block_out_channels"][::-1]
    count.conv(config["latent_channels"], widths[0], side)
    before = widths[0]
    for _ in range(2):
        count.resnet(before, before, side)
    count.linear(before, 4 * before, side**2)
    count.operations += 4 * side**4 * before
    for width in widths[:-1]:
        for _ in range(config["layers_per_block"] + 1):
            count.resnet(before, width, side)
            before = width
        side *= 2
        count.conv(width, width, side)
    return count.operations


def fit(path):
    """Cost of control messages per process, and bytes per second of Gloo's sums, from measurements on a machine with fewer cores than
    processes: there both grow with the work of all processes, divided by the cores."""
    rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    cores = 2
    control = [(r["processes"] ** 2 / cores, r["seconds"]) for r in rows if r["operation"] == "control" and r["processes"] <= 8]
    slope = sum(x * y for x, y in control) / sum(x * x for x, _ in control)
    sums = [(2 * (r["processes"] - 1) * r["bytes"], r["seconds"]) for r in rows if r["operation"] == "all-reduce" and r["bytes"] > 2**24]
    speed = sum(x * x for x, _ in sums) / sum(x * y for x, y in sums)
    print("## Fit\n\n| operation | processes | measured | model |\n|---|---|---|---|")
    for (x, y), row in zip(control, (r for r in rows if r["operation"] == "control")):
        print(f"| control messages of a step | {row['processes']} | {1e3 * y:.2f} ms | {1e3 * slope * x:.2f} ms |")
    for (x, y), row in zip(sums, (r for r in rows if r["operation"] == "all-reduce" and r["bytes"] > 2**24)):
        print(f"| sum of {row['bytes'] / 2**20:.0f} MiB | {row['processes']} | {1e3 * y:.0f} ms | {1e3 * x / speed:.0f} ms |")
    print(f"\nControl messages: {1e6 * slope:.0f} µs per process and step. Gloo's sums: {speed / 1e6:.0f} MB/s over both cores.\n")
    return slope


def sums(a, gpus, size):
    """Seconds of an all-reduce: rings within machines and between them."""
    inner = min(gpus, a["node"])
    machines = gpus / inner
    seconds = 2 * (inner - 1) / inner * size / a["inside"] + 2 * (inner - 1) * a["latency_inside"]
    if machines > 1:
        seconds += 2 * (machines - 1) / machines * size / inner / a["outside"] + 2 * math.log2(machines) * a["latency_outside"]
    return seconds


def gathered(a, gpus, size):
    """Seconds of an all-gather of a given size in total, in portions."""
    inner = min(gpus, a["node"])
    machines = gpus / inner
    portions = math.ceil(size / a["portion"])
    seconds = (inner - 1) / inner * size / a["inside"] + portions * (inner - 1) * a["latency_inside"]
    if machines > 1:
        seconds += (machines - 1) / machines * size / inner / a["outside"] + portions * (machines - 1) * a["latency_outside"]
    return seconds


def step(a, net, gpus):
    """Seconds of the parts of a step with one micro-batch per GPU."""
    passed = net["batch"] * net["operations"] / (a["flops"] * net["use"])
    # The target is decoded without gradient; the estimate with a gradient to the latent, which costs as much again.
    decode = 3 * net["batch"] * net["decode"] / (a["flops"] * a["use_convolution"])
    compute, backward, size = 3 * passed, 2 * passed, 4 * net["parameters"]
    buckets = math.ceil(size / a["bucket"])
    total = buckets * sums(a, gpus, size / buckets)
    gradients = sums(a, gpus, size / buckets) + max(0, total - backward * (1 - 1 / buckets))
    # AdamW reads and writes weights, moments and gradient (28 bytes), an average 12.
    update = 40 * net["parameters"] / gpus / a["memory"]
    weights = gathered(a, gpus, size)
    waiting = (compute + decode) * a["spread"] * math.log2(gpus) / 9
    parts = [compute, decode, waiting, gradients, update, weights, a["control"] * gpus]
    return parts, net["batch"] * gpus / sum(parts), (compute + decode) / sum(parts)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="Assumptions: " + "; ".join(f"{k} = {v[0]:g} ({v[1]})" for k, v in ASSUMED.items()).replace("%", "%%"),
    )
    parser.add_argument("--collectives")
    parser.add_argument("--gpus", default="8,64,512")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    a = {name: value for name, (value, _) in ASSUMED.items()}
    if given.collectives:
        a["control"] = fit(given.collectives)
    for change in given.set:
        name, _, value = change.partition("=")
        if name not in a:
            sys.exit(f"step-model: there is no assumption '{name}'; there are {', '.join(a)}")
        a[name] = float(value)

    def read(path):
        return json.loads((ROOT / path).read_text(encoding="utf-8"))

    layers, operations = mmdit(read("docs/networks/mmdit-796m.json"))
    transformer = {"name": "MM-DiT 796 M, 256² pixels, 32 pictures per GPU", "parameters": 799_845_648, "operations": operations}
    assert abs(layers / transformer["parameters"] - 1) < 0.02, layers
    parameters, operations = unet(read("bench/networks/unet-sdxl.json"))
    assert parameters == 2_567_463_684, parameters
    convolution = {"name": "SDXL, 1024² pixels, 4 pictures per GPU", "parameters": parameters, "operations": operations}
    decode = read("bench/networks/autoencoder-4.json")
    nets = [
        transformer | {"use": a["use_transformer"], "batch": 32, "decode": decoder(decode, 32)},
        convolution | {"use": a["use_convolution"], "batch": 4, "decode": decoder(decode, 128)},
    ]
    print("## Prediction\n")
    for name, (usual, meaning) in ASSUMED.items():
        print(f"* `{name}` = {a[name]:g}: {meaning}" + ("" if a[name] == usual else f"; by default {usual:g}"))
    for net in nets:
        print(f"\n### {net['name']}\n")
        print(f"{net['operations'] / 1e12:.2f}·10¹² operations per forward pass, {net['decode'] / 1e12:.2f}·10¹² per decoding.\n")
        heads = ["GPUs", "network", "decoding", "slowest GPU", "sums, not hidden", "update", "weights", "control", "step", "pictures/s"]
        heads += ["efficiency", "weights, gradients, states"]
        print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
        for gpus in (int(n) for n in given.gpus.split(",")):
            parts, speed, share = step(a, net, gpus)
            cells = " | ".join(f"{1e3 * p:.1f}" for p in parts)
            memory = (8 + 12 / gpus) * net["parameters"] / 2**30
            print(f"| {gpus} | {cells} | {1e3 * sum(parts):.0f} ms | {speed:,.0f} | {100 * share:.0f} % | {memory:.1f} GiB |")


main()
