"""Writes a checkpoint in the original layout of SDXL's base model with random float16 weights (6.9 GB): python3 bench/sdxl-single-file.py FILE"""
import json
import random
import struct
import sys

shapes = {}


def add(key, *shape, bias=True):
    shapes[key + ".weight"] = shape
    if bias:
        shapes[key + ".bias"] = shape[:1]


def unet(prefix, width, multipliers, depths, text, vector):
    time = 4 * width

    def residual(place, inputs, outputs):
        add(f"{place}.in_layers.0", inputs)
        add(f"{place}.in_layers.2", outputs, inputs, 3, 3)
        add(f"{place}.emb_layers.1", outputs, time)
        add(f"{place}.out_layers.0", outputs)
        add(f"{place}.out_layers.3", outputs, outputs, 3, 3)
        if inputs != outputs:
            add(f"{place}.skip_connection", outputs, inputs, 1, 1)

    def transformer(place, channels, depth):
        add(f"{place}.norm", channels)
        add(f"{place}.proj_in", channels, channels)
        add(f"{place}.proj_out", channels, channels)
        for k in range(depth):
            block = f"{place}.transformer_blocks.{k}"
            for name, source in (("attn1", channels), ("attn2", text)):
                add(f"{block}.{name}.to_q", channels, channels, bias=False)
                add(f"{block}.{name}.to_k", channels, source, bias=False)
                add(f"{block}.{name}.to_v", channels, source, bias=False)
                add(f"{block}.{name}.to_out.0", channels, channels)
            add(f"{block}.ff.net.0.proj", 8 * channels, channels)
            add(f"{block}.ff.net.2", channels, 4 * channels)
            for name in ("norm1", "norm2", "norm3"):
                add(f"{block}.{name}", channels)

    for name, inputs in (("time_embed", width), ("label_emb.0", vector)):
        add(f"{prefix}.{name}.0", time, inputs)
        add(f"{prefix}.{name}.2", time, time)
    add(f"{prefix}.input_blocks.0.0", width, 4, 3, 3)
    skips, place, channels = [width], 0, width
    for level, multiplier in enumerate(multipliers):
        for _ in range(2):
            place += 1
            residual(f"{prefix}.input_blocks.{place}.0", channels, multiplier * width)
            channels = multiplier * width
            if depths[level]:
                transformer(f"{prefix}.input_blocks.{place}.1", channels, depths[level])
            skips.append(channels)
        if level < len(multipliers) - 1:
            place += 1
            add(f"{prefix}.input_blocks.{place}.0.op", channels, channels, 3, 3)
            skips.append(channels)
    residual(f"{prefix}.middle_block.0", channels, channels)
    transformer(f"{prefix}.middle_block.1", channels, depths[-1])
    residual(f"{prefix}.middle_block.2", channels, channels)
    place = 0
    for level in reversed(range(len(multipliers))):
        for k in range(3):
            residual(f"{prefix}.output_blocks.{place}.0", channels + skips.pop(), multipliers[level] * width)
            channels = multipliers[level] * width
            if depths[level]:
                transformer(f"{prefix}.output_blocks.{place}.1", channels, depths[level])
            if k == 2 and level:
                add(f"{prefix}.output_blocks.{place}.{2 if depths[level] else 1}.conv", channels, channels, 3, 3)
            place += 1
    add(f"{prefix}.out.0", width)
    add(f"{prefix}.out.2", 4, width, 3, 3)


