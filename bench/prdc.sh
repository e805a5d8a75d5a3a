#!/usr/bin/env bash
# Compares precision, recall, density and coverage of the same features with the computation of the prdc package (Debian's
# python3-sklearn), one after the other on the same cores. bench/prdc.sh [ROWS] [ROUNDS]; $RETOUCH is the launcher, by default ./retouch
# of this checkout.
set -euo pipefail
cd "$(dirname "$0")/.."
rows=${1:-10000} rounds=${2:-1}
python=/usr/bin/python3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export OMP_WAIT_POLICY=passive
"$python" bench/prdc.py make "$folder/features.safetensors" "$rows"
for ((round = 1; round <= rounds; round++)); do
    echo "retouch, round $round"
    "${RETOUCH:-./retouch}" bench distances --features "$folder/features.safetensors"
    echo "scikit-learn, round $round"
    "$python" bench/prdc.py run "$folder/features.safetensors"
done
