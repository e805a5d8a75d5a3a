#!/usr/bin/env bash
# The demo's recipe with several training seeds: trains, draws, measures, and writes demo/recorded.json, which the demo's report shows.
#
#   bench/demo-seeds.sh [FOLDER]
#
# FOLDER holds everything that is made (default: artifacts/demo-seeds); what is done is not done again, and the same command in a second
# shell shares the work. From the environment: SEEDS (default: "1 2 3 4 5"), SAMPLES from each model (default: 512), RETOUCH, the launcher.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${1:-$root/artifacts/demo-seeds} seeds=${SEEDS:-1 2 3 4 5} samples=${SAMPLES:-512}
mkdir -p "$work"
# shellcheck disable=SC2086
"${RETOUCH:-$root/retouch}" ablate "$root/ablations/demo.json" --model "$root/demo/model" --output "$work/arms" --seeds $seeds --json \
  --set "data.cache=$work/cache" --set-spec "evaluation.retouchFeatures=$root/demo/features" --set-spec "evaluation.samples=$samples" \
  >"$work/outcome.json"
machine="$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), OMP_NUM_THREADS=${OMP_NUM_THREADS:-default}, $(date -u +%Y-%m-%d)"
steps=$(sed -n 's/^ *"steps": \([0-9]*\),.*/\1/p' "$root/demo/post-training.json")
{
  printf '{\n  "machine": "%s",\n  "seeds": %d,\n  "samples": %d,\n  "steps": %d,\n' \
    "$machine" "$(wc -w <<<"$seeds")" "$samples" "$steps"
  printf '  "figure": "fd.retouch-features",\n  "figures": '
  # The members "rows" and "differences" of the outcome's figures, as they are.
  sed -n '/^  "figures": {/,/^  }/p' "$work/outcome.json" | sed '1s/.*/{/; $s/,$//'
  printf '}\n'
} >"$work/recorded.json"
cp "$work/recorded.json" "$root/demo/recorded.json"
