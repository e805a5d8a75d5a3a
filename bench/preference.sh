#!/usr/bin/env bash
# Preference post-training in every cell of {DPO, SimPO} x {latent, pixel, both, features}, on photographs against degraded copies of them.
#
#   bench/preference.sh PHOTOS [DEGRADATION] [STEPS] [BASE_STEPS] [SAMPLES]        default: blur 40 300 64
#
# PHOTOS is a folder of class subfolders. Winners are its pictures at 32 pixels, losers the same made worse (blur, jpeg20, alias); every 25th pair is
# held out. A small class-conditional DiT is trained on the photographs first, on the latents of the demo's autoencoder; every cell starts from it, with
# the same seed, data and number of steps. Accuracies are of held-out pairs, over 2 draws of time and noise; pictures are drawn from the same seeds before and
# after, and compared with the winners. Beta is 5000 (half of it counts) for DPO and 50 for SimPO, ten and fifty times as much for the pixel errors, which are smaller. Prints a table in Markdown; the 2x2 of reference and pixel term is in the rows latent and both. $RETOUCH is the launcher, default: ./retouch of this
# checkout; $WORK keeps the files, default: a temporary folder.
set -euo pipefail
photos=$(cd "${1:?usage: bench/preference.sh PHOTOS [DEGRADATION] [STEPS] [BASE_STEPS] [SAMPLES]}" && pwd)
degrade=${2:-blur}
steps=${3:-40}
base_steps=${4:-300}
samples=${5:-64}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
if [ -n "${WORK:-}" ]; then work=$WORK; mkdir -p "$work"; else work=$(mktemp -d "${TMPDIR:-/tmp}/retouch-preference.XXXXXX"); trap 'rm -rf "$work"' EXIT; fi
quiet() { "$@" >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; exit 1; }; }

[ -d "$work/pairs" ] || quiet "$retouch" pairs make --data "$photos" --degrade "$degrade" --size 32 --seed 1 --hold-out 25 --output "$work/pairs"
held=$work/pairs/held-out.jsonl
classes=$(find "$photos" -mindepth 1 -maxdepth 1 -type d | wc -l)

if [ ! -d "$work/base/model" ]; then
  cat >"$work/base.json" <<JSON
{ "task": "denoiser", "seed": 1, "steps": $base_steps, "averages": [],
  "model": { "autoencoder": "$root/demo/model/vae",
    "config": { "_class_name": "DiTTransformer2DModel", "attention_head_dim": 24, "num_attention_heads": 4, "num_layers": 3, "in_channels": 4, "out_channels": 4, "sample_size": 8,
      "patch_size": 2, "num_embeds_ada_norm": $classes, "norm_num_groups": 32, "activation_fn": "gelu-approximate", "attention_bias": true },
    "scheduler": { "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
      "prediction_type": "v_prediction", "clip_sample": false, "set_alpha_to_one": false, "steps_offset": 1 } },
  "data": { "folder": "$photos", "size": 32, "cacheLatents": true }, "batch": { "size": 32 },
  "optimiser": { "learningRate": 1e-3, "schedule": { "warmupSteps": 20 } }, "objective": {}, "log": { "every": 10 }, "checkpoints": { "every": 0, "keep": 1 } }
JSON
  quiet "$retouch" train --options "$work/base.json" --output "$work/base"
fi

# figure FILE NAME: of an evaluation, as --json prints it.
figure() { tr -d '\n ' <"$1" | grep -o "\"name\":\"$2\",\"value\":[^,]*" | head -1 | sed 's/.*://' | awk '{ printf "%.4g", $1 }'; }
# judged FILE SPACE FIGURE: of a measurement on pairs, as --json prints it.
judged() { tr -d '\n ' <"$1" | grep -o "\"$2\":{[^}]*}" | head -1 | grep -o "\"$3\":[^,}]*" | sed 's/.*://' | awk '{ printf "%.4g", $1 }'; }
drift() { tr -d '\n ' <"$1" | grep -o '"drift":[^,}]*' | sed 's/.*://' | awk '{ printf "%.2g", $1 }'; }
row() { # NAME MODEL NOTE: draws, measures, prints a line of the table
  local at=$work/$1
  [ -d "$at-samples" ] || quiet "$retouch" sample --model "$2" --output "$at-samples" --count "$samples" --steps 20 --guidance 1.5 --seed 7 --batch 32
  [ -s "$at-quality.json" ] || { quiet "$retouch" evaluate --reference "$work/pairs/winners" --images "$at-samples" --size 32 --metrics fwd,spectrum --resamples 100 --json; cp "$work/out" "$at-quality.json"; }
  [ -s "$at-pairs.json" ] || { quiet "$retouch" pairs measure --model "$2" --reference "$work/base/model" --pairs "$held" --size 32 --draws 2 --json; cp "$work/out" "$at-pairs.json"; }
  local p=$at-pairs.json q=$at-quality.json
  echo "| $1 | $(judged "$p" latent accuracy) | $(judged "$p" pixel accuracy) | $(judged "$p" latent winner) | $(judged "$p" latent loser) | $(judged "$p" pixel winner) | $(judged "$p" pixel loser) | $(drift "$p") | $(figure "$q" fwd) | $(figure "$q" fwd.high) | $(figure "$q" spectrum) | $(figure "$q" spectrum.bias) | $3 |"
}

echo "| cell | accuracy, latent | accuracy, pixel | winner, latent | loser, latent | winner, pixel | loser, pixel | drift | FWD | FWD, high | spectrum | spectrum, bias | ended |"
echo "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
row base "$work/base/model" ""
for method in dpo simpo; do
  beta=5000 pixel=50000
  [ $method = dpo ] || { beta=50; pixel=2500; }
  for space in latent pixel both features; do
    name=$method-$space
    run=$work/$name
    preference="\"method\": \"$method\", \"space\": \"$space\", \"beta\": $beta"
    [ $space != pixel ] || preference="\"method\": \"$method\", \"space\": \"$space\", \"beta\": $pixel"
    [ $space != both ] || preference="$preference, \"pixelBeta\": $pixel"
    cat >"$run.json" <<JSON
{ "task": "denoiser", "seed": 2, "steps": $steps, "averages": [], "model": { "path": "$work/base/model" }, "data": { "pairs": "$work/pairs", "size": 32, "flip": 0.5 }, "batch": { "size": 8 },
  "optimiser": { "learningRate": 1e-4, "schedule": { "warmupSteps": 5 } }, "objective": { "preference": { $preference } }, "checkpoints": { "every": 10, "keep": 1 } }
JSON
    if [ ! -d "$run/model" ]; then
      status=0
      "$retouch" train --options "$run.json" --output "$run" >"$work/out" 2>"$work/err" || status=$?
      if [ $status = 5 ]; then
        # Stopped because winner and loser both got worse: the model of the checkpoint from before that.
        kept=$(grep -oE -- '--steps [0-9]+' "$work/err" | tail -1 | cut -d' ' -f2)
        quiet "$retouch" train --resume "$run" --steps "$kept"
        echo "stopped, kept step $kept" >"$run.end"
      elif [ $status != 0 ]; then
        cat "$work/err" >&2
        exit 1
      else
        echo "step $steps" >"$run.end"
      fi
    fi
    row "$name" "$run/model" "$(cat "$run.end")"
  done
done
