#!/usr/bin/env bash
# Small text- and class-conditional models: pre-training on photographs, post-training with three objectives from the same weights,
# sampling, and evaluation against held-out photographs.
#
#   bench/text-conditional.sh FOLDER [MINUTES]
#
# FOLDER contains photographs in subfolders by class, with captions in metadata.jsonl ("text"); MINUTES (default: 15) is the approximate
# time of training and sampling, without encoding the photographs.
# Environment: REFERENCE, a folder of held-out photographs (default: FOLDER_test); AUTOENCODER, a component folder (default: the demo's);
# TOKENIZER, a folder with CLIP's vocab.json and merges.txt (default: a subset, which spells most words); SIDE of the pictures in pixels
# (default: 64); OUT, a new output folder (default: a temporary one, deleted); MODELS, some of pixart, unet-text and unet-class; RETOUCH,
# the launcher.
#
# The text encoder is a small CLIP with random weights: it distinguishes prompts without understanding them.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ $# -ge 1 ] || { sed -n 2,16p "$0"; exit 2; }
data=$(cd "$1" && pwd) minutes=${2:-15}
reference=$(cd "${REFERENCE:-${data}_test}" && pwd)
autoencoder=$(cd "${AUTOENCODER:-$root/demo/model/vae}" && pwd)
tokenizer=${TOKENIZER:-$root/tests/goldens/clip_tokenizer/tokenizer}
side=${SIDE:-64} models=${MODELS:-pixart unet-text unet-class}
retouch=${RETOUCH:-$root/retouch}
if [ -n "${OUT:-}" ]; then
  mkdir -p "$OUT"
  work=$(cd "$OUT" && pwd)
else
  work=$(mktemp -d "${TMPDIR:-/tmp}/retouch-text.XXXXXX")
  trap 'rm -rf "$work"' EXIT
fi
pictures=60 sampler_steps=12 guidance=2
run() { "$@" >"$work/log" 2>&1 || { echo "failed: $*" >&2; tail -20 "$work/log" >&2; exit 1; }; }

# Text encoders.
mkdir -p "$work/text/tokenizer"
cp "$tokenizer/vocab.json" "$tokenizer/merges.txt" "$work/text/tokenizer/"
cat >"$work/text/tokenizer/tokenizer_config.json" <<'JSON'
{ "tokenizer_class": "CLIPTokenizer", "model_max_length": 32, "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
  "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>" }
JSON
cat >"$work/clip.json" <<'JSON'
{ "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "vocab_size": 49408, "hidden_size": 64, "intermediate_size": 256,
  "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
  "bos_token_id": 49406, "eos_token_id": 49407, "projection_dim": 64 }
JSON
run "$retouch" bench weights "$work/clip.json" --output "$work/text/text_encoder" --dtype float32 --seed 1
cat >"$work/text/model_index.json" <<'JSON'
{ "_class_name": "StableDiffusionPipeline", "text_encoder": ["transformers", "CLIPTextModel"],
  "tokenizer": ["transformers", "CLIPTokenizer"] }
JSON
sed -nE 's/.*"text": "([^"]*)".*/\1/p' "$data/metadata.jsonl" | sort -u | head -20 >"$work/prompts.txt"
prompts=$(wc -l <"$work/prompts.txt")
# Labels of metadata.jsonl take precedence over folders.
last=$(sed -nE 's/.*"label": *([0-9]+).*/\1/p' "$data/metadata.jsonl" | sort -n | tail -1)
if [ -n "$last" ]; then classes=$((last + 1)); else classes=$(find "$data" -mindepth 1 -maxdepth 1 -type d | wc -l); fi

# Downsampling of the autoencoder, from its configuration.
halvings=$(tr -d ' \n' <"$autoencoder/config.json" \
  | sed -nE 's/.*"(down_block_types|num_encoder_blocks)":\[([^]]*)\].*/\2/p' | tr -cd , | wc -c)
latent=$((side >> halvings))
channels=$(tr -d ' \n' <"$autoencoder/config.json" | sed -nE 's/.*"latent_channels":([0-9]+).*/\1/p')
patch=$((latent > 8 ? 2 : 1))

diffusion='"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
  "num_train_timesteps": 1000, "clip_sample": false, "set_alpha_to_one": false, "steps_offset": 1'
unet="\"_class_name\": \"UNet2DConditionModel\", \"sample_size\": $latent, \"in_channels\": $channels, \"out_channels\": $channels,
  \"block_out_channels\": [48, 96], \"layers_per_block\": 1,
  \"down_block_types\": [\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\"],
  \"up_block_types\": [\"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\"], \"attention_head_dim\": 4, \"norm_num_groups\": 16"
