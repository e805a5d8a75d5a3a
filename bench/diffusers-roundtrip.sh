#!/usr/bin/env bash
# Interchange with Python's diffusers: small models of every family go from diffusers to Retouch, are trained there for two steps (all
# weights with two losses, and a LoRA), and back: loading, drawing, adapters and outputs are compared. Prints a table; exit code 1 if
# anything fails.
#
#   bench/diffusers-roundtrip.sh
#
# Environment: PYTHON, a command with PyTorch, diffusers, transformers, peft, safetensors, sentencepiece and Pillow (default: python3);
# ROOT, a folder that is / for that command (a chroot; default: none); WORK, a new folder below ROOT (default: a temporary one, deleted);
# RETOUCH, the launcher (default: ./retouch of this checkout).
set -euo pipefail
export LC_ALL=C.UTF-8
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$here/retouch} python=${PYTHON:-python3} root=${ROOT:-}
if [ -n "${WORK:-}" ]; then
  mkdir -p "$WORK"
  work=$(cd "$WORK" && pwd)
else
  work=$(mktemp -d "$root${TMPDIR:-/tmp}/retouch-diffusers.XXXXXX")
  trap 'rm -rf "$work"' EXIT
fi
cp -r "$here/tests/goldens/clip_tokenizer" "$here/tests/goldens/t5_tokenizer" "$here/docs/results/interchange.md" \
  "$here/bench/diffusers_models.py" "$here/bench/diffusers-roundtrip.py" "$work/"
# in_python PROGRAM: with the work folder's path below the root.
in_python() { $python "${work#"$root"}/$1" "${work#"$root"}"; }
run() { $retouch "$@" >"$work/log" 2>&1 || { echo "failed: retouch $*" >&2; tail -20 "$work/log" >&2; exit 1; }; }
# train OUTPUT DATA OPTION...
train() {
  local output=$1 data=$2; shift 2
  run train --output "$output" --data "$data" --size 16 --batch-size 2 --seed 3 --set samples.every=0 \
    --set 'averages=[{"decay":0.9}]' "$@"
}

in_python diffusers_models.py
# The class-conditional MM-DiT has no class in diffusers: its base is trained from scratch.
train "$work/mmdit/start" "$work/named" --steps 2 --objective latent --learning-rate 0.1 \
  --set "model.autoencoder=$work/dit-flow/base/vae" \
  --set 'model.config={"_class_name":"RetouchMMDiTTransformer2DModel","in_channels":4,"sample_size":8,"patch_size":2,"num_layers":2,
    "num_attention_heads":2,"attention_head_dim":16,"class_embedding_dim":32,"pos_embed_max_size":8}' \
  --set 'model.scheduler={"_class_name":"FlowMatchEulerDiscreteScheduler","shift":1.5}'
cp -r "$work/mmdit/start/model" "$work/mmdit/base"
sed -i '1s/{/{\n  "of_another_program": 1e-05,/' "$work/mmdit/base/transformer/config.json"

for inputs in "$work"/[!v]*/inputs.safetensors; do
  folder=${inputs%/*} name=$(basename "${inputs%/*}") data=$work/captioned
  prompt=(--prompt "a photo of two dogs" --seed 7 --steps 2)
  denoiser=transformer
  case $name in
    dit) data=$work/numbered prompt=(--class 2 --count 1 --seed 7 --steps 2 --guidance 4) ;;
    dit-flow | mmdit) data=$work/named prompt=(--class 2 --count 1 --seed 7 --steps 2 --guidance 1.5) ;;
    sd15* | sd2 | sdxl) denoiser=unet ;;
  esac
  echo "$name" >&2
  for objective in latent lpl; do
    train "$folder/$objective" "$data" --model "$folder/base" --steps 2 --objective "$objective" --learning-rate 1e-3
    run probe --model "$folder/$objective/model/$denoiser" --inputs "$inputs" --output "$folder/$objective-probe.safetensors"
    run sample --model "$folder/$objective/model" --output "$folder/$objective-drawn" "${prompt[@]}"
  done
  train "$folder/lora" "$data" --model "$folder/base" --steps 2 --objective latent --lora-rank 2 --set lora.alpha=3 --learning-rate 0.03
  run sample --model "$folder/lora/model" --output "$folder/lora-drawn" "${prompt[@]}"
  run convert "$folder/lora/model" --output "$folder/merged"
  run probe --model "$folder/merged/$denoiser" --inputs "$inputs" --output "$folder/merged-probe.safetensors"
  run convert "$folder/lpl/model" --output "$folder/shards" --dtype float16 --max-shard-size 30KB
  [ ! -d "$folder/python-adapters" ] || run convert "$folder/base" --lora "$folder/python-adapters" --output "$folder/python-merged"
done
for inputs in "$work"/vae-*/inputs.safetensors; do
  folder=${inputs%/*}
  # Retouch does not train AutoencoderTiny; it is loaded and saved.
  if [ "${folder##*-}" = tiny ]; then
    run convert "$folder/base" --output "$folder/run/model" --max-shard-size 1GB
  else
    train "$folder/run" "$work/captioned" --task autoencoder --steps 2 --model "$folder/base"
  fi
  run probe --model "$folder/run/model" --inputs "$inputs" --output "$folder/probe.safetensors"
done
in_python diffusers-roundtrip.py
