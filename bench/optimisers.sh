#!/usr/bin/env bash
# Trains a small denoiser from the same initial weights with each optimiser, and prints a table in Markdown: held-out loss, bytes of the
# state, and seconds per step.
#
#   bench/optimisers.sh [--steps N] [--batch N] [--only "NAME …"] [FOLDER]
#
# The model is the demo's DiT on the demo's autoencoder (demo/denoiser.json), on 1000 scenes, with the diffusion loss alone, a constant
# learning rate after a warm-up of a tenth of the steps, and no weight average. The loss is that of 64 held-out scenes at four timesteps
# each, after the last step; seconds are the median of all steps. Completed runs in FOLDER (default: artifacts/optimisers) are reused.
# Environment: RETOUCH, the launcher; OMP_NUM_THREADS, the threads.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch} steps=500 batch=8 work=$root/artifacts/optimisers
only="adamw adamw8bit adafactor prodigy schedule-free muon adamw-bfloat16 adamw8bit-bfloat16 adafactor-bfloat16"
fail() { echo "optimisers: $*" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --steps) steps=${2:?} && shift 2 ;;
    --batch) batch=${2:?} && shift 2 ;;
    --only) only=${2:?} && shift 2 ;;
    --*) fail "unknown option $1" ;;
    *) work=$1 && shift ;;
  esac
done
mkdir -p "$work"
# data.cache and the autoencoder's path are relative to the checkout.
cd "$root"

# options NAME: what differs between the runs. Prodigy's rate is a factor of its estimate.
options() {
  local kind=${1%-bfloat16}
  echo "--set optimiser.kind=$kind"
  case $1 in *-bfloat16) echo "--set optimiser.weights=bfloat16 --set precision=bfloat16" ;; esac
  case $kind in
    prodigy) echo "--set optimiser.prodigy.biasCorrection=true --set optimiser.prodigy.safeguardWarmup=true --learning-rate 1" ;;
    *) echo "--learning-rate 6e-4" ;;
  esac
  # The options file has settings of AdamW.
  case $kind in adafactor) echo "--set optimiser.adamW={}" ;; esac
}

# last KEY FILE: the last value of a member of metrics.jsonl.
last() { sed -nE "s|.*\"$1\":([-0-9.eE+]+).*|\1|p" "$2" | tail -n 1; }

# bytes FILE: of all tensors of a safetensors file.
bytes() {
  local header
  header=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
  echo $(($(stat -c %s "$1") - 8 - header))
}

echo "| optimiser | held-out loss | state | bytes per weight | seconds per step |"
echo "|---|---|---|---|---|"
for name in $only; do
  run=$work/$name
  if [ ! -d "$run/model" ]; then
    rm -rf "$run"
    # shellcheck disable=SC2046
    "$retouch" train --options demo/denoiser.json --steps "$steps" --batch-size "$batch" $(options "$name") \
      --set optimiser.schedule.shape=constant --set optimiser.schedule.warmupSteps=$((steps / 10)) --set "averages=[]" \
      --set data.sceneCount=1000 --set "data.cache=$work/cache" --set validation.count=64 --set "validation.every=$steps" \
      --set samples.every=0 --set log.every=1 \
      --output "$run" >/dev/null 2>"$work/$name.err" || { cat "$work/$name.err"; exit 1; }
  fi
  checkpoint=$(printf '%s/checkpoints/step-%08d' "$run" "$steps")
  state=$(bytes "$checkpoint/optimiser.safetensors")
  weights=$(sed -nE 's/^.*; ([0-9,]+) parameters are trained.*$/\1/p' "$run/log.txt" | tr -d , | head -n 1)
  loss=$(last "validation/weights/latent" "$run/metrics.jsonl")
  seconds=$(sed -nE 's|.*"time/step":([-0-9.eE+]+).*|\1|p' "$run/metrics.jsonl" | sort -g |
    awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }')
  awk -v name="$name" -v loss="$loss" -v state="$state" -v weights="$weights" -v seconds="$seconds" 'BEGIN {
    printf "| %s | %.4f | %.1f MiB | %.2f | %.3f |\n", name, loss, state / 1048576, state / weights, seconds }'
done
