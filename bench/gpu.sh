#!/usr/bin/env bash
# Everything that needs a GPU, in one run: doctor, the tests with the trait needs=cuda, then the cost of training steps at the sizes of
# published models with random weights, as the table of docs/results/gpu.md.
#
#   bench/gpu.sh [--dry] [--device cuda:0] [--seconds 520] [--peer "python3 peer_step.py"]
#
# --dry runs every command at toy sizes on the CPU, to check the script on a machine without a GPU. --seconds limits the run: rows that
# would begin later are left out and named. --peer is the command of a PyTorch program as in bench/step-vs-pytorch.sh that also takes
# --device, --dtype and --compile; it is timed beside the same DiT, eager and compiled. Standard output is Markdown; logs are in
# artifacts/gpu. Exit code 1 if a command failed; the others run nevertheless.
set -uo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
device=cuda:0 seconds=520 dry= peer=
while [ $# -gt 0 ]; do
  case $1 in
    --dry) dry=1 device=cpu; shift; continue ;;
    --device | --seconds | --peer) [ $# -ge 2 ] || { echo "gpu: $1 takes a value" >&2; exit 2; } ;;
    *) sed -n 2,12p "${BASH_SOURCE[0]}"; exit 2 ;;
  esac
  case $1 in
    --device) device=$2 ;;
    --seconds) seconds=$2 ;;
    --peer) peer=$2 ;;
  esac
  shift 2
done
retouch=${RETOUCH:-$root/retouch} networks=$root/bench/networks logs=$root/artifacts/gpu
mkdir -p "$logs"
failed=0 late=
fail() { echo "gpu: $*" >&2; failed=1; }

echo '## Machine'
echo
echo '```'
"$retouch" doctor --device "$device" 2>"$logs/doctor.err" || fail "doctor"
echo '```'
echo
echo '## Tests'
echo
export RETOUCH_NATIVE=${RETOUCH_NATIVE:-$(readlink -f "$root/artifacts/native/current")}
for suite in Retouch.Torch.Tests Retouch.Tests; do
  (cd "$root" && dotnet build "tests/$suite" -c Release -v quiet -nologo -p:RunAnalyzers=false) >"$logs/$suite.build.log" 2>&1 \
    || fail "building $suite, see $logs/$suite.build.log"
  # In a dry run one of these tests on the CPU, since those that need a GPU are skipped.
  filter=needs=cuda
  [ -z "$dry" ] || filter='needs=cuda|FullyQualifiedName~DeviceTests'
  (cd "$root" && dotnet test "tests/$suite" -c Release -nologo --no-build --filter "$filter") >"$logs/$suite.log" 2>&1 \
    || fail "$suite, see $logs/$suite.log"
  printf -- '* %s: %s\n' "$suite" "$(sed -nE 's/^ *(Passed|Failed|Skipped)! +- (Failed: .*), Total.*/\2/p' "$logs/$suite.log" | tail -n 1 \
    | grep . || echo "no such test")"
done

# row NAME SIDE BATCH OBJECTIVE ARGUMENTS …: one row of the table.
row() {
  local name=$1 side=$2 batch=$3 objective=$4 log=$logs/$1-$2-$4.json steps=8 warmup=3
  shift 4
  [ -z "$dry" ] || { side=64 batch=2 steps=1 warmup=0; }
  [ "$SECONDS" -lt "$seconds" ] || { late="$late $name/$side/$objective"; return; }
  if "$retouch" bench step --device "$device" --precision bfloat16 --side "$side" --batch-size "$batch" --objective "$objective" \
    --steps "$steps" --warmup "$warmup" --json "$@" >"$log" 2>"$log.err"; then
    of() { sed -nE "s/.*\"$1\": *([0-9.eE+-]+).*/\1/p" "$log" | head -n 1; }
    awk -v name="$name" -v side="$side" -v batch="$batch" -v objective="$objective" -v parameters="$(of denoiserParameters)" \
      -v median="$(of medianSeconds)" -v least="$(of minSeconds)" -v most="$(of maxSeconds)" -v peak="$(of peakDeviceBytes)" \
      -v resident="$(of peakResidentBytes)" 'BEGIN {
        memory = peak == "" ? resident : peak
        if (objective == "latent") { print median > "'"$logs/base"'"; base = median } else { getline base < "'"$logs/base"'" }
        printf "| %s | %d | %d | %s | %.1f M | %.4f (%.4f to %.4f) | %.2f | %.2f |\n",
          name, side, batch, objective, parameters / 1e6, median, least, most, median / base, memory / 2^30
      }'
  else
    fail "$name at $side pixels, $objective: $(tail -n 1 "$log.err")"
    printf '| %s | %d | %d | %s | | failed | | |\n' "$name" "$side" "$batch" "$objective"
  fi
}