def autoencoder(prefix, width, multipliers):
    def residual(place, inputs, outputs):
        add(f"{place}.norm1", inputs)
        add(f"{place}.conv1", outputs, inputs, 3, 3)
        add(f"{place}.norm2", outputs)
        add(f"{place}.conv2", outputs, outputs, 3, 3)
        if inputs != outputs:
            add(f"{place}.nin_shortcut", outputs, inputs, 1, 1)

    top = multipliers[-1] * width
    for half in ("encoder", "decoder"):
        for name in ("block_1", "block_2"):
            residual(f"{prefix}.{half}.mid.{name}", top, top)
        add(f"{prefix}.{half}.mid.attn_1.norm", top)
        for name in ("q", "k", "v", "proj_out"):
            add(f"{prefix}.{half}.mid.attn_1.{name}", top, top, 1, 1)
    add(f"{prefix}.encoder.conv_in", width, 3, 3, 3)
    channels = width
    for level, multiplier in enumerate(multipliers):
        for k in range(2):
            residual(f"{prefix}.encoder.down.{level}.block.{k}", channels, multiplier * width)
            channels = multiplier * width
        if level < len(multipliers) - 1:
            add(f"{prefix}.encoder.down.{level}.downsample.conv", channels, channels, 3, 3)
    add(f"{prefix}.encoder.norm_out", top)
    add(f"{prefix}.encoder.conv_out", 8, top, 3, 3)
    add(f"{prefix}.quant_conv", 8, 8, 1, 1)
    add(f"{prefix}.post_quant_conv", 4, 4, 1, 1)
    add(f"{prefix}.decoder.conv_in", top, 4, 3, 3)
    for level in reversed(range(len(multipliers))):
        for k in range(3):
            residual(f"{prefix}.decoder.up.{level}.block.{k}", channels, multipliers[level] * width)
            channels = multipliers[level] * width
        if level:
            add(f"{prefix}.decoder.up.{level}.upsample.conv", channels, channels, 3, 3)
    add(f"{prefix}.decoder.norm_out", width)
    add(f"{prefix}.decoder.conv_out", 3, width, 3, 3)


def clip(prefix, width, layers):
    shapes[f"{prefix}.embeddings.token_embedding.weight"] = (49408, width)
    shapes[f"{prefix}.embeddings.position_embedding.weight"] = (77, width)
    for k in range(layers):
        layer = f"{prefix}.encoder.layers.{k}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            add(f"{layer}.self_attn.{name}", width, width)
        add(f"{layer}.mlp.fc1", 4 * width, width)
        add(f"{layer}.mlp.fc2", width, 4 * width)
        add(f"{layer}.layer_norm1", width)
        add(f"{layer}.layer_norm2", width)
    add(f"{prefix}.final_layer_norm", width)


def open_clip(prefix, width, layers):
    shapes[f"{prefix}.token_embedding.weight"] = (49408, width)
    shapes[f"{prefix}.positional_embedding"] = (77, width)
    shapes[f"{prefix}.text_projection"] = (width, width)
    shapes[f"{prefix}.logit_scale"] = ()
    for k in range(layers):
        block = f"{prefix}.transformer.resblocks.{k}"
        shapes[f"{block}.attn.in_proj_weight"] = (3 * width, width)
        shapes[f"{block}.attn.in_proj_bias"] = (3 * width,)
        add(f"{block}.attn.out_proj", width, width)
        add(f"{block}.mlp.c_fc", 4 * width, width)
        add(f"{block}.mlp.c_proj", width, 4 * width)
        add(f"{block}.ln_1", width)
        add(f"{block}.ln_2", width)
    add(f"{prefix}.ln_final", width)


unet("model.diffusion_model", 320, [1, 2, 4], [0, 2, 10], 2048, 2816)
autoencoder("first_stage_model", 128, [1, 2, 4, 4])
clip("conditioner.embedders.0.transformer.text_model", 768, 12)
open_clip("conditioner.embedders.1.model", 1280, 32)

header, offset = {}, 0
for key, shape in shapes.items():
    length = 2
    for size in shape:
        length *= size
    header[key] = {"dtype": "F16", "shape": list(shape), "data_offsets": [offset, offset + length]}
    offset += length
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
numbers = random.Random(1)
block = b"".join(struct.pack("<e", numbers.gauss(0, 0.02)) for _ in range(1 << 20))
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    while offset > 0:
        offset -= file.write(block[:offset])
