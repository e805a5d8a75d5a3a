#!/usr/bin/env bash
# Compares a training step of Retouch with the same step in PyTorch, in alternating rounds.
#
#   bench/step-vs-pytorch.sh --peer FILE [--rounds N] [--steps N] [--threads "1 2"] [--objectives "latent lpl"] [--python PROGRAM]
#
# FILE is a Python script with the options --objective (latent, lpl-naive or pixel), --steps, --warmup and --threads that prints one line
# of JSON with median_s and peak_rss_mib, at the default sizes of 'retouch bench step'. Each round runs both, Retouch first in odd rounds,
# on one fixed core if one thread is requested. The output is the ratios Retouch/peer of every round and their medians: wall-clock time
# (median of the steps), processor time (Retouch's from 'bench step'; the peer's from two runs of different length, so that its start is
# excluded), peak resident memory, and the memory that an objective adds to the latent step (for each side; requires 'latent' as the first
# objective).
set -euo pipefail
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
peer= rounds=3 steps=10 threads="1 2" objectives="latent lpl" python=python3
fail() { echo "step-vs-pytorch: $*" >&2; exit 2; }
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || fail "$1 takes a value"
  case $1 in
    --peer) peer=$2 ;;
    --rounds) rounds=$2 ;;
    --steps) steps=$2 ;;
    --threads) threads=$2 ;;
    --objectives) objectives=$2 ;;
    --python) python=$2 ;;
    *) fail "unknown option $1" ;;
  esac
  shift 2
done
[ -f "$peer" ] || fail "--peer names no file"
[ "$steps" -ge 2 ] || fail "--steps is at least 2"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
number() { sed -nE "s/.*\"$1\": *([-0-9.eE+]+).*/\1/p" "$2" | head -n 1; }
peer_name() { [ "$1" = lpl ] && echo lpl-naive || echo "$1"; }

# pinned N COMMAND…: on the last core if N is 1.
pinned() {
  local n=$1
  shift
  if [ "$n" = 1 ]; then OMP_NUM_THREADS=1 taskset -c $(($(nproc --all) - 1)) "$@"; else OMP_NUM_THREADS=$n "$@"; fi
}

# cpu_of COMMAND…: processor seconds of the command and its children.
cpu_of() {
  TIMEFORMAT='%U %S'
  { time "$@" >"$scratch/peer.json"; } 2>"$scratch/times"
  awk 'END { print $1 + $2 }' "$scratch/times"
}

# Each side prints wall seconds per step, processor seconds per step, peak MiB.
run_ours() {
  pinned "$2" "$root/retouch" bench step --objective "$1" --threads "$2" --steps "$steps" --json >"$scratch/ours.json"
  awk -v w="$(number medianSeconds "$scratch/ours.json")" -v c="$(number cpuSecondsPerStep "$scratch/ours.json")" \
    -v m="$(number peakResidentBytes "$scratch/ours.json")" 'BEGIN { print w, c, m / 1048576 }'
}

run_peer() {
  local short long
  short=$(cpu_of pinned "$2" "$python" "$peer" --objective "$(peer_name "$1")" --threads "$2" --warmup 1 --steps 1)
  long=$(cpu_of pinned "$2" "$python" "$peer" --objective "$(peer_name "$1")" --threads "$2" --warmup 1 --steps "$steps")
  awk -v w="$(number median_s "$scratch/peer.json")" -v s="$short" -v l="$long" -v n="$steps" \
    -v m="$(number peak_rss_mib "$scratch/peer.json")" 'BEGIN { print w, (l - s) / (n - 1), m }'
}

median() { sort -g | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

printf '%-8s %-8s %-7s %21s %21s %21s   %s\n' objective threads round \
  'wall s ours peer' 'cpu s ours peer' 'peak MiB ours peer' 'ratios wall cpu peak added'
for n in $threads; do
  for round in $(seq "$rounds"); do
    base_ours= base_peer=
    for objective in $objectives; do
      if [ $((round % 2)) = 1 ]; then
        ours=$(run_ours "$objective" "$n")
        theirs=$(run_peer "$objective" "$n")
      else
        theirs=$(run_peer "$objective" "$n")
        ours=$(run_ours "$objective" "$n")
      fi
      read -r ow oc om <<<"$ours"
      read -r pw pc pm <<<"$theirs"
      if [ "$objective" = latent ]; then base_ours=$om base_peer=$pm; fi
      ratios=$(awk -v ow="$ow" -v oc="$oc" -v om="$om" -v pw="$pw" -v pc="$pc" -v pm="$pm" \
        -v bo="${base_ours:-0}" -v bp="${base_peer:-0}" -v o="$objective" \
        'BEGIN {
          printf "%.3f %.3f %.3f %s", ow / pw, oc / pc, om / pm,
            (o != "latent" && bo > 0) ? sprintf("%.3f", (om - bo) / (pm - bp)) : "-"
        }')
      echo "$objective $n $ratios" >>"$scratch/ratios"
      printf '%-8s %-8s %-7s %10.3f %10.3f %10.3f %10.3f %10.0f %10.0f   %s\n' \
        "$objective" "$n" "$round" "$ow" "$pw" "$oc" "$pc" "$om" "$pm" "$ratios"
    done
  done
done

echo
echo "medians of the ratios ours/peer over $rounds round(s)"
for n in $threads; do
  for objective in $objectives; do
    line=
    for column in 3 4 5 6; do
      line="$line $(awk -v o="$objective" -v n="$n" -v c=$column '$1 == o && $2 == n && $c != "-" { print $c }' "$scratch/ratios" | median)"
    done
    read -r wall cpu peak added <<<"$line"
    echo "$objective, $n thread(s): wall $wall, processor $cpu, peak $peak${added:+, added $added}"
  done
done
