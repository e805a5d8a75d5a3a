#!/usr/bin/env bash
# Kills a training at random moments (SIGKILL) and resumes it until it ends; then compares every weight file with those of an
# uninterrupted run, byte for byte.
#
#   bench/kill-resume.sh [KILLS] [SEED]        default: 25 kills, seed 1
#
# $RETOUCH is the launcher, by default ./retouch of this checkout. Prints one line per kill, and "ok" or "not ok" at the end.
set -euo pipefail
kills=${1:-25}
RANDOM=${2:-1}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
work=$(mktemp -d "${TMPDIR:-/tmp}/retouch-kill.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Small, but with all features of a real run: both phases, two averages, an automatic weight, accumulation, prefetching, random crops of
# an odd-sized epoch, checkpoints within an epoch.
. "$root/bench/tiny-run.sh"
tiny_autoencoder
tiny_denoiser 60 '"objective": { "perceptual": { "weight": { "share": 0.2, "warmUp": 20 } }, "decodeBatch": 2 },
  "batch": { "size": 4, "accumulate": 2 }, "checkpoints": { "every": 7, "keep": 2 }'

began=$(date +%s%N)
"$retouch" train --options "$work/denoiser.json" --output "$work/whole" >/dev/null 2>"$work/err" || { cat "$work/err"; exit 1; }
span=$((($(date +%s%N) - began) / 1000000))

done_kills=0
rounds=0
while [ "$done_kills" -lt "$kills" ]; do
  rounds=$((rounds + 1))
  run=$work/run$rounds
  args=(--options "$work/denoiser.json" --output "$run")
  while :; do
    if [ "$done_kills" -lt "$kills" ]; then
      # Anywhere from the program's start to after its end.
      wait_ms=$((RANDOM % (span + span / 5)))
      setsid "$retouch" train "${args[@]}" >/dev/null 2>"$work/err" &
      pid=$!
      sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
      if kill -KILL -- "-$pid" 2>/dev/null; then
        wait "$pid" 2>/dev/null || true
        done_kills=$((done_kills + 1))
        echo "kill $done_kills after $wait_ms ms, checkpoints: $(ls "$run/checkpoints" 2>/dev/null | tr '\n' ' ')"
        # Without written options the folder is still empty, and there is no run to resume.
        [ ! -e "$run/options.json" ] || args=(--resume "$run")
        continue
      fi
      wait "$pid" || { cat "$work/err"; echo "not ok - the run failed"; exit 1; }
    else
      "$retouch" train "${args[@]}" >/dev/null 2>"$work/err" || { cat "$work/err"; echo "not ok - the resumed run failed"; exit 1; }
    fi
    break
  done
  for model in model model-average-0.9 model-average-0.99; do
    weights=$model/transformer/diffusion_pytorch_model.safetensors
    cmp "$work/whole/$weights" "$run/$weights" ||
      { echo "not ok - $model differs after kills"; exit 1; }
  done
  steps() { sed -E 's/.*"step":([0-9]+).*/\1/' "$1/metrics.jsonl" | tr '\n' ' '; }
  [ "$(steps "$work/whole")" = "$(steps "$run")" ] || { echo "not ok - metrics.jsonl has other steps"; exit 1; }
  rm -rf "$run"
done
echo "ok - $done_kills kills over $rounds runs of $span ms: same weights, byte for byte"
