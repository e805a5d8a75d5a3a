#!/usr/bin/env bash
# Checks that memory does not grow: trains tiny networks through the decoder and prints the resident memory every 200 steps.
#
#   bench/memory-flat.sh [STEPS]        default: 2000
#
# $RETOUCH is the launcher, by default ./retouch of this checkout. "ok" if the mean of the last fifth is within 3 % of that of the second
# fifth (the first fifth fills caches), else "not ok" with exit code 1.
set -euo pipefail
steps=${1:-2000}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
work=$(mktemp -d "${TMPDIR:-/tmp}/retouch-memory.XXXXXX")
trap 'rm -rf "$work"' EXIT
. "$root/bench/tiny-run.sh"
tiny_autoencoder
tiny_denoiser "$steps" '"objective": { "perceptual": { "weight": { "share": 0.2, "warmUp": 20 } }, "pixel": {}, "decodeBatch": 2 },
  "batch": { "size": 4 }, "samples": { "every": 500, "count": 2, "steps": 4 }, "checkpoints": { "every": 100, "keep": 2 }'
"$retouch" train --options "$work/denoiser.json" --output "$work/run" >/dev/null 2>"$work/err" || { cat "$work/err"; exit 1; }
sed -E 's/.*"step":([0-9]+).*"memory\/resident":([0-9]+).*/\1 \2/' "$work/run/metrics.jsonl" | awk -v steps="$steps" '
  { if ($1 % (steps / 10) == 0) printf "step %5d  %7.1f MiB\n", $1, $2 / 1048576
    part = int(($1 - 1) * 5 / steps); sum[part] += $2; count[part]++ }
  END {
    early = sum[1] / count[1]; late = sum[4] / count[4]; change = 100 * (late - early) / early
    printf "%s - mean resident memory of the last fifth against the second: %+.2f %%\n", change < 3 ? "ok" : "not ok", change
    exit change < 3 ? 0 : 1
  }'
