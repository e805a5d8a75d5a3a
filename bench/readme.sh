#!/usr/bin/env bash
# The README's recipe for post-training on a model and pictures of one's own, with all defaults: does it end with a better model?
#
#   bench/readme.sh MODEL PICTURES REFERENCE SIZE
#
# REFERENCE holds pictures that nothing is trained on. From the environment: STEPS (default: 2000, the README's), SAMPLES from each model
# (default: 1000), SQUEEZENET, weights of SqueezeNet 1.0 (without it the Fréchet wavelet distance decides), OUT (default: artifacts/readme),
# RETOUCH, the launcher. Prints the table of 'compare': a model that is better than its start, or as good, on the deciding figure.
set -euo pipefail
[ $# -eq 4 ] || { sed -n 2,9p "$0"; exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch} out=${OUT:-$root/artifacts/readme}
metrics=(--metrics fwd,spectrum,sharpness)
[ -z "${SQUEEZENET:-}" ] || metrics=(--squeezenet "$SQUEEZENET" --metrics fd,prdc,fwd,spectrum,sharpness)
[ -d "$out/run/model" ] ||
  "$retouch" train --model "$1" --data "$2" --size "$4" --objective lpl --steps "${STEPS:-2000}" --output "$out/run"
average=$(find "$out/run" -maxdepth 1 -name 'model-average-*' | head -1)
"$retouch" compare "$1" "$average" --reference "$3" --size "$4" --samples "${SAMPLES:-1000}" "${metrics[@]}" --output "$out/compare"
