#!/usr/bin/env bash
# Compares checkpoints that training waits for with checkpoints written beside it: the same run in pairs, in turn.
#
#   bench/checkpoints.sh [STEPS] [EVERY] [PAIRS]        default: 30, 10, 2
#
# The denoiser is a new DiT of about 100 million weights with AdamW and one average (a checkpoint is four times its weights). Environment:
# OUT, a folder on the disk to write to (default: a temporary folder); RETOUCH, the launcher. Prints the seconds of training (from the
# first to the last record of metrics.jsonl, the last checkpoint and the models excluded) and the peak memory.
set -euo pipefail
export LC_ALL=C
steps=${1:-30} every=${2:-10} pairs=${3:-2}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
work=$(mktemp -d "${OUT:-${TMPDIR:-/tmp}}/retouch-checkpoints.XXXXXX")
trap 'rm -rf "$work"' EXIT
. "$root/bench/heavy-run.sh"
heavy_denoiser "$steps" '"batch": { "size": 2 }, "log": { "tensorBoard": false }, "checkpoints": { "every": '"$every"', "keep": 1 }'
for ((pair = 1; pair <= pairs; pair++)); do
  for background in false true; do
    rm -rf "$work/run"
    "$retouch" train --options "$work/run.json" --set "checkpoints.background=$background" --output "$work/run" >"$work/out" 2>&1 ||
      { cat "$work/out"; exit 1; }
    size=$(du -sm "$work/run/checkpoints" | cut -f1)
    sed -E 's/.*"time":([0-9.]+).*"memory\/resident":([0-9]+).*/\1 \2/' "$work/run/metrics.jsonl" | awk -v pair="$pair" \
      -v what="$([ $background = true ] && echo beside || echo waited)" -v size="$size" '
      NR == 1 { first = $1 } { last = $1; if ($2 > most) most = $2 }
      END {
        printf "pair %d  %s  %.1f s, at most %.2f GiB resident, checkpoints of %d MiB\n", pair, what, last - first, most / 2 ^ 30, size
      }'
  done
done
