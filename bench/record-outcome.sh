#!/usr/bin/env bash
# Creates the recorded result of an ablation for the demo's report, from the output of 'retouch ablate --json' and the machine's name.
#
#   bench/record-outcome.sh OUTCOME TITLE SEEDS SAMPLES STEPS FIGURE
set -euo pipefail
export LC_ALL=C
[ $# -eq 6 ] || { sed -n 2,4p "$0"; exit 2; }
machine="$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), OMP_NUM_THREADS=${OMP_NUM_THREADS:-default}, $(date -u +%Y-%m-%d)"
printf '{\n  "title": "%s",\n  "machine": "%s",\n  "seeds": %d,\n  "samples": %d,\n  "steps": %d,\n  "figure": "%s",\n' \
  "$2" "$machine" "$3" "$4" "$5" "$6"
# The member "figures" of the outcome, unchanged.
printf '  "figures": '
sed -n '/^  "figures": {/,/^  }/p' "$1" | sed '1s/.*/{/; $s/,$//'
printf '}\n'
