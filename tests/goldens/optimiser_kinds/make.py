"""Writes this folder's goldens: the updates of optimisers by other programs, for given gradients.

    python3 make.py PRODIGY SCHEDULE_FREE BITSANDBYTES IO CASE

PRODIGY: prodigyopt/prodigy.py of konstmish/prodigy; SCHEDULE_FREE: schedulefree/adamw_schedulefree_reference.py of
facebookresearch/schedule_free; BITSANDBYTES: bitsandbytes/functional.py of bitsandbytes-foundation/bitsandbytes (its map of 256 values
alone). Needs PyTorch 2.9 or later, for its Adafactor and Muon. IO and CASE are io.safetensors and case.json.
"""

import ast
import json
import math
import struct
import sys

import torch

STEPS = 12
QUANTISED_STEPS = 4
BLOCK = 64
SHAPES = {"matrix": (24, 40), "kernel": (12, 5, 3, 3), "vector": (40,)}


def module(path):
    names = {"__name__": "reference"}
    exec(compile(open(path).read(), path, "exec"), names)
    return names


def function(path, name):
    """One function of a file whose imports are not needed."""
    tree = ast.parse(open(path).read())
    found = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    names = {"torch": torch}
    exec(compile(ast.Module([found], []), path, "exec"), names)
    return names[name]


