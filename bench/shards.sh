#!/usr/bin/env bash
# Compares the memory of a process, and the time of a step, with nothing, states, gradients and weights divided among processes.
#
#   bench/shards.sh [PROCESSES] [STEPS]        default: 2, 6
#
# The denoiser is a new DiT of about 100 million weights with AdamW and one average. Prints the resident memory of rank 0 after the last
# step, what it is less than that of undivided training, and what the sizes predict: of N processes a share of 1/N remains. Environment:
# RETOUCH, the launcher; OMP_NUM_THREADS (default: 1 per process).
set -euo pipefail
export LC_ALL=C OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
processes=${1:-2} steps=${2:-6}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
work=$(mktemp -d "${TMPDIR:-/tmp}/retouch-shards.XXXXXX")
trap 'rm -rf "$work"' EXIT
. "$root/bench/heavy-run.sh"
heavy_denoiser "$steps" '"batch": { "size": 1, "accumulate": '"$processes"' }, "log": { "tensorBoard": false, "every": 1 },
  "checkpoints": { "every": 0, "keep": 1 }'
for shard in none states gradients weights; do
  rm -rf "$work/$shard"
  "$retouch" train --options "$work/run.json" --set "distributed.shard=$shard" --nproc "$processes" --output "$work/$shard" \
    >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
  [ $shard = none ] || rm -rf "$work/$shard"/model* "$work/$shard/checkpoints"
done
python3 - "$work" "$processes" <<'PYTHON'
import json
import statistics
import struct
import sys

work, processes = sys.argv[1], int(sys.argv[2])
with open(f"{work}/none/model/transformer/diffusion_pytorch_model.safetensors", "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
sizes = {name: (t["data_offsets"][1] - t["data_offsets"][0]) for name, t in header.items() if name != "__metadata__"}
weights = sum(sizes.values())
blocks = sum(size for name, size in sizes.items() if name.startswith("transformer_blocks.") and ".norm1.emb." not in name)
saved = {"none": 0, "states": 3 * weights, "gradients": 4 * weights, "weights": 4 * weights + blocks}
mib = 2**20
print(f"{weights / 4e6:.1f} million weights, {blocks / weights:.0%} of them in blocks; {processes} processes")
whole = None
for shard in saved:
    records = [json.loads(line) for line in open(f"{work}/{shard}/metrics.jsonl")]
    resident = records[-1]["memory/resident"] / mib
    whole = whole or resident
    predicted = saved[shard] * (1 - 1 / processes) / mib
    seconds = statistics.median(r["time/step"] for r in records[1:])
    print(f"{shard:10} {resident:7.0f} MiB resident, {whole - resident:6.0f} less (predicted {predicted:6.0f}), {seconds:.2f} s a step")
PYTHON