plain=${unet//CrossAttn/}
declare -A config=(
  [pixart]="\"_class_name\": \"PixArtTransformer2DModel\", \"num_attention_heads\": 4, \"attention_head_dim\": 32,
    \"in_channels\": $channels, \"out_channels\": $channels, \"num_layers\": 4,
    \"sample_size\": $latent, \"patch_size\": $patch, \"caption_channels\": 64,
    \"cross_attention_dim\": 128, \"use_additional_conditions\": false"
  [unet-text]="$unet, \"cross_attention_dim\": 64"
  [unet-class]="$plain, \"mid_block_type\": \"UNetMidBlock2D\", \"num_class_embeds\": $((classes + 1))"
)
declare -A scheduler=(
  [pixart]="$diffusion, \"prediction_type\": \"epsilon\""
  [unet-text]="$diffusion, \"prediction_type\": \"v_prediction\""
  [unet-class]='"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 1.0'
)
declare -A said=([pixart]="PixArt, prompts, epsilon" [unet-text]="U-Net, prompts, v" [unet-class]="U-Net, classes, flow")

# options NAME MODEL-MEMBERS: options common to all runs; a comma follows.
common() {
  cat <<JSON
{ "task": "denoiser", "seed": 1, "data": { "folder": "$data", "size": $side, "cacheLatents": true, "cache": "$work/cache",
"allowEnlarging": true },
  "optimiser": { "learningRate": $1, "adamW": { "beta2": 0.99, "weightDecay": 0.0 }, "schedule": { "shape": "constant",
  "warmupSteps": $2 } },
  "averages": [ { "decay": $3, "warmup": "ratio" } ], "log": { "every": 10 }, "checkpoints": { "every": 0, "keep": 1 },
  "samples": { "count": 4 }, "model": { $4 } }
JSON
}

# steps SECONDS OPTIONS...: number of steps that fit, by a short measurement.
steps() {
  local seconds=$1; shift
  "$retouch" train "$@" --steps 10 --dry-run --json 2>"$work/log" | tr -d ' \n' | sed -nE 's/.*"secondsPerStep":([0-9.eE+-]+).*/\1/p' \
    | awk -v s="$seconds" '{ n = int(s / $1); print n < 20 ? 20 : n }'
}

# Half of the time is for the three models, a third for their post-training, the rest for sampling.
pretraining=$(awk -v m="$minutes" -v n="$(wc -w <<<"$models")" 'BEGIN { print m * 60 / 2 / n }')
posttraining=$(awk -v m="$minutes" -v n="$(wc -w <<<"$models")" 'BEGIN { print m * 60 / 3 / (3 * n) }')
for name in $models; do
  told="--count $pictures"
  promptsfrom=
  [ "$name" = unet-class ] \
    || { told="--prompts $work/prompts.txt --images-per-prompt $((pictures / prompts))"; promptsfrom=", \"promptsFrom\": \"$work/text\""; }
  common 1e-3 50 0.998 "\"autoencoder\": \"$autoencoder\", \"config\": { ${config[$name]} },
    \"scheduler\": { ${scheduler[$name]} }$promptsfrom" >"$work/$name.json"
  n=$(steps "$pretraining" --options "$work/$name.json" --objective latent --batch-size 16) || { tail -20 "$work/log" >&2; exit 1; }
  run "$retouch" train --options "$work/$name.json" --objective latent --batch-size 16 --steps "$n" --output "$work/$name"
  echo "$name: ${said[$name]}: $n steps of pre-training"
  start="$work/$name/model-average-0.998"
  common 1e-4 5 0.98 "\"path\": \"$start\"" >"$work/$name-post.json"
  # The number of steps is that of the most expensive objective.
  n=$(steps "$posttraining" --options "$work/$name-post.json" --objective lpl --batch-size 16) || { tail -20 "$work/log" >&2; exit 1; }
  sets=("$work/$name-pictures/before")
  run "$retouch" sample --model "$start" --output "$work/$name-pictures/before" $told --steps $sampler_steps --guidance $guidance --seed 1
  for objective in latent lpl pixel; do
    run "$retouch" train --options "$work/$name-post.json" --objective "$objective" --batch-size 16 --steps "$n" \
      --output "$work/$name-$objective"
    run "$retouch" sample --model "$work/$name-$objective/model-average-0.98" --output "$work/$name-pictures/$objective" $told \
      --steps $sampler_steps --guidance $guidance --seed 1
    sets+=("$work/$name-pictures/$objective")
  done
  echo "$name: $n steps of post-training each"
  "$retouch" compare "${sets[@]}" --reference "$reference" --size "$side" --allow-enlarging 2>"$work/log" \
    | sed "s#$work/$name-pictures/##g" || { tail -20 "$work/log" >&2; exit 1; }
done
