#!/usr/bin/env bash
# Preference post-training for each of {DPO, SimPO} x {latent, pixel, both, features}, on photographs and degraded copies of them.
#
#   bench/preference.sh PHOTOS [DEGRADATION] [STEPS] [BASE_STEPS] [SAMPLES]        default: blur 100 2000 256
#
# PHOTOS is a folder of class subfolders. Winners are its pictures at 32 pixels, losers are degraded copies (blur, jpeg20, alias); every
# 25th pair is held out. A small class-conditional DiT is trained on the photographs first, on latents of the demo's autoencoder; every
# cell starts from its weight average, with the same data and number of steps. Accuracies are for held-out pairs, over 2 draws of timestep
# and noise; samples before and after have the same seeds and are compared with the winners. Beta is 5000 (times a half) for DPO and 50
# for SimPO; for pixel errors, which are smaller, ten and fifty times as much. "anchored" adds the diffusion loss on winners with half the
# initial weight of the preference; "sft" is that loss alone. Prints a Markdown table; the 2x2 of reference and pixel term is in the rows
# latent and both. Environment:
#
#   CELLS    cells to run, in order; default: all
#   SEEDS    seeds of the post-training, default: 2
#   RATE     its learning rate, default: 1e-5
#   RETOUCH  the launcher, default: ./retouch of this checkout
#   WORK     folder of kept files, which are reused; several degradations can share it. Default: a temporary folder
set -euo pipefail
photos=$(cd "${1:?usage: bench/preference.sh PHOTOS [DEGRADATION] [STEPS] [BASE_STEPS] [SAMPLES]}" && pwd)
degrade=${2:-blur}
steps=${3:-100}
base_steps=${4:-2000}
samples=${5:-256}
seeds=${SEEDS:-2}
rate=${RATE:-1e-5}
cells='sft dpo-latent dpo-both simpo-latent simpo-both dpo-pixel dpo-features simpo-pixel simpo-features'
cells=${CELLS:-$cells dpo-latent-anchored simpo-latent-anchored}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
if [ -n "${WORK:-}" ]; then
  mkdir -p "$WORK"
  work=$(cd "$WORK" && pwd)
else
  work=$(mktemp -d "${TMPDIR:-/tmp}/retouch-preference.XXXXXX")
  trap 'rm -rf "$work"' EXIT
fi
on=$work/$degrade
mkdir -p "$on"
quiet() { "$@" >"$on/out" 2>"$on/err" || { cat "$on/err" >&2; exit 1; }; }

[ -d "$on/pairs" ] \
  || quiet "$retouch" pairs make --data "$photos" --degrade "$degrade" --size 32 --seed 1 --hold-out 25 --output "$on/pairs"
held=$on/pairs/held-out.jsonl
classes=$(find "$photos" -mindepth 1 -maxdepth 1 -type d | wc -l)
base=$work/base/model-average-0.99

if [ ! -d "$base" ]; then
  cat >"$work/base.json" <<JSON
{ "task": "denoiser", "seed": 1, "steps": $base_steps, "averages": [ { "decay": 0.99 } ],
  "model": { "autoencoder": "$root/demo/model/vae",
    "config": { "_class_name": "DiTTransformer2DModel", "attention_head_dim": 24, "num_attention_heads": 4, "num_layers": 3,
    "in_channels": 4, "out_channels": 4, "sample_size": 8,
      "patch_size": 2, "num_embeds_ada_norm": $classes, "norm_num_groups": 32, "activation_fn": "gelu-approximate",
      "attention_bias": true },
    "scheduler": { "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
      "prediction_type": "v_prediction", "clip_sample": false, "set_alpha_to_one": false, "steps_offset": 1 } },
  "data": { "folder": "$photos", "size": 32, "cacheLatents": true }, "batch": { "size": 32 },
  "optimiser": { "learningRate": 1e-3, "schedule": { "warmupSteps": 20 } }, "objective": {}, "log": { "every": 10 },
  "checkpoints": { "every": 0, "keep": 1 } }
JSON
  quiet "$retouch" train --options "$work/base.json" --output "$work/base"
fi

