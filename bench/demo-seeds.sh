#!/usr/bin/env bash
# Runs the demo's recipe with several training seeds: trains, samples, evaluates, and writes demo/recorded.json for the demo's report.
#
#   bench/demo-seeds.sh [FOLDER]
#
# FOLDER is the output folder (default: artifacts/demo-seeds). Completed work is reused, and the same command in a second shell shares the
# work. Environment: SEEDS (default: "1 2 3"); SAMPLES per model (default: 256); RETOUCH, the launcher.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${1:-$root/artifacts/demo-seeds} seeds=${SEEDS:-1 2 3} samples=${SAMPLES:-256}
mkdir -p "$work"
# shellcheck disable=SC2086
"${RETOUCH:-$root/retouch}" ablate "$root/ablations/demo.json" --model "$root/demo/model" --output "$work/arms" --seeds $seeds --json \
  --set "data.cache=$work/cache" --set-spec "evaluation.samples=$samples" \
  >"$work/outcome.json"
steps=$(sed -n 's/^ *"steps": \([0-9]*\),.*/\1/p' "$root/demo/post-training.json")
"$root/bench/record-outcome.sh" "$work/outcome.json" "the demo's recipe" "$(wc -w <<<"$seeds")" "$samples" "$steps" fd.retouch-features \
  >"$work/recorded.json"
cp "$work/recorded.json" "$root/demo/recorded.json"
