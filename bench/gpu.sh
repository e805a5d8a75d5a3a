#!/usr/bin/env bash
# What to run on the day a card is there: doctor, the tests that need one, then the table of docs/results/gpu.md. Under nine minutes in all.
#
#   bench/gpu.sh [--dry] [--minutes N] [--device cuda:N] [--out FOLDER] [--peer FILE [--python PROGRAM]]
#
# --dry runs every command at toy size on the processor, to see that all of them work. After --minutes (default 9) nothing new is begun; what
# was measured by then is printed. FILE is a Python script that takes --objective, --steps, --warmup, --device and --compile and prints one
# line of JSON with median_s and peak_mib: the same step in PyTorch, eager and compiled, on the same torch. Everything that is printed also
# stands in FOLDER (default: artifacts/gpu): doctor.txt, tests.txt, steps.jsonl, table.md.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dry= minutes=9 device=cuda:0 out=$root/artifacts/gpu peer= python=python3
fail() { echo "gpu: $*" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --dry) dry=1 device=cpu; shift; continue ;;
    --minutes | --device | --out | --peer | --python) [ $# -ge 2 ] || fail "$1 takes a value" ;;
    *) sed -n 2,10p "${BASH_SOURCE[0]}"; exit 2 ;;
  esac
  case $1 in
    --minutes) minutes=$2 ;;
    --device) device=$2 ;;
    --out) out=$2 ;;
    --peer) peer=$2 ;;
    --python) python=$2 ;;
  esac
  shift 2
done
mkdir -p "$out"
rm -f "$out/steps.jsonl" "$out/table.md"
retouch=${RETOUCH:-$root/retouch}
has_time() { [ $SECONDS -lt $((minutes * 60)) ]; }

"$retouch" doctor | tee "$out/doctor.txt"

# The tests that need a card; without one each of them says "skipped: no CUDA".
for project in Retouch.Torch.Tests Retouch.Tests; do
  (cd "$root" && dotnet test "tests/$project" -c Release --filter "needs=cuda" --nologo -v quiet --logger "console;verbosity=normal") 2>&1 \
    | grep -E "Passed|Failed|Skipped|error|skipped:" | tee -a "$out/tests.txt" || true
done

# step NAME OBJECTIVE PIXELS OPTION…: one row.
step() {
  local name=$1 objective=$2 pixels=$3 line
  shift 3
  has_time || { echo "no time left for $name, $objective, $pixels px" >&2; return 0; }
  local sizes=("$@" --latent $((pixels / 8)))
  local common=(--objective "$objective" --device "$device" --steps 10 --warmup 3 --precision bfloat16)
  if [ -n "$dry" ]; then
    sizes=(--hidden 32 --heads 2 --blocks 1 --latent 4 --ae-channels 8,8,8,8 --ae-layers 1 --ae-groups 4 --batch 1)
    common=(--objective "$objective" --device cpu --steps 1 --warmup 0 --precision bfloat16)
  fi
  if ! "$retouch" bench step "${common[@]}" "${sizes[@]}" --json >"$out/step.json" 2>"$out/step.err"; then
    echo "| $name | $pixels | $objective | $(sed -n 's/^error: //p' "$out/step.err" | cut -c1-80) | | |" | tee -a "$out/table.md"
    return 0
  fi
  tr -d '\n' <"$out/step.json" >>"$out/steps.jsonl"
  echo >>"$out/steps.jsonl"
  line=$(awk -v n="$name" -v p="$pixels" -v o="$objective" '
    function number(key,  m) { return match($0, "\"" key "\": *[-0-9.eE+]+") ? (m = substr($0, RSTART, RLENGTH), sub(/.*: */, "", m), m) : "" }
    { text = text $0 } END { $0 = text
      memory = number("peakDeviceBytes"); if (memory == "") memory = number("peakResidentBytes")
      printf "| %s | %s | %s | %.4f | %.2f | %.1f |", n, p, o, number("medianSeconds"), memory / 1073741824, number("teraflopsPerSecond") }' "$out/step.json")
  echo "$line" | tee -a "$out/table.md"
}

{
  echo '| Denoiser | Pixels | Objective | s a step | Peak memory, GiB | TFLOP/s |'
  echo '|---|---|---|---|---|---|'
} | tee "$out/table.md"
# SD 1.5's autoencoder: 128, 256, 512, 512 channels, 2 layers a level.
autoencoder=(--ae-channels 128,256,512,512 --ae-layers 2 --ae-groups 32 --latent-channels 4)
for pixels in 256 512 1024; do
  for objective in latent lpl pixel; do
    step "DiT-XL/2 (675 M)" $objective $pixels --hidden 1152 --heads 16 --blocks 28 --patch 2 --batch 8 --decode-batch 4 "${autoencoder[@]}"
  done
done
