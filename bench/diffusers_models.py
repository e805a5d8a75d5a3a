"""Models of every family with random weights, for bench/diffusers-roundtrip.sh: python3 diffusers_models.py WORK

Writes WORK/FAMILY/base, inputs of a probe, adapters, and pictures with captions and classes. WORK contains copies of
tests/goldens/clip_tokenizer and tests/goldens/t5_tokenizer.
"""
import collections
import json
import pathlib
import shutil
import sys

import diffusers
import numpy
import peft
import tokenizers
import torch
import transformers
from diffusers.utils import convert_state_dict_to_diffusers
from PIL import Image
from safetensors.torch import save_file

WORK = pathlib.Path(sys.argv[1])
SIDE = 16
UNKNOWN = {"of_another_program": [1e-05, "\u00e9", {"nested": True}]}
CLIP = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "projection_dim": 16}
KL = {
    "block_out_channels": [8, 16], "down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2,
    "latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 4, "sample_size": SIDE,
}
UNET = {
    "sample_size": 8, "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}
TRANSFORMER = {"sample_size": 8, "patch_size": 2, "num_layers": 2, "num_attention_heads": 2, "attention_head_dim": 16}
LATENT = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}

# Debian's tokenizers 0.23 names an argument of this class otherwise than its transformers 5.12, which then has no CLIP tokenizer.
Roberta = tokenizers.processors.RobertaProcessing
tokenizers.processors.RobertaProcessing = lambda sep, cls, **more: Roberta(sep, cls, **more)
for library in (diffusers, transformers):
    library.utils.logging.disable_progress_bar()
    library.utils.logging.disable_default_handler()


# Tokenizers and text encoders.


def clip_tokenizer():
    """The part of CLIP's vocabulary in the goldens, with consecutive ids."""
    source, target = WORK / "clip_tokenizer" / "tokenizer", WORK / "tokenizer-clip"
    target.mkdir(exist_ok=True)
    vocabulary = json.loads((source / "vocab.json").read_text())
    tokens = sorted(vocabulary, key=vocabulary.get)
    (target / "vocab.json").write_text(json.dumps({token: k for k, token in enumerate(tokens)}, ensure_ascii=False))
    shutil.copy(source / "merges.txt", target)
    start, end = "<|startoftext|>", "<|endoftext|>"
    (target / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": start, "eos_token": end, "pad_token": end,
        "unk_token": end,
    }))
    return transformers.CLIPTokenizer.from_pretrained(target)


def clip(tokenizer, projection=False, act="quick_gelu"):
    size = len(tokenizer)
    config = transformers.CLIPTextConfig(
        vocab_size=size, bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=size - 1, hidden_act=act, **CLIP)
    return (transformers.CLIPTextModelWithProjection if projection else transformers.CLIPTextModel)(config).eval()


def t5_tokenizer():
    target = WORK / "tokenizer-t5"
    target.mkdir(exist_ok=True)
    shutil.copy(WORK / "t5_tokenizer" / "spiece.model", target)
    (target / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "model_max_length": 512}))
    return transformers.T5Tokenizer.from_pretrained(target)


def t5(tokenizer):
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, feed_forward_proj="gated-gelu")
    return transformers.T5EncoderModel(config).eval()


# Families: each function returns a pipeline.


def sd15(vae=None):
    tokenizer = clip_tokenizer()
    return diffusers.StableDiffusionPipeline(
        vae=vae or diffusers.AutoencoderKL(**KL), text_encoder=clip(tokenizer), tokenizer=tokenizer,
        unet=diffusers.UNet2DConditionModel(cross_attention_dim=16, attention_head_dim=2, **UNET),
        scheduler=diffusers.PNDMScheduler(skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1, **LATENT),
        safety_checker=None, feature_extractor=transformers.CLIPImageProcessor(), requires_safety_checker=False)


def sd15_tiny():
    tiny = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1))
    return sd15(tiny)


def sd2():
    tokenizer = clip_tokenizer()
    return diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(**KL), text_encoder=clip(tokenizer, act="gelu"), tokenizer=tokenizer,
        unet=diffusers.UNet2DConditionModel(cross_attention_dim=16, attention_head_dim=(2, 4), use_linear_projection=True, **UNET),
        scheduler=diffusers.DDIMScheduler(
            prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False, steps_offset=1, **LATENT),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False)


def sdxl():
    tokenizer = clip_tokenizer()
    unet = diffusers.UNet2DConditionModel(
        cross_attention_dim=32, attention_head_dim=(2, 4), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, projection_class_embeddings_input_dim=64, transformer_layers_per_block=(1, 2), **UNET)
    return diffusers.StableDiffusionXLPipeline(
        vae=diffusers.AutoencoderKL(scaling_factor=0.13025, force_upcast=True, **KL), text_encoder=clip(tokenizer),
        text_encoder_2=clip(tokenizer, projection=True, act="gelu"), tokenizer=tokenizer, tokenizer_2=clip_tokenizer(), unet=unet,
        scheduler=diffusers.EulerDiscreteScheduler(timestep_spacing="leading", steps_offset=1, **LATENT))


