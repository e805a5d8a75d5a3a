#!/usr/bin/env bash
# Peak memory of `retouch convert` for a single-file checkpoint of SDXL's size: random float16 weights (6.9 GB, and as much for the output;
# deleted afterwards).
#
#   bench/convert-memory.sh [MIB] prints "ok" if the conversions, as stored and to bfloat16, need at most MIB MiB (default: 1024), else
#   "not ok" with exit code 1
#
# $RETOUCH is the launcher, by default ./retouch of this checkout. Requires python3 and GNU time.
set -euo pipefail
most=${1:-1024}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
work=$(mktemp -d "${TMPDIR:-/tmp}/retouch-convert.XXXXXX")
trap 'rm -rf "$work"' EXIT
python3 "$root/bench/sdxl-single-file.py" "$work/sdxl.safetensors"
ls -l "$work/sdxl.safetensors" | awk '{ printf "a file of %.2f GB\n", $5 / 1e9 }'
"$retouch" --version >/dev/null
good=ok
for type in "" bfloat16; do
  /usr/bin/time -f '%M %e' -o "$work/time" "$retouch" convert "$work/sdxl.safetensors" --output "$work/model" ${type:+--dtype "$type"} \
    2>"$work/log" || { cat "$work/log" >&2; exit 1; }
  read -r peak seconds <"$work/time"
  awk -v type="${type:-as stored}" -v peak="$peak" -v seconds="$seconds" \
    'BEGIN { printf "%s: at most %.0f MiB resident, %.0f s\n", type, peak / 1024, seconds }'
  [ "$((peak / 1024))" -le "$most" ] || good="not ok"
  du -sb "$work/model" | awk '{ printf "  a folder of %.2f GB\n", $1 / 1e9 }'
  rm -rf "$work/model"
done
echo "$good - no more than $most MiB"
[ "$good" = ok ]
