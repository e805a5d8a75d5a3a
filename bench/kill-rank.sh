#!/usr/bin/env bash
# Kills one of several processes of a training at random moments (SIGKILL), with divided states (SHARD: states, gradients, weights), and
# resumes it until it ends; then compares every weight file with those of an uninterrupted run, byte for byte.
#
#   bench/kill-rank.sh [KILLS] [SEED] [PROCESSES] [SHARD]        default: 20 kills, seed 1, 4 processes, states
#
# $RETOUCH is the launcher, by default ./retouch of this checkout. After a kill all processes must end within 15 s plus 5 s for a busy
# machine, and the resumed run must continue from the newest checkpoint that was there. Prints one line per kill, and "ok" or "not ok" at
# the end.
set -euo pipefail
kills=${1:-20} RANDOM=${2:-1} processes=${3:-4} shard=${4:-states} limit_ms=20000
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retouch=${RETOUCH:-$root/retouch}
work=$(mktemp -d "${TMPDIR:-/tmp}/retouch-kill.XXXXXX")
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
fail() { echo "not ok - $*"; [ ! -s "$work/err" ] || tail -n 20 "$work/err"; exit 1; }

. "$root/bench/tiny-run.sh"
tiny_autoencoder
tiny_denoiser 60 '"objective": { "perceptual": { "weight": { "share": 0.2, "warmUp": 20 } }, "decodeBatch": 2 },
  "batch": { "size": 1, "accumulate": '"$processes"' }, "validation": { "count": 3, "every": 20, "timesteps": 2 },
  "checkpoints": { "every": 7, "keep": 2 }, "distributed": { "shard": "'"$shard"'" }'

now() { echo $(($(date +%s%N) / 1000000)); }
newest() { ls "$run/checkpoints" 2>/dev/null | grep -E '^step-[0-9]{8}$' | tail -n 1 || true; }

# rank_of SESSION RANK: process id of a rank.
rank_of() {
  local id
  for id in $(ps -o pid= -s "$1"); do
    if tr '\0' '\n' <"/proc/$id/environ" 2>/dev/null | grep -qx "RANK=$2"; then echo "$id"; return; fi
  done
}

whole=(train --options "$work/denoiser.json" --output "$work/whole" --nproc "$processes")
"$retouch" "${whole[@]}" >/dev/null 2>"$work/err" || fail "the whole run"
# records RUN: logged records, 0 before the first.
records() { { wc -l <"$1/metrics.jsonl"; } 2>/dev/null || echo 0; }

done_kills=0 rounds=0 slowest=0
while [ "$done_kills" -lt "$kills" ]; do
  rounds=$((rounds + 1))
  run=$work/run$rounds
  args=(--options "$work/denoiser.json" --output "$run")
  expected=
  while :; do
    setsid "$retouch" train "${args[@]}" --nproc "$processes" >/dev/null 2>"$work/err" &
    pid=$!
    killed=
    if [ "$done_kills" -lt "$kills" ]; then
      # After some further records, and a moment: within a step, a validation or a checkpoint. One in eight before the first step.
      target=$(($(records "$run") + 1 + RANDOM % 16)) wait_ms=$((RANDOM % 700))
      if [ $((RANDOM % 8)) -eq 0 ]; then target=0 wait_ms=$((RANDOM % 8000)); fi
      while [ "$(records "$run")" -lt "$target" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
      sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
      at_record=$(records "$run")
      rank=$((RANDOM % processes))
      victim=$(rank_of "$pid" "$rank")
      at=$(now)
      if [ -n "$victim" ] && kill -KILL "$victim" 2>/dev/null; then killed=$rank; fi
    fi
    code=0
    wait "$pid" || code=$?
    took=$(($(now) - ${at:-0}))
    # A run continues from the newest checkpoint that it finds, unless it is killed before.
    if [ -n "$expected" ] && { [ "$code" -eq 0 ] || grep -q 'Resuming after' "$work/err"; }; then
      grep -q "Resuming after step $((10#${expected#step-}))\." "$work/err" || fail "the run did not resume after $expected"
    fi
    if [ -n "$killed" ] && [ "$code" -ne 0 ]; then
      done_kills=$((done_kills + 1))
      [ "$took" -le "$limit_ms" ] || fail "the processes ended $took ms after the kill"
      [ -z "$(ps -o pid= -s "$pid")" ] || fail "processes are left after the kill"
      [ "$took" -le "$slowest" ] || slowest=$took
      expected=$(newest)
      echo "kill $done_kills: rank $killed at record $at_record, all ended after $took ms with code $code; checkpoint ${expected:-none}"
      grep -q 'is corrupt' "$work/err" && fail "a checkpoint is corrupt"
      # Without written options the folder is still empty, and there is no run to resume.
      if [ -e "$run/options.json" ]; then args=(--resume "$run"); else expected=; fi
      continue
    fi
    [ "$code" -eq 0 ] || fail "the run failed"
    break
  done
  for model in model model-average-0.9 model-average-0.99; do
    weights=$model/transformer/diffusion_pytorch_model.safetensors
    cmp "$work/whole/$weights" "$run/$weights" || fail "$model differs after kills"
  done
  steps() { sed -E 's/.*"step":([0-9]+).*/\1/' "$1/metrics.jsonl" | tr '\n' ' '; }
  [ "$(steps "$work/whole")" = "$(steps "$run")" ] || fail "metrics.jsonl has other steps"
  rm -rf "$run"
done
echo "ok - $done_kills kills over $rounds runs: all processes ended within $slowest ms, same weights, byte for byte"