def sd3(**more):
    tokenizer, words = clip_tokenizer(), t5_tokenizer()
    transformer = diffusers.SD3Transformer2DModel(
        in_channels=4, out_channels=4, joint_attention_dim=32, caption_projection_dim=32, pooled_projection_dim=32,
        pos_embed_max_size=8, **TRANSFORMER, **more)
    return diffusers.StableDiffusion3Pipeline(
        transformer=transformer, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=diffusers.AutoencoderKL(scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False, **KL),
        text_encoder=clip(tokenizer, projection=True), tokenizer=tokenizer,
        text_encoder_2=clip(tokenizer, projection=True, act="gelu"), tokenizer_2=clip_tokenizer(), text_encoder_3=t5(words),
        tokenizer_3=words)


def sd35():
    return sd3(qk_norm="rms_norm", dual_attention_layers=(0,))


def pixart(pipeline, **vae):
    words = t5_tokenizer()
    transformer = diffusers.PixArtTransformer2DModel(
        in_channels=4, out_channels=8, caption_channels=32, cross_attention_dim=32, use_additional_conditions=False, **TRANSFORMER)
    return pipeline(
        tokenizer=words, text_encoder=t5(words), vae=diffusers.AutoencoderKL(**vae, **KL), transformer=transformer,
        scheduler=diffusers.DPMSolverMultistepScheduler(beta_start=0.0001, beta_end=0.02, beta_schedule="linear"))


def pixart_alpha():
    return pixart(diffusers.PixArtAlphaPipeline)


def pixart_sigma():
    return pixart(diffusers.PixArtSigmaPipeline, scaling_factor=0.13025)


def dit():
    transformer = diffusers.DiTTransformer2DModel(
        in_channels=4, out_channels=8, num_embeds_ada_norm=1000, norm_num_groups=1, **TRANSFORMER)
    return diffusers.DiTPipeline(
        transformer=transformer, vae=diffusers.AutoencoderKL(**KL), scheduler=diffusers.DDIMScheduler(clip_sample=False),
        id2label={k: f"class {k}" for k in range(1000)})


def dit_flow():
    transformer = diffusers.DiTTransformer2DModel(
        in_channels=4, out_channels=4, num_embeds_ada_norm=3, norm_num_groups=1, **TRANSFORMER)
    return diffusers.DiTPipeline(
        transformer=transformer, vae=diffusers.AutoencoderKL(**KL), scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=2.0),
        id2label={0: "apple", 1: "bear", 2: "crab"})


Family = collections.namedtuple("Family", "title make denoiser guidance heading", defaults=["unet", None, None])
FAMILIES = {
    "sd15": Family("Stable Diffusion 1.5", sd15),
    "sd15-tiny": Family("Stable Diffusion 1.5 with AutoencoderTiny", sd15_tiny),
    "sd2": Family("Stable Diffusion 2 (v)", sd2),
    "sdxl": Family("SDXL", sdxl),
    "sd3": Family("Stable Diffusion 3", sd3, "transformer"),
    "sd35": Family("Stable Diffusion 3.5", sd35, "transformer"),
    "pixart-alpha": Family("PixArt-α", pixart_alpha, "transformer"),
    "pixart-sigma": Family("PixArt-Σ", pixart_sigma, "transformer"),
    "dit": Family("DiT, 1,000 classes, DDIM", dit, "transformer", 4.0),
    "dit-flow": Family("DiT, 3 classes, flow", dit_flow, "transformer", 1.5, "DiT with any number of classes"),
    "mmdit": Family("class-conditional MM-DiT, 3 classes", None, "transformer", 1.5, "Class-conditional MM-DiT"),
}
AUTOENCODERS = {
    "kl": ("AutoencoderKL", lambda: diffusers.AutoencoderKL(**KL)),
    "tiny": ("AutoencoderTiny", lambda: sd15_tiny().vae),
    "asymmetric": ("AsymmetricAutoencoderKL", lambda: diffusers.AsymmetricAutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 2, down_block_out_channels=[8, 16], layers_per_down_block=1,
        up_block_types=["UpDecoderBlock2D"] * 2, up_block_out_channels=[8, 16], layers_per_up_block=1, latent_channels=4,
        norm_num_groups=4, sample_size=SIDE)),
}


# Making.


def note_unknown(path):
    """Adds a member that neither library knows."""
    path.write_text(json.dumps(json.loads(path.read_text()) | UNKNOWN, indent=2, ensure_ascii=True) + "\n")


