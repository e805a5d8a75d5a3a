#!/usr/bin/env bash
# Compares a training step of one process with the same step of several, each with one thread, in alternating rounds: the demo's model and
# losses, on procedural scenes.
#
#   bench/scaling.sh [PROCESSES] [STEPS] [ROUNDS] [SAMPLES]      default: 2 processes, 8 steps, 3 rounds, 4 samples
#
# $RETOUCH is the launcher, by default ./retouch of this checkout. A step has PROCESSES micro-batches of SAMPLES. Prints each round's
# median seconds per step of one process and of all, and their ratio (ideally PROCESSES); the processor time per step of both, all processes
# together (ideally equal), from runs of different lengths, so that the start is excluded; rank 0's waiting and communication per step; then
# the median ratio. Other programs on the machine lower the ratio, but hardly change processor time: the load average is printed.
set -euo pipefail
# Methods are compiled once, before the first step ends.
export LC_ALL=C OMP_NUM_THREADS=1 DOTNET_TieredCompilation=0
processes=${1:-2} steps=${2:-8} rounds=${3:-3} samples=${4:-4}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
work=$(mktemp -d "${TMPDIR:-/tmp}/retouch-scaling.XXXXXX")
trap 'rm -rf "$work"' EXIT
[ "$steps" -ge 4 ] || { echo "scaling: at least 4 steps" >&2; exit 2; }

cat >"$work/options.json" <<JSON
{ "task": "denoiser", "seed": 1, "model": { "path": "$root/demo/model" },
  "objective": { "perceptual": { "weight": { "gradientRatio": 1, "warmUp": 100 } } },
  "data": { "sceneCount": 64, "size": 64, "workers": 1 }, "batch": { "size": $samples, "accumulate": $processes },
  "averages": [], "samples": { "every": 0 }, "checkpoints": { "every": 0 }, "log": { "tensorBoard": false } }
JSON

# values RUN NAME: the figure of every step after the first two, which allocate memory.
values() { sed -nE "s|.*\"$2\":([-0-9.eE+]+).*|\1|p" "$work/$1/metrics.jsonl" | tail -n +3; }
median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# train RUN STEPS ARGUMENTS…: prints the processor time of all processes.
train() {
  local TIMEFORMAT='%U %S'
  { time "$retouch" train --options "$work/options.json" --steps "$2" --output "$work/$1" "${@:3}" >/dev/null 2>"$work/err"; } \
    2>"$work/cpu" || { cat "$work/err" >&2; exit 1; }
  awk '{ print $1 + $2 }' "$work/cpu"
}

# measured RUN ARGUMENTS…: prints processor time per step.
measured() {
  local short long
  short=$(train "$1-short" 2 "${@:2}")
  long=$(train "$1" "$steps" "${@:2}")
  awk -v a="$short" -v b="$long" -v n="$((steps - 2))" 'BEGIN { printf "%.3g", (b - a) / n }'
}

for ((round = 1; round <= rounds; round++)); do
  cpu_one=$(measured "one$round")
  cpu_all=$(measured "all$round" --nproc "$processes")
  one=$(values "one$round" time/step | median)
  all=$(values "all$round" time/step | median)
  awk -v o="$one" -v a="$all" 'BEGIN { print o / a }' >>"$work/ratios"
  echo "round $round: 1 process $one s, $processes processes $all s per step, ratio $(tail -n 1 "$work/ratios");" \
    "processor $cpu_one s and $cpu_all s; waiting $(values "all$round" time/peers | median) s," \
    "communication $(values "all$round" time/communication | median) s; load $(cut -d ' ' -f 1-3 /proc/loadavg)"
done
echo "median ratio of $rounds rounds: $(median <"$work/ratios") of $processes"