def inputs(seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda shape: torch.randn(shape, generator=generator, dtype=torch.float32).double()
    start = {name: 0.3 * draw(shape) for name, shape in SHAPES.items()}
    slope = {name: 0.1 * draw(shape) for name, shape in SHAPES.items()}
    # Rounded to float32, in which the tests read them. The sixth step's are larger, so that clipping has an effect.
    gradients = [{name: ((slope[name] + 0.05 * draw(shape)) * (4 if step == 5 else 1)).float().double() for name, shape in SHAPES.items()}
                 for step in range(STEPS)]
    return {name: value.float().double() for name, value in start.items()}, gradients


def run(optimiser, start, gradients, rates=None, flat=False, seen=None):
    """Weights after each step. flat: kernels as matrices with one row per output channel."""
    shape = lambda value: value.reshape(value.shape[0], -1) if flat and value.dim() > 2 else value
    weights = {name: torch.nn.Parameter(shape(value.clone())) for name, value in start.items()}
    made = optimiser(weights)
    made = made if isinstance(made, list) else [made]
    results = []
    for step, gradient in enumerate(gradients):
        for name, weight in weights.items():
            weight.grad = shape(gradient[name].clone())
        for each in made:
            for group in each.param_groups:
                if rates:
                    group["lr"] = rates[step]
            each.step()
        results.append({name: weight.detach().clone().reshape(start[name].shape) for name, weight in weights.items()})
        if seen:
            seen(step, made[0], weights)
    return results


class Quantised:
    """AdamW with moments that are rounded to a map of 256 values in blocks, in float64."""

    def __init__(self, weights, signed, unsigned, rate, betas, eps, decay):
        self.weights, self.maps, self.rate, self.betas, self.eps, self.decay = weights, (signed, unsigned), rate, betas, eps, decay
        self.moments = {name: (torch.zeros(w.numel()).double(), torch.zeros(w.numel()).double()) for name, w in weights.items()}
        self.codes, self.step_count, self.margin, self.param_groups = {}, 0, math.inf, []

    def round(self, values, table):
        codes, scales, rounded = [], [], []
        for block in values.split(BLOCK):
            scale = block.abs().max()
            relative = block / scale
            code = (relative[:, None] - table[None, :]).abs().argmin(1)
            borders = (table[1:] + table[:-1]) / 2
            distance = (relative[:, None] - borders[None, :]).abs() / relative.abs()[:, None].clamp(min=1e-30)
            self.margin = min(self.margin, distance.min().item())
            codes.append(code)
            scales.append(scale)
            rounded.append(table[code] * scale)
        return torch.cat(rounded), torch.cat(codes), torch.stack(scales)

    def step(self):
        self.step_count += 1
        b1, b2 = self.betas
        for name, weight in self.weights.items():
            first, second = self.moments[name]
            gradient = weight.grad.reshape(-1)
            first = b1 * first + (1 - b1) * gradient
            second = b2 * second + (1 - b2) * gradient**2
            root = (second / (1 - b2**self.step_count)).sqrt() + self.eps
            data = weight.data.reshape(-1)
            data.mul_(1 - self.rate * self.decay).sub_(self.rate * first / (1 - b1**self.step_count) / root)
            first, first_codes, first_scales = self.round(first, self.maps[0])
            second, second_codes, second_scales = self.round(second, self.maps[1])
            self.moments[name] = first, second
            self.codes[name] = first_codes, first_scales, second_codes, second_scales


def muon(start, gradients, rate, momentum, nesterov, scale, decay):
    """Muon as published, in float64."""
    weights = {name: value.clone().reshape(value.shape[0], -1) for name, value in start.items() if value.dim() > 1}
    buffers = {name: torch.zeros_like(value) for name, value in weights.items()}
    results = []
    for gradient in gradients:
        for name, weight in weights.items():
            g = gradient[name].reshape(weight.shape)
            buffers[name] = momentum * buffers[name] + (1 - momentum) * g
            x = (1 - momentum) * g + momentum * buffers[name] if nesterov else buffers[name]
            rows, columns = x.shape
            x = x.T if rows > columns else x
            x = x / (x.norm() + 1e-7)
            for _ in range(5):
                gram = x @ x.T
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            x = x.T if rows > columns else x
            factor = math.sqrt(max(1, rows / columns)) if scale == "original" else 0.2 * math.sqrt(max(rows, columns))
            weight.mul_(1 - rate * decay).sub_(rate * factor * x)
        results.append({name: weight.clone().reshape(start[name].shape) for name, weight in weights.items()})
    return results


def main(prodigy_path, free_path, bits_path, io_path, case_path):
    prodigy, free = module(prodigy_path)["Prodigy"], module(free_path)["AdamWScheduleFreeReference"]
    create_map = function(bits_path, "create_dynamic_map")
    start, gradients = inputs(1)
    tensors = {f"in.start.{name}": value.float() for name, value in start.items()}
    for name in SHAPES:
        tensors[f"in.gradients.{name}"] = torch.stack([g[name] for g in gradients]).float()

    def keep(entry, results):
        for name in results[0]:
            tensors[f"out.{entry}.{name}"] = torch.stack([r[name] for r in results]).float()

    # The relative step's rate is min(rate, 1/√t)·max(ε2, root mean square); with ε2 = 1 it is the rate alone.
    plain = lambda w: torch.optim.Adafactor(w.values(), lr=0.01, beta2_decay=-0.8, eps=(1e-30, 1.0), d=1.0, weight_decay=0.1)
    keep("adafactor", run(plain, start, gradients, flat=True))
    relative = lambda w: torch.optim.Adafactor(w.values(), lr=0.4, beta2_decay=-0.7, eps=(1e-30, 1e-3), d=1.1, weight_decay=0)
    keep("adafactor_relative", run(relative, start, gradients, flat=True))

    for entry, options in {
        "prodigy": {"weight_decay": 0.01},
        "prodigy_options": {
            "weight_decay": 0.02, "betas": (0.8, 0.99), "use_bias_correction": True, "safeguard_warmup": True, "d0": 1e-4, "d_coef": 2.0,
            "growth_rate": 1.2,
        },
    }.items():
        estimates = []
        seen = lambda step, made, weights: estimates.append(made.param_groups[0]["d"])
        rates = [0.5 if entry == "prodigy_options" and step < 3 else 1.0 for step in range(STEPS)]
        keep(entry, run(lambda w: prodigy(w.values(), lr=1.0, eps=1e-14, **options), start, gradients, rates=rates, seen=seen))
        tensors[f"out.{entry}.d"] = torch.tensor(estimates, dtype=torch.float64)

    rates = [0.002, 0.006, 0.01, 0.01, 0.004, 0.004, 0.012] + [0.012] * (STEPS - 7)
    tensors["in.schedule_free.rates"] = torch.tensor(rates, dtype=torch.float64)
    averages = []

    def evaluated(step, made, weights):
        averages.append({name: made.state[weight]["x"].clone() for name, weight in weights.items()})

    def train_mode(weights):
        made = free(weights.values(), lr=0.01, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1)
        made.train()
        return made

    keep("schedule_free", run(train_mode, start, gradients, rates=rates, seen=evaluated))
    keep("schedule_free_x", averages)

    exact = muon(start, gradients, 0.02, 0.95, True, "original", 0.1)
    keep("muon", exact)
    keep("muon_plain", muon(start, gradients, 0.005, 0.9, False, "adamw", 0))
    matrices = {name: value for name, value in start.items() if value.dim() > 1}
    published = run(lambda w: torch.optim.Muon(w.values(), lr=0.02, weight_decay=0.1), matrices, gradients, flat=True)
    # PyTorch iterates in bfloat16: updates of 0.02 per step agree to two digits.
    worst = max((a[name] - b[name]).abs().max().item() for a, b in zip(exact, published) for name in matrices)
    print(f"Muon in float64 and PyTorch's: largest difference {worst:.2g} after {STEPS} steps", file=sys.stderr)
    assert worst < 0.002

    signed, unsigned = create_map(True), create_map(False)
    tensors["out.map.signed"], tensors["out.map.unsigned"] = signed, unsigned
    for seed in range(2, 500):
        start, gradients = inputs(seed)
        made = []

        def quantised(weights):
            made.append(Quantised(weights, signed.double(), unsigned.double(), 0.01, (0.9, 0.95), 1e-8, 0.1))
            return made

        results = run(quantised, start, gradients[:QUANTISED_STEPS])
        # No value is so near to the border between two codes that float32 may decide otherwise.
        if made[0].margin > 1.5e-6:
            break
    else:
        raise SystemExit("no seed without values near a border")
    print(f"8-bit states: seed {seed}, margin {made[0].margin:.2g}", file=sys.stderr)
    keep("adamw8bit", results)
    for name in SHAPES:
        tensors[f"in.adamw8bit.start.{name}"] = start[name].float()
        tensors[f"in.adamw8bit.gradients.{name}"] = torch.stack([g[name] for g in gradients[:QUANTISED_STEPS]]).float()
        for kind, value in zip(("first_codes", "first_scales", "second_codes", "second_scales"), made[0].codes[name]):
            tensors[f"out.adamw8bit.{kind}.{name}"] = value.to(torch.uint8) if "codes" in kind else value.float()

    header, offset, body = {}, 0, b""
    kinds = {torch.float32: "F32", torch.float64: "F64", torch.uint8: "U8"}
    for name, value in tensors.items():
        raw = bytes(value.contiguous().view(torch.uint8).reshape(-1).tolist())
        header[name] = {"dtype": kinds[value.dtype], "shape": list(value.shape), "data_offsets": [offset, offset + len(raw)]}
        offset, body = offset + len(raw), body + raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(io_path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)
    with open(case_path, "w") as file:
        json.dump(
            {
                "name": "optimiser_kinds",
                "kind": "optimiser_kinds",
                "library": {"torch": torch.__version__},
                "notes": [
                    "in.start and in.gradients: initial weights, and gradients of 12 steps, which do not depend on the weights. out: weights "
                    "after each step.",
                    "adafactor: torch.optim.Adafactor with rate 0.01 alone (eps[1] = 1 and weights below 1), beta2_decay -0.8, d 1, weight "
                    "decay 0.1. adafactor_relative: rate 0.4, beta2_decay -0.7, d 1.1. Kernels as matrices [output channels, rest].",
                    "prodigy: prodigyopt, rate 1, weight decay 0.01, eps 1e-14 (which prodigyopt multiplies by the next d, the paper by the "
                    "current one). prodigy_options: betas 0.8 and 0.99, bias correction, safeguarded "
                    "warm-up, d0 1e-4, factor 2, growth 1.2, weight decay 0.02, rate 0.5 in the first three steps. d after each step.",
                    "schedule_free: the authors' reference, beta 0.9 and 0.99, weight decay 0.1, rates in in.schedule_free.rates; "
                    "schedule_free_x is the average x.",
                    "muon: written from the publication in float64 and compared with torch.optim.Muon, which iterates in bfloat16: rate "
                    "0.02, momentum 0.95, Nesterov, scale max(1, rows/columns)^0.5, weight decay 0.1. muon_plain: rate 0.005, momentum "
                    "0.9, no Nesterov, scale 0.2 max(rows, columns)^0.5.",
                    f"adamw8bit: written from the publication in float64, blocks of {BLOCK}, rate 0.01, betas 0.9 and 0.95, weight decay "
                    "0.1; codes and scales after step 4. out.map: bitsandbytes' create_dynamic_map.",
                ],
            },
            file,
            indent=1,
        )
        file.write("\n")


main(*sys.argv[1:])
