#!/usr/bin/env bash
# Compares a training step of one process with the same step of several, each with one thread, in alternating rounds: the demo's model and
# losses, on procedural scenes.
#
#   bench/scaling.sh [PROCESSES] [STEPS] [ROUNDS]      default: 2 processes, 8 steps, 3 rounds
#
# $RETOUCH is the launcher, by default ./retouch of this checkout. A step has PROCESSES micro-batches of 8 samples. Prints for each round the
# median seconds per step of one process and of all, their ratio (ideally PROCESSES), and rank 0's waiting and communication per step; then
# the median ratio. Other programs on the machine lower the ratio: the load average is printed.
set -euo pipefail
export LC_ALL=C OMP_NUM_THREADS=1
processes=${1:-2} steps=${2:-8} rounds=${3:-3}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
work=$(mktemp -d "${TMPDIR:-/tmp}/retouch-scaling.XXXXXX")
trap 'rm -rf "$work"' EXIT
[ "$steps" -ge 3 ] || { echo "scaling: at least 3 steps" >&2; exit 2; }

cat >"$work/options.json" <<JSON
{ "task": "denoiser", "seed": 1, "steps": $steps, "model": { "path": "$root/demo/model" },
  "objective": { "perceptual": { "weight": { "gradientRatio": 1, "warmUp": 100 } } },
  "data": { "sceneCount": 256, "size": 64, "workers": 1 }, "batch": { "size": 8, "accumulate": $processes },
  "averages": [], "samples": { "every": 0 }, "checkpoints": { "every": 0 }, "log": { "tensorBoard": false } }
JSON

# values FILE NAME: the figure of every step after the first two, which allocate memory.
values() { sed -nE "s/.*\"$2\":([-0-9.eE+]+).*/\1/p" "$1" | tail -n +3; }
median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
train() {
  "$retouch" train --options "$work/options.json" --output "$work/$1" "${@:2}" >/dev/null 2>"$work/err" || { cat "$work/err" >&2; exit 1; }
}

for ((round = 1; round <= rounds; round++)); do
  train "one$round"
  train "all$round" --nproc "$processes"
  one=$(values "$work/one$round/metrics.jsonl" time/step | median)
  all=$(values "$work/all$round/metrics.jsonl" time/step | median)
  peers=$(values "$work/all$round/metrics.jsonl" time/peers | median)
  sums=$(values "$work/all$round/metrics.jsonl" time/communication | median)
  awk -v o="$one" -v a="$all" 'BEGIN { print o / a }' >>"$work/ratios"
  echo "round $round: 1 process $one s, $processes processes $all s per step, ratio $(tail -n 1 "$work/ratios");" \
    "waiting $peers s, communication $sums s; load $(cut -d ' ' -f 1-3 /proc/loadavg)"
done
echo "median ratio of $rounds rounds: $(median <"$work/ratios") of $processes"
