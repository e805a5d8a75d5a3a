"""Checks of what Retouch made of diffusers' models, for bench/diffusers-roundtrip.sh: python3 diffusers-roundtrip.py WORK

Loads every folder and every adapter file with diffusers, draws, compares weights, outputs and pictures, and prints the table; exit code 1
on a failure. WORK contains a copy of docs/results/interchange.md, whose programs are run.
"""
import json
import logging
import pathlib
import re
import sys
import traceback

import diffusers
import numpy
import peft
import torch
import transformers
from diffusers_models import AUTOENCODERS, FAMILIES, SIDE, WORK
from PIL import Image
from safetensors.torch import load_file

STEPS, SEED, LABEL = 2, 7, 2
PROMPT = "a photo of two dogs"
DIT, MMDIT = "DiT with any number of classes", "Class-conditional MM-DiT"
# Expected of adapters without a part for text encoders. All other warnings must also appear for diffusers' own folder.
EXPECTED = "No LoRA keys associated to CLIPText"


class Warnings(logging.Handler):
    """Collects warnings of the libraries."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines, self.known = [], set()
        for name in ("diffusers", "transformers", "peft", "py.warnings"):
            logging.getLogger(name).addHandler(self)
        logging.captureWarnings(True)

    def emit(self, record):
        self.lines.append(record.getMessage().strip())

    def learn(self):
        """Those so far are expected."""
        self.known |= set(self.lines)
        self.lines.clear()

    def none(self, where):
        """There are no others."""
        new = [line for line in self.lines if line not in self.known and EXPECTED not in line]
        self.lines.clear()
        assert not new, f"{where}: {new}"


def difference(a, b):
    assert a.shape == b.shape, f"shapes {tuple(a.shape)} and {tuple(b.shape)}"
    return (a.double() - b.double()).abs().max().item()


def equal_files(base, made):
    """Configurations are those of the base, with unknown members; the scheduler's to the byte."""
    for path in sorted(base.rglob("*.json")):
        if path.name.endswith(".index.json"):
            continue
        other = made / path.relative_to(base)
        assert other.exists(), f"{other} is missing"
        assert json.loads(path.read_text()) == json.loads(other.read_text()), f"{other} differs from {path}"
    scheduler = pathlib.Path("scheduler/scheduler_config.json")
    if (base / scheduler).exists():
        assert (base / scheduler).read_bytes() == (made / scheduler).read_bytes(), f"{made / scheduler} has changed"


def loads_exactly(folder, pipeline):
    """Every network of a pipeline loads without missing, unexpected or misshapen keys."""
    for part, network in pipeline.components.items():
        if isinstance(network, torch.nn.Module):
            _, info = type(network).from_pretrained(folder / part, output_loading_info=True)
            wrong = {k: v for k, v in info.items() if v}
            assert not wrong, f"{folder / part}: {wrong}"


def float16_shards(folder, pipeline, denoiser):
    """The pipeline's weights in float16, in several files."""
    assert len(list((folder / denoiser).glob("*.safetensors"))) > 1, f"{folder / denoiser}: one file"
    for part, network in pipeline.components.items():
        if isinstance(network, torch.nn.Module):
            loaded, info = type(network).from_pretrained(folder / part, output_loading_info=True)
            assert not any(info.values()), f"{folder / part}: {info}"
            theirs = loaded.state_dict()
            off = max(difference(theirs[k].half(), v.half()) for k, v in network.state_dict().items())
            assert off == 0, f"{folder / part}: weights differ by {off:.2g}"


def forward(network, inputs):
    given = dict(inputs)
    extra = {k: given.pop(k) for k in ("text_embeds", "time_ids") if k in given}
    if extra:
        given["added_cond_kwargs"] = extra
    if not isinstance(network, diffusers.UNet2DConditionModel):
        given["hidden_states"] = given.pop("sample")
    if isinstance(network, diffusers.PixArtTransformer2DModel):
        given["added_cond_kwargs"] = {"resolution": None, "aspect_ratio": None}
    with torch.no_grad():
        return network(**given).sample


def probed(folder, name):
    inputs = {k.removeprefix("in."): v for k, v in load_file(folder / "inputs.safetensors").items()}
    return inputs, load_file(folder / f"{name}-probe.safetensors")["out.sample"]


def close(ours, theirs, where):
    """Largest difference of outputs: rounding of float32."""
    off = difference(ours, theirs)
    assert torch.isfinite(ours).all() and off <= 1e-5 * ours.abs().max().item(), f"{where}: outputs differ by {off:.2g}"
    return off


def forward_difference(network, folder, name):
    inputs, theirs = probed(folder, name)
    return close(forward(network, inputs), theirs, folder / name)


def picture_of(folder):
    (path,) = folder.glob("*.png")
    return numpy.asarray(Image.open(path).convert("RGB")).astype(int)