def probe_inputs(pipeline):
    """Fixed inputs of the denoiser, by diffusers' names of arguments."""
    generator = torch.Generator().manual_seed(5)
    draw = lambda *shape: torch.randn(shape, generator=generator)
    inputs = {"sample": draw(2, 4, 8, 8), "timestep": torch.tensor([17, 801])}
    match type(pipeline).__name__ if pipeline else "DiTPipeline":
        case "DiTPipeline":
            return inputs | {"class_labels": torch.tensor([1, 2])}
        case "StableDiffusion3Pipeline":
            return inputs | {"encoder_hidden_states": draw(2, 9, 32), "pooled_projections": draw(2, 32)}
        case "StableDiffusionXLPipeline":
            size = torch.tensor([16.0, 16, 0, 0, 16, 16]).repeat(2, 1)
            return inputs | {"encoder_hidden_states": draw(2, 9, 32), "text_embeds": draw(2, 16), "time_ids": size}
        case "StableDiffusionPipeline":
            return inputs | {"encoder_hidden_states": draw(2, 9, 16)}
        case _:
            mask = torch.ones(2, 9, dtype=torch.int64)
            mask[1, 5:] = 0
            return inputs | {"encoder_hidden_states": draw(2, 9, 32), "encoder_attention_mask": mask}


def adapters_of_python(name, pipeline, folder):
    """Adapters as diffusers' training scripts write them, also for text encoders, with alpha other than the rank."""
    parts = {"unet" if name.startswith("sd15") or name in ("sd2", "sdxl") else "transformer": ["to_q", "to_k", "to_v", "to_out.0"]}
    parts["text_encoder"] = ["q_proj", "k_proj", "v_proj", "out_proj"]
    if name in ("sdxl", "sd3", "sd35"):
        parts["text_encoder_2"] = parts["text_encoder"]
    layers = {}
    for part, targets in parts.items():
        model = getattr(pipeline, part)
        config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=targets, init_lora_weights=False)
        peft.inject_adapter_in_model(config, model)
        model.peft_config = {"default": config}
        stored = peft.get_peft_model_state_dict(model)
        layers[f"{part}_lora_layers"] = stored if "sd3" in name else convert_state_dict_to_diffusers(stored)
        layers[f"{part}_lora_adapter_metadata"] = {k: v for k, v in config.to_dict().items() if v is not None}
    type(pipeline).save_lora_weights(folder, **layers)


def make():
    generator = numpy.random.default_rng(3)
    for k in range(6):
        kind = ["apple", "bear", "crab"][k % 3]
        rows, columns = numpy.mgrid[0:SIDE, 0:SIDE] / SIDE
        channels = [numpy.sin(generator.uniform(2, 9) * rows + generator.uniform(2, 9) * columns + k) for _ in range(3)]
        picture = Image.fromarray(((numpy.stack(channels, -1) + 1) * 127).astype(numpy.uint8))
        for folder in (WORK / "captioned", WORK / "named" / kind, WORK / "numbered" / str(k % 3)):
            folder.mkdir(parents=True, exist_ok=True)
            picture.save(folder / f"{k}.png")
        (WORK / "captioned" / f"{k}.txt").write_text(f"a photo of {kind}, number {k}")
    for name, family in FAMILIES.items():
        torch.manual_seed(len(name))
        folder = WORK / name
        folder.mkdir()
        pipeline = family.make() if family.make else None
        save_file({f"in.{k}": v for k, v in probe_inputs(pipeline).items()}, folder / "inputs.safetensors")
        if pipeline is None:
            continue
        base = folder / "base"
        pipeline.save_pretrained(base)
        if name.startswith("dit"):
            index = json.loads((base / "model_index.json").read_text())
            index["id2label"] = {str(k): v for v, k in pipeline.labels.items()}
            (base / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
        for file in ("model_index.json", "vae/config.json", f"{family.denoiser}/config.json", "scheduler/scheduler_config.json"):
            note_unknown(base / file)
        if hasattr(pipeline, "load_lora_weights"):
            adapters_of_python(name, pipeline, folder / "python-adapters")
    for name, (_, create) in AUTOENCODERS.items():
        torch.manual_seed(3)
        create().save_pretrained(WORK / f"vae-{name}" / "base")
        note_unknown(WORK / f"vae-{name}" / "base" / "config.json")
        generator = torch.Generator().manual_seed(5)
        save_file({"in.image": torch.rand(2, 3, 16, 16, generator=generator) * 2 - 1,
                   "in.latent": torch.randn(2, 4, 8, 8, generator=generator)}, WORK / f"vae-{name}" / "inputs.safetensors")


if __name__ == "__main__":
    make()
