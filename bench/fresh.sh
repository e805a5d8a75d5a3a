#!/usr/bin/env bash
# The first hour on a fresh machine: creates a Debian root with nothing but git and the .NET SDK, clones this checkout's last commit
# there, and runs the commands of a new user, from the first start to a compared model.
#
#   bench/fresh.sh [--roots FOLDER] [--test] [SUITE …]       default: bookworm trixie
#
# --test runs ./test instead. Each command must end with the expected exit code. Standard output is the transcript of
# docs/first-hour.md in Markdown: commands, their last lines of output, and times. Roots are kept in FOLDER (default: artifacts/fresh); a
# suite's root is created anew. Must be run as root (bench/roots.sh). Exit code 1 if a command fails.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
roots=$root/artifacts/fresh
fail() { echo "fresh: $*" >&2; exit 2; }
test=
while :; do
  case "${1:-}" in
    --roots) [ $# -ge 2 ] || fail "--roots takes a value"; roots=$2; shift ;;
    --test) test=1 ;;
    *) break ;;
  esac
  shift
done
case "${1:-}" in -*) sed -n 2,11p "${BASH_SOURCE[0]}"; exit 2 ;; esac
[ $# -gt 0 ] || set -- bookworm trixie
mkdir -p "$roots"
roots=$(cd "$roots" && pwd)
. "$root/bench/roots.sh"
failed=0

inside() {
  chroot "$into" env -u RETOUCH_NATIVE -u RETOUCH_LIBTORCH HOME=/root LC_ALL=C.UTF-8 DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 \
    bash -c "cd /root${folder:+/$folder} && $1"
}

# run CODE LINES COMMAND: prints the command, the last LINES lines of its output without progress, its exit code if not 0, and its time.
run() {
  local start=$SECONDS code=0
  echo "fresh: $suite: $3" >&2
  inside "$3" >"$roots/$suite.out" 2>&1 || code=$?
  printf '```\n$ %s\n' "$3"
  grep -vE '^(step|picture|sampler step|caption|held-out batch) [0-9,]+/|pictures \([0-9.]+ %\)' "$roots/$suite.out" | tail -n "$2" || true
  [ "$code" = 0 ] || echo "exit code $code"
  printf '```\n\n*%d min %02d s*\n\n' $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60))
  [ "$code" = "$1" ] || { echo "fresh: $suite: exit code $code instead of $1: $3" >&2; tail -n 20 "$roots/$suite.out" >&2; failed=1; }
}

for suite; do
  into=$roots/$suite folder=
  [ ! -d "$into" ] || rm -rf --one-file-system "$into"
  base_root "$suite" "$suite" >"$roots/$suite.log" 2>&1 || { tail -n 20 "$roots/$suite.log" >&2; exit 2; }
  inside "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends git '^libicu[0-9]+$'" \
    >>"$roots/$suite.log" 2>&1 || { tail -n 20 "$roots/$suite.log" >&2; exit 2; }
  # Package sources of this machine.
  [ ! -e ~/.nuget/NuGet/NuGet.Config ] || install -D ~/.nuget/NuGet/NuGet.Config "$into/root/.nuget/NuGet/NuGet.Config"
  git -C "$root" bundle create "$into/root/retouch.git" HEAD >>"$roots/$suite.log" 2>&1
  printf '## Debian %s\n\n' "$(inside '. /etc/os-release && echo "$VERSION"')"
  inside "git -c advice.detachedHead=false -c init.defaultBranch=main clone -q retouch.git retouch"
  folder=retouch
  if [ -n "$test" ]; then
    run 0 40 "./test"
    continue
  fi
  run 0 14 "./retouch doctor"
  run 0 16 "./retouch demo --output runs/demo"
  run 0 12 "./retouch inspect demo/model"
  run 0 12 "./retouch train --model demo/model --objective lpl --steps 500 --output runs/lpl"
  run 0 2 "./retouch sample --model runs/lpl --count 16 --output samples"
  run 0 30 "./retouch compare demo/model runs/lpl --names start trained --reference runs/demo/held-out --resamples 200"
  run 2 3 "./retouch sampel --model runs/lpl"
  run 4 2 "./retouch sample --model runs/lpl --device cuda --output more"
done
exit "$failed"