# figure FILE NAME: a figure of an evaluation's JSON.
figure() { tr -d '\n ' <"$1" | grep -o "\"name\":\"$2\",\"value\":[^,]*" | head -1 | sed 's/.*://' | awk '{ printf "%.4g", $1 }'; }
# judged FILE SPACE FIGURE: a figure of a measurement on pairs.
judged() { tr -d '\n ' <"$1" | grep -o "\"$2\":{[^}]*}" | head -1 | grep -o "\"$3\":[^,}]*" | sed 's/.*://' | awk '{ printf "%.4g", $1 }'; }
drift() { tr -d '\n ' <"$1" | grep -o '"drift":[^,}]*' | sed 's/.*://' | awk '{ printf "%.2g", $1 }'; }
row() { # NAME MODEL NOTE KEY: draws, measures, prints a line of the table
  local at=$on/$4
  [ -d "$at-samples" ] \
    || quiet "$retouch" sample --model "$2" --output "$at-samples" --count "$samples" --steps 20 --guidance 1.5 --seed 7 --batch-size 64
  if [ ! -s "$at-quality.json" ]; then
    quiet "$retouch" evaluate --reference "$on/pairs/winners" --images "$at-samples" --size 32 --metrics fwd,spectrum --resamples 100 --json
    cp "$on/out" "$at-quality.json"
  fi
  if [ ! -s "$at-pairs.json" ]; then
    quiet "$retouch" pairs measure --model "$2" --reference "$base" --pairs "$held" --size 32 --draws 2 --json
    cp "$on/out" "$at-pairs.json"
  fi
  local p=$at-pairs.json q=$at-quality.json
  local row="| $1 | $(judged "$p" latent accuracy) | $(judged "$p" pixel accuracy)"
  row+=" | $(judged "$p" latent winner) | $(judged "$p" latent loser) | $(judged "$p" pixel winner) | $(judged "$p" pixel loser)"
  row+=" | $(drift "$p") | $(figure "$q" fwd) | $(figure "$q" fwd.low) | $(figure "$q" fwd.mid) | $(figure "$q" fwd.high)"
  echo "$row | $(figure "$q" spectrum) | $(figure "$q" spectrum.bias) | $3 |"
}

# objective CELL: options of the cell as JSON.
objective() {
  local cell=${1%-anchored} anchor=
  if [ "$cell" = sft ]; then echo '{ "latentWeight": 1 }'; return; fi
  local method=${cell%%-*} space=${cell#*-} beta=5000 pixel=50000 half=625
  [ "$method" = dpo ] || { beta=50 pixel=2500 half=12.5; }
  [ "$1" = "$cell" ] || anchor="\"latentWeight\": $half, "
  case $space in
    pixel) echo "{ $anchor\"preference\": { \"method\": \"$method\", \"space\": \"$space\", \"beta\": $pixel } }" ;;
    both) echo "{ $anchor\"preference\": { \"method\": \"$method\", \"space\": \"$space\", \"beta\": $beta, \"pixelBeta\": $pixel } }" ;;
    *) echo "{ $anchor\"preference\": { \"method\": \"$method\", \"space\": \"$space\", \"beta\": $beta } }" ;;
  esac
}

columns='accuracy, latent | accuracy, pixel | winner, latent | loser, latent | winner, pixel | loser, pixel | drift'
echo "| $degrade | $columns | FWD | low | mid | high | spectrum | spectrum, bias | ended |"
echo "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
row base "$base" "" base
for cell in $cells; do
  for seed in $seeds; do
    name=$cell
    [ "$seeds" = "${seeds% *}" ] || name="$cell $seed"
    run=$on/$cell-seed-$seed
    data="\"pairs\": \"$on/pairs\""
    [ "$cell" != sft ] || data="\"folder\": \"$on/pairs/winners\""
    cat >"$run.json" <<JSON
{ "task": "denoiser", "seed": $seed, "steps": $steps, "averages": [], "model": { "path": "$base" }, "data": { $data, "size": 32,
"flip": 0.5 }, "batch": { "size": 8 },
  "optimiser": { "learningRate": $rate, "schedule": { "warmupSteps": 5 } }, "objective": $(objective "$cell"), "checkpoints": { "every": 10,
  "keep": 1 } }
JSON
    if [ ! -d "$run/model" ]; then
      status=0
      "$retouch" train --options "$run.json" --output "$run" >"$on/out" 2>"$on/err" || status=$?
      if [ $status = 5 ]; then
        # Stopped because winners and losers both got worse: use the model of the last good checkpoint.
        kept=$(grep -oE -- '--steps [0-9]+' "$on/err" | tail -1 | cut -d' ' -f2)
        quiet "$retouch" train --resume "$run" --steps "$kept"
        echo "stopped, kept step $kept" >"$run.end"
      elif [ $status != 0 ]; then
        cat "$on/err" >&2
        exit 1
      else
        echo "step $steps" >"$run.end"
      fi
    fi
    row "$name" "$run/model" "$(cat "$run.end")" "$cell-seed-$seed"
  done
done
