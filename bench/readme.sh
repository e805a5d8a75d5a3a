#!/usr/bin/env bash
# Runs the README's post-training recipe with default options on your own model and pictures, and compares the model before and after.
#
#   bench/readme.sh MODEL PICTURES REFERENCE SIZE
#
# REFERENCE contains held-out pictures. Environment: STEPS (default: 2000, the README's); SAMPLES per model (default: 1000); SQUEEZENET,
# weights of SqueezeNet 1.0 (without it the Fréchet wavelet distance is decisive); OUT (default: artifacts/readme); RETOUCH, the launcher.
# Prints the table of 'compare': the trained model should be better than its start, or equal, by the decisive figure.
set -euo pipefail
[ $# -eq 4 ] || { sed -n 2,9p "$0"; exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch} out=${OUT:-$root/artifacts/readme}
metrics=(--metrics fwd,spectrum,sharpness,saturation)
[ -z "${SQUEEZENET:-}" ] || metrics=(--squeezenet "$SQUEEZENET" --metrics fd,prdc,fwd,spectrum,sharpness,saturation)
[ -d "$out/run/model" ] ||
  "$retouch" train --model "$1" --data "$2" --size "$4" --objective lpl --steps "${STEPS:-2000}" --output "$out/run"
average=$(find "$out/run" -maxdepth 1 -name 'model-average-*' | head -1)
"$retouch" compare "$1" "$average" --reference "$3" --size "$4" --samples "${SAMPLES:-1000}" "${metrics[@]}" --output "$out/compare"