def draw(pipeline, family):
    settings = {"num_inference_steps": STEPS, "output_type": "np", "generator": torch.Generator().manual_seed(SEED)}
    if isinstance(pipeline, diffusers.DiTPipeline):
        return pipeline([LABEL], guidance_scale=family.guidance, **settings).images[0]
    if "PixArt" in type(pipeline).__name__:
        settings |= {"use_resolution_binning": False, "clean_caption": False}
    return pipeline(PROMPT, width=SIDE, height=SIDE, **settings).images[0]


def programs():
    """Programs of the page by heading."""
    page = (WORK / "interchange.md").read_text()
    return dict(re.findall(r"^### (.+?)\n(?:(?!^#).)*?```python\n(.*?)```", page, re.DOTALL | re.MULTILINE))


def picture_difference(picture, folder):
    """In levels of 255, against what Retouch drew with the same seed."""
    assert picture.shape == (SIDE, SIDE, 3) and numpy.isfinite(picture).all(), f"a picture of {picture.shape}"
    theirs = picture_of(folder)
    assert theirs.std() > 5, f"{folder}: a uniform picture"
    off = int(abs((picture * 255).round().astype(int) - theirs).max())
    assert off <= 1, f"{folder}: pictures differ by {off} of 255"
    return off


def run_program(heading, folder, family, scheduler="FlowMatchEulerDiscreteScheduler"):
    """Runs a program of the page, with the class of its scheduler. Gives network and picture."""
    given = {"folder": str(folder), "label": LABEL, "seed": SEED, "steps": STEPS, "guidance": family.guidance}
    exec(programs()[heading].replace("FlowMatchEulerDiscreteScheduler", scheduler), given)
    return given["transformer"], given["picture"][0].permute(1, 2, 0).numpy()


def merged_weights(network):
    """Weights with fused adapters, under the keys without adapters."""
    return {k.replace(".base_layer.", "."): v for k, v in network.state_dict().items() if ".lora_" not in k}


def change(network, plain):
    """Largest change of a weight by fused adapters."""
    return max(difference(v, plain[k]) for k, v in merged_weights(network).items())


def copied(network):
    return {k: v.clone() for k, v in network.state_dict().items()}


def stored(network, folder):
    """The weights of a folder, loaded with a network's class."""
    return type(network).from_pretrained(folder).state_dict()


def weights_difference(network, theirs, folder):
    ours = merged_weights(network)
    assert theirs.keys() == ours.keys(), f"{folder}: other keys: {sorted(theirs.keys() ^ ours.keys())[:5]}"
    off = max(difference(ours[k], theirs[k]) for k in theirs)
    assert off <= 1e-6 * max(1, max(v.abs().max().item() for v in theirs.values())), f"{folder}: weights differ by {off:.2g}"
    return off


def check_runs(folder, family, warnings):
    """Runs on all weights. Gives the largest differences of outputs and of pictures."""
    forwards, pictures = [], []
    for run in ("latent", "lpl"):
        made, drawn = folder / run / "model", folder / f"{run}-drawn"
        for each in sorted((folder / run).glob("model*")):
            equal_files(folder / "base", each)
            if family.heading != MMDIT:
                loads_exactly(each, diffusers.DiffusionPipeline.from_pretrained(each))
        if family.heading == MMDIT:
            network, picture = run_program(family.heading, made, family)
            inputs, theirs = probed(folder, run)
            table = load_file(made / "transformer" / "diffusion_pytorch_model.safetensors")["class_embedder.weight"]
            rows = table[inputs.pop("class_labels")]
            ours = forward(network, inputs | {"encoder_hidden_states": rows[:, None], "pooled_projections": rows})
            forwards.append(close(ours, theirs, made))
        else:
            pipeline = diffusers.DiffusionPipeline.from_pretrained(made)
            pipeline.set_progress_bar_config(disable=True)
            forwards.append(forward_difference(getattr(pipeline, family.denoiser), folder, run))
            picture = run_program(family.heading, made, family)[1] if family.heading else draw(pipeline, family)
        pictures.append(picture_difference(picture, drawn))
        if not family.heading and isinstance(pipeline, diffusers.DiTPipeline):
            pictures.append(picture_difference(run_program(DIT, made, family, "DDIMScheduler")[1], drawn))
        warnings.none(f"loading and drawing {made}")
    if family.heading != MMDIT:
        float16_shards(folder / "shards", pipeline, family.denoiser)
        warnings.lines.clear()
    return max(forwards), max(pictures)