# model NAME NETWORK AUTOENCODER PREDICTION TOKENS SIDES-AND-BATCHES [ARGUMENTS …]
model() {
  local name=$1 denoiser=$networks/$2.json autoencoder=$networks/$3.json prediction=$4 tokens=$5 sizes=$6
  shift 6
  [ -e "$denoiser" ] || denoiser=$root/docs/networks/$(basename "$denoiser")
  if [ -n "$dry" ]; then
    denoiser=${denoiser%.json} autoencoder=${autoencoder%.json}
    case $denoiser in
      *unet*) denoiser=$networks/unet-sdxl-small.json ;;
      *sd3*) denoiser=$networks/sd3-small.json ;;
      *) denoiser=$root/docs/networks/mmdit-small.json ;;
    esac
    autoencoder=$autoencoder-small.json
    sizes=${sizes%% *}
  fi
  for size in $sizes; do
    for objective in latent lpl pixel; do
      local decoding=()
      [ "$objective" = latent ] || decoding=(--decode-batch 1)
      row "$name" "${size%x*}" "${size#*x}" "$objective" --denoiser "$denoiser" --autoencoder "$autoencoder" --prediction "$prediction" \
        --tokens "$tokens" "${decoding[@]}" "$@"
    done
  done
}

echo
echo '## Training steps'
echo
if [ -n "$dry" ]; then
  echo '**Dry run: every network has a toy size and runs on the CPU. The figures have no meaning.**'
else
  echo "bfloat16, median of 8 steps after 3; the factor is that to the diffusion loss alone; memory is the peak on the device."
fi
echo
echo '| model | side | batch | objective | trained | seconds per step | factor | GiB |'
echo '|---|---|---|---|---|---|---|---|'
model "SD 1.5" unet-sd15 autoencoder-4 epsilon 77 "512x4 256x16"
model "SDXL, LoRA" unet-sdxl autoencoder-4 epsilon 77 "1024x1 512x4" --lora-rank 16 --checkpoint-activations
model "MM-DiT 796 M" mmdit-796m autoencoder-4 flow 1 "256x16 512x4"
model "SD 3, LoRA" sd3-medium autoencoder-16 flow 154 "1024x1 512x4" --lora-rank 16 --checkpoint-activations
# The first model without the compiled kernels, which separate operators replace.
RETOUCH_KERNELS=0 model "SD 1.5, no kernels" unet-sd15 autoencoder-4 epsilon 77 "512x4"
model "SDXL" unet-sdxl autoencoder-4 epsilon 77 "512x2" --checkpoint-activations
if [ -n "$peer" ]; then
  echo
  echo '## Beside PyTorch'
  echo
  echo 'The same DiT and autoencoder in both, bfloat16, seconds per step:'
  echo
  echo '| objective | Retouch | PyTorch, eager | PyTorch, compiled |'
  echo '|---|---|---|---|'
  shape=(--hidden 1152 --heads 16 --blocks 28 --latent 32 --classes 1000 --ae-channels 128,256,512,512)
  [ -z "$dry" ] || shape=(--hidden 32 --heads 2 --blocks 1 --latent 4 --classes 4 --ae-channels 32,32,32,32)
  steps=(--steps 8 --warmup 3)
  [ -z "$dry" ] || steps=(--steps 1 --warmup 1)
  median() { sed -nE 's/.*"(medianSeconds|median_s)": *([0-9.eE+-]+).*/\2/p' "$1" | head -n 1 | grep . || echo failed; }
  for objective in latent lpl pixel; do
    [ "$SECONDS" -lt "$seconds" ] || { late="$late PyTorch/$objective"; continue; }
    plain=$objective
    [ "$objective" != lpl ] || plain=lpl-naive
    "$retouch" bench step --device "$device" --precision bfloat16 --objective "$objective" "${shape[@]}" "${steps[@]}" --json \
      >"$logs/ours-$objective.json" 2>"$logs/ours-$objective.err" || fail "the DiT, $objective"
    # shellcheck disable=SC2086
    $peer --device "${device%:0}" --dtype bfloat16 --objective "$plain" "${shape[@]}" "${steps[@]}" >"$logs/eager-$objective.json" \
      2>"$logs/eager-$objective.err" || fail "the peer, $objective"
    # shellcheck disable=SC2086
    $peer --device "${device%:0}" --dtype bfloat16 --objective "$plain" "${shape[@]}" "${steps[@]}" --compile \
      >"$logs/compiled-$objective.json" 2>"$logs/compiled-$objective.err" || fail "the compiled peer, $objective"
    printf '| %s | %s | %s | %s |\n' "$objective" "$(median "$logs/ours-$objective.json")" "$(median "$logs/eager-$objective.json")" \
      "$(median "$logs/compiled-$objective.json")"
  done
fi
[ -z "$late" ] || printf '\nNot run within %d s:%s\n' "$seconds" "$late"
exit "$failed"
