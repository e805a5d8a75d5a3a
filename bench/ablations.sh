#!/usr/bin/env bash
# Runs every included ablation on your photographs: trains a small denoiser on them once, then runs each spec of ablations/ from it and
# prints its table.
#
#   bench/ablations.sh FOLDER [MINUTES|overnight]
#
# FOLDER contains photographs in subfolders by class, preferably with metadata.jsonl. MINUTES (default: 60) is the approximate total
# processor time on one thread of a recent server; it determines steps, pictures and the number of values on long axes. "overnight" runs
# the specs unchanged, with 3 seeds. Environment: REFERENCE, a folder of held-out photographs in the same layout (default: FOLDER_test);
# AUTOENCODER, a component folder (default: the demo's); SQUEEZENET, weights of SqueezeNet 1.0, for the Fréchet distance, precision,
# recall, density and coverage of its features (default: none); WEIGHT, the weight of the perceptual loss for a fifth of the total
# (default: 3, the paper's; it depends on the decoder, see 'retouch inspect --taps'); SIDE of the pictures in pixels (default: 64);
# SEEDS (default: "1 2"); ONLY, the specs to run (default: all); OUT, the output folder (default: artifacts/ablations); RETOUCH, the
# launcher.
#
# Completed work is reused: the same command resumes an interrupted run. Tables and reports are in OUT/NAME.txt and
# OUT/NAME/report.html.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ $# -ge 1 ] || { sed -n 2,15p "$0"; exit 2; }
data=$(cd "$1" && pwd) minutes=${2:-60}
reference=$(cd "${REFERENCE:-${data}_test}" && pwd)
autoencoder=$(cd "${AUTOENCODER:-$root/demo/model/vae}" && pwd)
side=${SIDE:-64} weight=${WEIGHT:-3} retouch=${RETOUCH:-$root/retouch}
mkdir -p "${OUT:-$root/artifacts/ablations}"
work=$(cd "${OUT:-$root/artifacts/ablations}" && pwd)
specs='depth normalisation threshold depth-weights weight sampling-steps average-decay initial-length formulation data-and-resolution'
specs=${ONLY:-$specs}

# Steps of the initial training and of an arm, sampled pictures per model.
if [ "$minutes" = overnight ]; then
  first=20000 steps=150 drawn=512 seeds=${SEEDS:-1 2 3}
else
  first=$((minutes * 40)) steps=$((minutes / 2)) drawn=$((minutes * 8 / 5)) seeds=${SEEDS:-1 2}
  [ "$steps" -ge 4 ] || steps=4
  [ "$drawn" -ge 8 ] || drawn=8
fi

# Downsampling of the autoencoder, from its configuration.
halvings=$(tr -d ' \n' <"$autoencoder/config.json" \
  | sed -nE 's/.*"(down_block_types|num_encoder_blocks)":\[([^]]*)\].*/\2/p' | tr -cd , | wc -c)
latent=$((side >> halvings))
channels=$(tr -d ' \n' <"$autoencoder/config.json" | sed -nE 's/.*"latent_channels":([0-9]+).*/\1/p')
patch=$((latent > 8 ? 2 : 1))
last=$(sed -nE 's/.*"label": *([0-9]+).*/\1/p' "$data/metadata.jsonl" 2>/dev/null | sort -n | tail -1)
if [ -n "$last" ]; then classes=$((last + 1)); else classes=$(find "$data" -mindepth 1 -maxdepth 1 -type d | wc -l); fi

model=$work/pretraining/model-average-0.995
if [ ! -d "$model" ]; then
  cat >"$work/pretraining.json" <<JSON
{ "task": "denoiser", "seed": 1, "steps": $first, "precision": "float32",
  "model": { "autoencoder": "$autoencoder",
    "config": { "_class_name": "DiTTransformer2DModel", "attention_head_dim": 32, "num_attention_heads": 4, "num_layers": 4,
    "in_channels": $channels, "out_channels": $channels, "sample_size": $latent,
      "patch_size": $patch, "num_embeds_ada_norm": $classes, "norm_num_groups": 32, "activation_fn": "gelu-approximate",
      "attention_bias": true },
    "scheduler": { "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
      "prediction_type": "v_prediction", "clip_sample": false, "set_alpha_to_one": false, "steps_offset": 1 } },
  "data": { "folder": "$data", "size": $side, "cacheLatents": true, "cache": "$work/cache" }, "batch": { "size": 16 },
  "optimiser": { "learningRate": 1e-3, "adamW": { "beta2": 0.99, "weightDecay": 0.0 }, "schedule": { "shape": "cosine",
  "warmupSteps": 50 } },
  "averages": [ { "decay": 0.995, "warmup": "ratio" } ], "conditioning": { "dropout": 0.1 }, "objective": {}, "log": { "every": 20,
  "tensorBoard": false },
  "checkpoints": { "every": 400, "keep": 1 }, "samples": { "every": 800, "count": 16, "steps": 12 } }