def check_adapters(folder, family, warnings):
    """Retouch's adapters in diffusers, against Retouch's merged model. Gives the loader, and differences of weights, outputs, pictures."""
    base, adapters, merged = folder / "base", folder / "lora" / "model", folder / "merged"
    equal_files(base, merged)
    if family.heading == MMDIT:
        network, _ = run_program(family.heading, base, family)
        expected = run_program(family.heading, merged, family)[0].state_dict()
    else:
        pipeline = diffusers.DiffusionPipeline.from_pretrained(base)
        pipeline.set_progress_bar_config(disable=True)
        network = getattr(pipeline, family.denoiser)
        expected = stored(network, merged / family.denoiser)
    plain, forwards, picture = copied(network), 0.0, 0
    if family.heading == MMDIT:
        loader = "load_lora_adapter"
        network.load_lora_adapter(str(adapters), weight_name="pytorch_lora_weights.safetensors", prefix="transformer")
        network.fuse_lora()
    elif hasattr(pipeline, "load_lora_weights"):
        loader = "load_lora_weights"
        pipeline.load_lora_weights(str(adapters))
        picture = picture_difference(draw(pipeline, family), folder / "lora-drawn")
        pipeline.fuse_lora()
    else:
        loader = "peft"
        exec(programs()["Adapters of PixArt and DiT"], {"adapters": str(adapters), "transformer": network})
        for module in network.modules():
            if isinstance(module, peft.tuners.tuners_utils.BaseTunerLayer):
                module.merge()
    warnings.none(f"loading {adapters}")
    assert change(network, plain) > 1e-3, f"{adapters}: no effect"
    if family.heading != MMDIT:
        forwards = forward_difference(network, folder, "merged")
        loads_exactly(merged, diffusers.DiffusionPipeline.from_pretrained(merged))
    warnings.none(f"loading {merged}")
    return loader, weights_difference(network, expected, merged), forwards, picture


def check_adapters_of_python(folder, family, warnings):
    """Adapters written by diffusers, also of text encoders, merged by both. Gives the difference of weights; None without a file."""
    adapters, merged = folder / "python-adapters", folder / "python-merged"
    if not adapters.exists():
        return None
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder / "base")
    parts = {p: getattr(pipeline, p, None) for p in (family.denoiser, "text_encoder", "text_encoder_2")}
    parts = {p: network for p, network in parts.items() if network is not None}
    plain = {p: copied(network) for p, network in parts.items()}
    pipeline.load_lora_weights(str(adapters))
    pipeline.fuse_lora(components=list(parts))
    for part, network in parts.items():
        assert change(network, plain[part]) > 1e-3, f"{adapters}: no effect on {part}"
    loads_exactly(merged, diffusers.DiffusionPipeline.from_pretrained(merged))
    warnings.none(f"loading {adapters} and {merged}")
    return max(weights_difference(network, stored(network, merged / part), merged / part) for part, network in parts.items())


def check_family(name, family, warnings):
    folder = WORK / name
    own = WORK / "dit-flow" / "base" if family.heading == MMDIT else folder / "base"
    loads_exactly(own, diffusers.DiffusionPipeline.from_pretrained(own))
    warnings.learn()
    forwards, picture = check_runs(folder, family, warnings)
    loader, weights, of_merged, with_adapters = check_adapters(folder, family, warnings)
    return {
        "loads": "parts" if family.heading == MMDIT else "yes", "draws": "program" if family.heading else "pipeline",
        "picture": max(picture, with_adapters), "lora": loader, "merged": weights,
        "python": check_adapters_of_python(folder, family, warnings), "forward": max(forwards, of_merged),
    }


def check_autoencoder(name, warnings):
    folder = WORK / f"vae-{name}"
    equal_files(folder / "base", folder / "run" / "model")
    kind = getattr(diffusers, AUTOENCODERS[name][0])
    kind.from_pretrained(folder / "base")
    warnings.learn()
    network, info = kind.from_pretrained(folder / "run" / "model", output_loading_info=True)
    assert not any(info.values()), f"{folder}: {info}"
    warnings.none(f"loading {folder}")
    inputs, theirs = load_file(folder / "inputs.safetensors"), load_file(folder / "probe.safetensors")
    with torch.no_grad():
        encoded = network.encode(inputs["in.image"])
        ours = encoded.latents if name == "tiny" else encoded.latent_dist.mean
        decoded = network.decode(inputs["in.latent"]).sample
    off = close(ours, theirs["out.latents" if name == "tiny" else "out.mean"], folder)
    return {"loads": "yes", "forward": max(off, close(decoded, theirs["out.decoded"], folder))}


def check():
    warnings, failed, rows = Warnings(), [], []
    for title, test in [
        *[(f.title, lambda n=n, f=f: check_family(n, f, warnings)) for n, f in FAMILIES.items()],
        *[(title, lambda n=n: check_autoencoder(n, warnings)) for n, (title, _) in AUTOENCODERS.items()],
    ]:
        try:
            rows.append((title, test()))
        except Exception as error:
            failed.append(f"{title}: {error}")
            traceback.print_exc()
            rows.append((title, {"loads": "FAILED"}))
            warnings.lines.clear()
    columns = ["loads", "draws", "picture", "lora", "merged", "python", "forward"]
    shown = lambda value: "–" if value is None else "0" if value == 0 else f"{value:.1e}" if isinstance(value, float) else str(value)
    print("| family | loads | draws | picture difference | LoRA loads | merged weights | adapters of Python | forward difference |")
    print("|" + "---|" * (len(columns) + 1))
    for title, row in rows:
        print(f"| {title} | " + " | ".join(shown(row.get(c)) for c in columns) + " |")
    print(f"\ndiffusers {diffusers.__version__}, PyTorch {torch.__version__}, transformers {transformers.__version__}, "
          f"peft {peft.__version__}")
    for line in failed:
        print(f"not ok - {line}")
    sys.exit(1 if failed else 0)


check()
