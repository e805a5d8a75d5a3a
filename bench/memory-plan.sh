#!/usr/bin/env bash
# Compares the peak memory that 'train --memory' predicts before a run with that of the run.
#
#   bench/memory-plan.sh [MODEL PICTURES]
#
# For each set of options one process predicts, and another one measures four steps with the same options (--dry-run without --memory), so
# that no trial precedes them. All samples are decoded (gate none). Cases of the demo's model; MODEL, a pipeline, and PICTURES add others
# with it. Environment: RETOUCH, the launcher. Prints the table of docs/results/memory-plan.md; exit code 1 if a prediction is more than
# 10 % off.
set -euo pipefail
export LC_ALL=C OMP_NUM_THREADS=1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
[ $# -eq 0 ] || [ $# -eq 2 ] || { sed -n 2,11p "${BASH_SOURCE[0]}"; exit 2; }
off=0
number() { sed -n "s/^ *\"$1\": *\([0-9.eE+-]*\),*$/\1/p" | tail -1; }
# compare NAME OPTION...
compare() {
  local name=$1 plan run
  shift
  plan=$("$retouch" train --device cpu "$@" --dry-run --json --memory 1T)
  run=$("$retouch" train --device cpu "$@" --dry-run --json)
  local predicted measured fast slow
  predicted=$(sed -n '/"memory": {/,$p' <<<"$plan" | number peakBytes)
  measured=$(sed '/"memory": {/,$d' <<<"$run" | number peakBytes)
  slow=$(sed -n '/"memory": {/,$p' <<<"$plan" | number secondsPerStep)
  fast=$(sed '/"memory": {/,$d' <<<"$run" | number secondsPerStep)
  awk -v n="$name" -v p="$predicted" -v m="$measured" -v s="$slow" -v t="$fast" 'BEGIN {
    printf "| %s | %.0f MiB | %.0f MiB | %.2f | %.2f s | %.2f s |\n", n, p / 2^20, m / 2^20, p / m, s, t
    exit !(p / m >= 0.9 && p / m <= 1.1) }' || off=1
}
echo "| run | peak, predicted | measured | ratio | a step, predicted | measured |"
echo "|---|---|---|---|---|---|"
demo=(--model "$root/demo/model" --set data.sceneCount=192) open=(--set objective.perceptual.gate=none)
compare "demo, diffusion loss, 48 samples" "${demo[@]}" --objective latent --batch-size 48
compare "demo, perceptual loss, 4 samples" "${demo[@]}" --objective lpl "${open[@]}" --batch-size 4
compare "demo, perceptual loss, 24 samples" "${demo[@]}" --objective lpl "${open[@]}" --batch-size 24
compare "demo, perceptual loss, 2 × 8 samples, recomputed" "${demo[@]}" --objective lpl "${open[@]}" --batch-size 8 \
  --set batch.accumulate=2 --set objective.checkpointDecoder=true --set model.checkpointActivations=true
compare "demo, pixel loss, 16 samples" "${demo[@]}" --objective pixel --batch-size 16
compare "demo, LoRA, perceptual loss, 16 samples" "${demo[@]}" --objective lpl "${open[@]}" --batch-size 16 --lora-rank 8
compare "autoencoder, 12 samples" --model "$root/demo/model/vae" --task autoencoder --set data.sceneCount=192 --batch-size 12
if [ $# -eq 2 ]; then
  compare "$(basename "$1"), perceptual loss, 16 samples" --model "$1" --data "$2" --objective lpl "${open[@]}" --batch-size 16
fi
exit "$off"