JSON
  echo "training a denoiser on $data: $first steps"
  given=(--options "$work/pretraining.json" --output "$work/pretraining")
  [ ! -e "$work/pretraining/options.json" ] || given=(--resume "$work/pretraining")
  "$retouch" train "${given[@]}" >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; exit 1; }
fi

# half NAME PARITY: links to every second picture of every class.
half() {
  [ ! -e "$work/$1/whole" ] || return 0
  rm -rf "${work:?}/$1"
  mkdir -p "$work/$1"
  (cd "$data" && find -L . -mindepth 2 -type f | sed 's#^\./##' | sort | awk -v p="$2" 'NR % 2 == p') >"$work/$1.list"
  while read -r file; do
    mkdir -p "$work/$1/${file%/*}"
    ln -s "$data/$file" "$work/$1/$file"
  done <"$work/$1.list"
  [ ! -f "$data/metadata.jsonl" ] || grep -F -f <(sed 's/.*/"&"/' "$work/$1.list") "$data/metadata.jsonl" >"$work/$1/metadata.jsonl"
  touch "$work/$1/whole"
}

for name in $specs; do
  spec=$name pictures=$data more=(--set-spec "heldOut.folder=$reference")
  [ "$minutes" = overnight ] \
    || more+=(--set-spec 'evaluation.samplerSteps=[10]' --set "steps=$steps" --set batch.size=8 --set optimiser.learningRate=3e-4 \
      --set 'averages=[{"decay":0.9}]')
  case $minutes:$name in
    overnight:*) ;;
    *:threshold) more+=(--set-spec "options.objective.perceptual.weight=$weight" \
      --set-spec 'axes={"objective.perceptual.threshold":[1,3,12]}') ;;
    *:weight)
      weights=$(awk -v w="$weight" 'BEGIN { printf "%.3g,%.3g,%.3g", w / 5, w, w * 5 }')
      more+=(--set-spec "axes={\"objective.perceptual.weight\":[$weights]}") ;;
    *:sampling-steps) more+=(--set-spec 'evaluation.samplerSteps=[5,10,25]') ;;
    *:average-decay) more+=(--set-spec 'evaluation.decays=[0,0.8,0.9,0.97]') ;;
    *:initial-length)
      cp "$root/ablations/base.json" "$work/"
      sed "s/150/$((steps * 3))/g; s/450/$((steps * 9))/g; s/\"steps\": 300/\"steps\": $((steps * 6))/" "$root/ablations/$name.json" \
        >"$work/$name.json"
      spec=$work/$name.json
      ;;
    *:formulation) for way in epsilon v flow; do more+=(--set-spec "pretraining.$way.options.steps=$((steps * 10))"); done ;;
  esac
  if [ "$name" = data-and-resolution ]; then
    # The two data sets are halves of the folder, each with its own held-out pictures.
    half one 0
    half two 1
    long=300
    [ "$minutes" = overnight ] || long=$((steps * 4))
    cp "$root/ablations/base.json" "$work/"
    sed "s#\"sceneSeed\": 7#\"folder\": \"$work/two\"#; s#\"data.sceneSeed\": 7#\"data.folder\": \"$work/two\"#
      s#other scenes#other pictures#g
      s#two sets of scenes#two halves of the pictures#
      s#\b300\b#$long#g; s#The demo's model, made for 64 pixels,#The model, made for $side pixels,#" \
      "$root/ablations/$name.json" >"$work/$name.json"
    spec=$work/$name.json pictures=$work/one
    more=("${more[@]:2}")
  fi
  [ -z "${SQUEEZENET:-}" ] || more+=(--set-spec "evaluation.squeezeNet=$SQUEEZENET" \
    --set-spec 'evaluation.metrics=["fwd","spectrum","sharpness","fd","prdc"]')
  # One folder for all specs: the common first arm is trained once.
  # shellcheck disable=SC2086
  "$retouch" ablate "$spec" --model "$model" --data "$pictures" --output "$work/all" --seeds $seeds --set precision=float32 \
    --set-spec "evaluation.samples=$drawn" --set-spec "evaluation.references=$((drawn * 2))" "${more[@]}" >"$work/out" 2>"$work/log" \
      || { tail -20 "$work/log" >&2; exit 1; }
  mkdir -p "$work/$name"
  rm -rf "$work/$name/report-data"
  mv "$work/all/report.html" "$work/all/report.json" "$work/all/report-data" "$work/$name/"
  sed "s#^report: .*#report: $work/$name/report.html#" "$work/out" >"$work/$name.txt"
  echo
  echo "== $name =="
  cat "$work/$name.txt"
done
