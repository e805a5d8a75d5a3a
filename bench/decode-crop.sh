#!/usr/bin/env bash
# Cost and gradients of decoded windows (objective.decodeCrop), as a table in Markdown.
#
#   bench/decode-crop.sh [--size N] [--crops "N …"] [--halos "N …"] [--count N] [--batch N] [--steps N] [--rounds N] [--data FOLDER]
#                        [--denoiser FILE] MODEL
#
# MODEL is a pipeline, or an autoencoder's folder, whose estimates of the clean latents are then linear in the noisy ones. Gradients:
# 'retouch study windows' on COUNT pictures (procedural scenes without --data). Seconds and peak memory: 'retouch bench step' with the
# latent perceptual loss, a denoiser with random weights (of the pipeline, or --denoiser, a config.json), BATCH samples and threads as
# OMP_NUM_THREADS says; medians over ROUNDS of rounds in which all sizes take turns, whole pictures first. Seconds are those of the
# processor, which other programs affect less. Memory is what is added during the steps. Environment: RETOUCH, the launcher.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
read -ra retouch <<<"${RETOUCH:-$root/retouch}"
size=64 crops= halos= count=8 batch=8 steps=5 rounds=3 denoiser= data=()
fail() { echo "decode-crop: $*" >&2; exit 2; }
while [ $# -gt 1 ]; do
  case $1 in
    --size) size=$2 ;;
    --crops) crops=$2 ;;
    --halos) halos=$2 ;;
    --count) count=$2 ;;
    --batch) batch=$2 ;;
    --steps) steps=$2 ;;
    --rounds) rounds=$2 ;;
    --denoiser) denoiser=$2 ;;
    --data) data=(--data "$2") ;;
    *) fail "unknown option $1" ;;
  esac
  shift 2
done
[ $# -eq 1 ] || fail "one MODEL is needed"
model=$1 autoencoder=$1/config.json
[ -d "$model/vae" ] && autoencoder=$model/vae/config.json denoiser=${denoiser:-$model/transformer/config.json}
[ -f "$denoiser" ] || fail "--denoiser names no file"
[ -f "$autoencoder" ] || fail "'$model' is neither a pipeline nor an autoencoder"
read -ra crops <<<"${crops:-$((size / 2)) $((size / 4))}"
read -ra halos <<<"${halos:-0 16 32}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

number() { sed -nE "s/^ *\"$1\": *([-0-9.eE+]+).*/\1/p" "$2" | head -n 1; }
for ((round = 0; round < rounds; round++)); do
  for cell in whole $(for c in "${crops[@]}"; do for h in "${halos[@]}"; do echo "$c,$h"; done; done); do
    window=()
    [ "$cell" = whole ] || window=(--decode-crop "${cell%,*}" --decode-halo "${cell#*,}")
    "${retouch[@]}" bench step --objective lpl --denoiser "$denoiser" --autoencoder "$autoencoder" --side "$size" --batch-size "$batch" \
      --steps "$steps" --warmup 2 "${window[@]}" --json >"$scratch/step.json"
    echo "$cell $(number cpuSecondsPerStep "$scratch/step.json") $(number addedBytes "$scratch/step.json")" >>"$scratch/steps"
  done
done

"${retouch[@]}" study windows --model "$model" --size "$size" --count "$count" "${data[@]}" --crop "${crops[@]}" --halo "${halos[@]}" \
  --output "$scratch/report" --json >"$scratch/gradients.json"

python3 - "$scratch/gradients.json" "$scratch/steps" <<'PYTHON'
import collections, json, statistics, sys

cells = collections.defaultdict(list)
for line in open(sys.argv[2]):
    cell, seconds, added = line.split()
    cells[cell].append((float(seconds), float(added)))
cost = {cell: tuple(statistics.median(x) for x in zip(*runs)) for cell, runs in cells.items()}
ratios = {cell: statistics.median(a[0] / b[0] for a, b in zip(runs, cells["whole"])) for cell, runs in cells.items()}
rows = collections.defaultdict(dict)
for row in json.load(open(sys.argv[1])):
    rows[f"{row['crop']},{row['halo']}"][row["term"]] = row
head = ["crop", "halo", "area", "decoded", "step", "of whole", "memory", "of whole"]
for term in ("lpl", "pixel"):
    head += [f"{term}: loss", "cosine", "norm", "of one", "variance", "estimated norm"]
print("| " + " | ".join(head) + " |")
print("|" + "---|" * len(head))


def cells_of(cell):
    seconds, added = cost[cell]
    whole = cost["whole"]
    return [f"{1000 * seconds:.0f} ms", f"{ratios[cell]:.2f}", f"{added / 2**20:.0f} MiB", f"{added / whole[1]:.2f}"]


print("| " + " | ".join(["whole", "", "1", "1"] + cells_of("whole") + ["1"] * 4 + ["0", "1"] + ["1"] * 4 + ["0", "1"]) + " |")
for cell, terms in rows.items():
    first = terms["lpl"]
    line = [str(first["crop"]), str(first["halo"]), f"{first['area']:.3f}", f"{first['decoded']:.3f}"] + cells_of(cell)
    for term in ("lpl", "pixel"):
        t = terms[term]
        line += [f"{t[k]:.3f}" for k in ("loss", "cosine", "norm", "windowCosine", "variance", "estimatedNorm")]
    print("| " + " | ".join(line) + " |")
PYTHON
