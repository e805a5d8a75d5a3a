#!/usr/bin/env bash
# Several processes on several network addresses: every rank in its own network namespace, all of them joined by a bridge. Needs root, and
# ip and tc of iproute2.
#
#   bench/networks.sh [PROCESSES]        default: 4
#
# $RETOUCH is the launcher, by default ./retouch of this checkout. Checks that the run has the bytes of a run on the loopback interface,
# also with one link slowed to 20 Mbit/s, and that a link cut in the middle of a run ends all processes within a minute, those that are
# still connected naming the one that is not; the resumed run has the bytes of an uninterrupted one. One "ok" or "not ok" line per check.
set -euo pipefail
export LC_ALL=C OMP_NUM_THREADS=1
processes=${1:-4} port=29533 cut=$((processes - 1))
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
work=$(mktemp -d "${TMPDIR:-/tmp}/retouch-networks.XXXXXX")
hub=rt$$hub
space() { echo "rt$$n$1"; }
clean() {
  for ((k = 0; k < processes; k++)); do ip netns del "$(space "$k")" 2>/dev/null || true; done
  ip netns del "$hub" 2>/dev/null || true
  rm -rf "$work"
}
trap clean EXIT
fail() { echo "not ok - $*"; tail -n 5 "$work"/err* 2>/dev/null || true; exit 1; }

. "$root/bench/tiny-run.sh"
tiny_autoencoder
tiny_denoiser 40 '"objective": { "perceptual": { "weight": { "share": 0.2, "warmUp": 20 } }, "decodeBatch": 2 },
  "batch": { "size": 1, "accumulate": '"$processes"' }, "samples": { "every": 20, "count": 4, "steps": 2 },
  "checkpoints": { "every": 7, "keep": 2 }, "distributed": { "shard": "states" }'

ip netns add "$hub"
ip -n "$hub" link add bridge0 type bridge
ip -n "$hub" link set bridge0 up
for ((k = 0; k < processes; k++)); do
  ip netns add "$(space "$k")"
  ip -n "$hub" link add "port$k" type veth peer name eth0 netns "$(space "$k")"
  ip -n "$hub" link set "port$k" master bridge0 up
  ip -n "$(space "$k")" addr add "10.77.0.$((k + 1))/24" dev eth0
  ip -n "$(space "$k")" link set eth0 up
  # A machine reaches its own address over its loopback interface.
  ip -n "$(space "$k")" link set lo up
done

# start ARGUMENTS…: starts all ranks, each in its namespace.
start() {
  ids=()
  for ((k = 0; k < processes; k++)); do
    RANK=$k WORLD_SIZE=$processes LOCAL_RANK=0 MASTER_ADDR=10.77.0.1 MASTER_PORT=$port RETOUCH_COLLECTIVE_TIMEOUT=10 \
      RETOUCH_RENDEZVOUS_TIMEOUT=20 ip netns exec "$(space "$k")" "$retouch" train "$@" >/dev/null 2>"$work/err$k" &
    ids+=($!)
  done
}

# finish: waits for all ranks; their exit codes are in $codes.
finish() {
  codes=
  for id in "${ids[@]}"; do
    code=0
    wait "$id" || code=$?
    codes="$codes $code"
  done
}
all_ended() { for id in "${ids[@]}"; do ! kill -0 "$id" 2>/dev/null || return 1; done; }
# seconds RUN: median of time/step after the first steps.
seconds() {
  sed -nE 's/.*"time\/step":([-0-9.eE+]+).*/\1/p' "$work/$1/metrics.jsonl" | tail -n +5 | sort -g |
    awk '{ v[NR] = $1 } END { printf "%.3f", v[int((NR + 1) / 2)] }'
}
same() {
  for model in model model-average-0.9 model-average-0.99; do
    cmp "$work/loopback/$model/transformer/diffusion_pytorch_model.safetensors" \
      "$work/$1/$model/transformer/diffusion_pytorch_model.safetensors" || fail "$1: $model differs from that of the loopback interface"
  done
  cmp "$(ls "$work"/loopback/samples/*.png | tail -n 1)" "$(ls "$work/$1"/samples/*.png | tail -n 1)" || fail "$1: other samples"
}

"$retouch" train --options "$work/denoiser.json" --output "$work/loopback" --nproc "$processes" >/dev/null 2>"$work/err" ||
  fail "the run on the loopback interface"

start --options "$work/denoiser.json" --output "$work/bridge"
finish
[ -z "${codes// 0/}" ] || fail "exit codes$codes on $processes addresses"
same bridge
echo "ok - $processes processes on $processes addresses have the bytes of the loopback interface"

tc -n "$(space 1)" qdisc add dev eth0 root tbf rate 20mbit burst 32kb latency 400ms
start --options "$work/denoiser.json" --output "$work/slow"
finish
[ -z "${codes// 0/}" ] || fail "exit codes$codes with a slow link"
same slow
echo "ok - the same bytes with the link of rank 1 at 20 Mbit/s ($(seconds slow) s per step instead of $(seconds bridge) s)"
tc -n "$(space 1)" qdisc del dev eth0 root

start --options "$work/denoiser.json" --output "$work/cut"
while [ "$({ wc -l <"$work/cut/metrics.jsonl"; } 2>/dev/null || echo 0)" -lt 12 ]; do
  all_ended && fail "the run ended before the cut"
  sleep 0.05
done
ip -n "$hub" link set "port$cut" down
since=$(date +%s%N)
until all_ended; do
  sleep 0.1
  [ $((($(date +%s%N) - since) / 1000000000)) -lt 60 ] || { kill -KILL "${ids[@]}"; fail "processes run a minute after the cut"; }
done
took=$((($(date +%s%N) - since) / 1000000))
finish
for ((k = 0; k < processes; k++)); do
  [ "$(cut -d ' ' -f $((k + 2)) <<<"$codes")" = 4 ] || fail "exit codes$codes after the cut"
  [ "$k" = "$cut" ] || grep -q "rank $cut" "$work/err$k" || fail "rank $k does not name rank $cut"
done
echo "ok - all ended $took ms after the link of rank $cut was cut; rank 0: $(grep -o 'Rank 0 of.*' "$work/err0" | head -n 1 | cut -c 1-160)"
echo "     rank $cut: $(grep -o "Rank $cut of.*" "$work/err$cut" | head -n 1 | cut -c 1-160)"

ip -n "$hub" link set "port$cut" up
start --resume "$work/cut"
finish
[ -z "${codes// 0/}" ] || fail "exit codes$codes of the resumed run"
same cut
echo "ok - the resumed run has the bytes of an uninterrupted one"
