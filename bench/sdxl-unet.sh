#!/usr/bin/env bash
# Peak memory of loading a U-Net of SDXL's size: random float16 weights (5.1 GB, deleted afterwards), loading as stored, then one
# denoising step in bfloat16 (libtorch 1.13 has no float16 convolutions on the CPU).
#
#   bench/sdxl-unet.sh [SIDE]        side of the latents of the step; default: 16
#
# $RETOUCH is the launcher, by default ./retouch of this checkout. "ok" if loading needs at most 1.1 times the file's size, else "not ok"
# with exit code 1.
set -euo pipefail
side=${1:-16}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
work=$(mktemp -d "${TMPDIR:-/tmp}/retouch-sdxl.XXXXXX")
trap 'rm -rf "$work"' EXIT
cat >"$work/config.json" <<'JSON'
{ "_class_name": "UNet2DConditionModel", "act_fn": "silu", "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
"attention_head_dim": [5, 10, 20],
  "block_out_channels": [320, 640, 1280], "cross_attention_dim": 2048, "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D",
  "CrossAttnDownBlock2D"],
  "in_channels": 4, "layers_per_block": 2, "out_channels": 4, "projection_class_embeddings_input_dim": 2816, "sample_size": 128,
  "transformer_layers_per_block": [1, 2, 10], "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
  "use_linear_projection": true }
JSON
"$retouch" bench weights "$work/config.json" --output "$work/unet"
ls -l "$work/unet"
/usr/bin/time -v "$retouch" bench load "$work/unet" 2>"$work/time" | tee "$work/load"
grep -E "Maximum resident|Elapsed" "$work/time"
/usr/bin/time -v "$retouch" bench load "$work/unet" --dtype bfloat16 --latent "$side" 2>"$work/time"
grep -E "Maximum resident|Elapsed" "$work/time"
ratio=$(sed -nE 's/.* resident, ([0-9.]+) of them/\1/p' "$work/load")
awk -v ratio="$ratio" 'BEGIN {
  printf "%s - resident memory while loading, against the size of the file: %.3f\n", ratio <= 1.1 ? "ok" : "not ok", ratio
  exit ratio <= 1.1 ? 0 : 1
}'
