#!/usr/bin/env bash
# Tests Retouch with every supported libtorch: Debian 13 (2.6), Debian forky (2.14), with --cuda also the CUDA build of 2.6, and this
# machine's own.
#
#   bench/engines.sh [--roots FOLDER] [--cuda] [--only "here trixie forky trixie-cuda"] [--filter EXPRESSION] [--steps N]
#
# For each but this machine, a Debian root is created in FOLDER with debootstrap if missing (default: artifacts/engines; about two minutes
# and 2 GB each, the CUDA build 10 GB). The managed assemblies are built here once and copied; the native libraries are compiled in
# each root. Then the suites Retouch.Torch.Tests and Retouch.Tests run (--filter: a subset), and 'retouch bench step' on one thread.
# The output is the table of docs/results/engines.md, a row after each root, and the names of failed tests; logs are kept in FOLDER. Exit
# code 1 if a root, a compilation or a test fails. Must be run as root (bench/roots.sh).
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
roots=$root/artifacts/engines only="here trixie forky" filter= steps=8
fail() { echo "engines: $*" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --cuda) only="$only trixie-cuda"; shift; continue ;;
    --roots | --only | --filter | --steps) [ $# -ge 2 ] || fail "$1 takes a value" ;;
    *) sed -n 2,12p "${BASH_SOURCE[0]}"; exit 2 ;;
  esac
  case $1 in
    --roots) roots=$2 ;;
    --only) only=$2 ;;
    --filter) filter=$2 ;;
    --steps) steps=$2 ;;
  esac
  shift 2
done
mkdir -p "$roots"
roots=$(cd "$roots" && pwd)
. "$root/bench/roots.sh"

# make_root NAME: NAME is a Debian release, or a release with the suffix -cuda. Fails if a step fails.
make_root() {
  local suite=${1%-cuda} into=$roots/$1 engine=libtorch-dev
  base_root "$suite" "$1" || return
  [ ! -e "$into/.engine" ] || return 0
  if [ "$suite" != "$1" ]; then
    engine=libtorch-cuda-dev
    sed -E -i 's/ main$/ main contrib non-free non-free-firmware/' "$into/etc/apt/sources.list"
  fi
  chroot "$into" apt-get update || return
  # nvidia-cudnn downloads its library during configuration. If that fails, everything else is installed.
  chroot "$into" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    g++ cmake ninja-build libicu-dev libopenblas0-pthread "$engine" || chroot "$into" dpkg -s "$engine" >/dev/null || return
  [ "$suite" = "$1" ] || stand_in_for_cudnn "$into/usr/lib/$(uname -m)-linux-gnu" || return
  : >"$into/.engine"
}

# stand_in_for_cudnn FOLDER: creates a library with cuDNN's name whose functions all fail, so that libtorch loads without cuDNN.
stand_in_for_cudnn() {
  [ -e "$1/libtorch_cuda.so" ] && [ ! -e "$1/libcudnn.so.9" ] || return 0
  local sources
  sources=$(mktemp -d)
  nm -D --undefined-only "$1/libtorch_cuda.so" | sed -nE 's/.* (cudnn[A-Za-z0-9_]+)(@.*)?$/\1/p' | sort -u >"$sources/names"
  sed 's/.*/int &(void) { return 1; }/' "$sources/names" >"$sources/cudnn.c"
  echo 'libcudnn.so.9 { global: *; };' >"$sources/cudnn.map"
  cc -w -shared -fPIC -Wl,-soname,libcudnn.so.9 -Wl,--version-script="$sources/cudnn.map" -o "$1/libcudnn.so.9" "$sources/cudnn.c"
  rm -rf "$sources"
}

# inside NAME COMMAND: runs in the root's copy of the sources with one thread; for "here" in this checkout.
inside() {
  local folder=/root/retouch
  if [ "$1" = here ]; then (cd "$root" && OMP_NUM_THREADS=1 bash -c "$2"); else
    chroot "$roots/$1" env -u RETOUCH_NATIVE -u RETOUCH_LIBTORCH HOME=/root OMP_NUM_THREADS=1 DOTNET_NOLOGO=1 bash -c "cd $folder && $2"
  fi
}

copy_sources() {
  local into=$roots/$1/root/retouch
  mkdir -p "$into/artifacts"
  find "$into" -mindepth 1 -maxdepth 1 ! -name artifacts -exec rm -rf {} +
  (cd "$root" && git ls-files -co --exclude-standard | tar -cf - -T -) | tar -xf - -C "$into" || return
  rm -rf "$into/artifacts/bin"
  cp -R "$root/artifacts/bin" "$into/artifacts/"
}

# with_native NAME COMMAND: inside, with the libraries built there.
with_native() { inside "$1" "RETOUCH_NATIVE=\$(readlink -f artifacts/native/current) $2"; }

run_suite() {
  local log=$roots/$1.$2.log
  with_native "$1" "dotnet vstest artifacts/bin/$2/release/$2.dll ${filter:+--TestCaseFilter:'$filter'}" >"$log" 2>&1 || true
  sed -nE 's/^ *(Passed|Failed)! +- Failed: +([0-9]+), Passed: +([0-9]+), Skipped: +([0-9]+).*/\3 passed, \2 failed, \4 skipped/p' \
    "$log" | tail -n 1 | grep . || echo "did not end"
  # A crash ends the run, and only the tests before it are counted.
  ! grep -q '^Test Run Aborted' "$log" || echo "aborted"
}

step() {
  local program=artifacts/bin/Retouch.Cli/release/Retouch.Cli.dll
  with_native "$1" "dotnet $program bench step --objective $2 --threads 1 --steps $steps --json" 2>>"$roots/$1.step.log" \
    | sed -nE 's/.*"medianSeconds": *([0-9.]+).*/\1/p' | grep . || echo "failed"
}

version_of() {
  inside "$1" 'for header in /usr/include/torch/headeronly/version.h /usr/include/torch/csrc/api/include/torch/version.h; do
    if [ -e "$header" ]; then
      sed -nE "s/^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) +([0-9]+).*/\2/p" "$header" | paste -sd.
      break
    fi
  done'
}

for project in tests/Retouch.Torch.Tests tests/Retouch.Tests src/Retouch.Cli; do
  (cd "$root" && dotnet build "$project" -c Release -v quiet -nologo) >"$roots/build.log" 2>&1 \
    || { cat "$roots/build.log" >&2; exit 4; }
done

# prepare NAME: the root, the sources and the native libraries. On failure the end of the log is printed.
prepare() {
  local log=$roots/$1.root.log
  if [ "$1" != here ]; then
    { make_root "$1" && copy_sources "$1"; } >"$log" 2>&1 || { tail -n 20 "$log" >&2; return 1; }
  fi
  log=$roots/$1.native.log
  inside "$1" 'eng/build-native.sh all' >"$log" 2>&1 || { tail -n 40 "$log" >&2; return 1; }
}

echo '| Root | libtorch | Compiler | Retouch.Torch.Tests | Retouch.Tests | Latent step, s | With LPL, s |'
echo '|---|---|---|---|---|---|---|'
failed=
for name in $only; do
  echo "engines: $name" >&2
  prepare "$name" || { failed+="$name"$'\n'; continue; }
  row="| $name | $(version_of "$name") | g++ $(inside "$name" 'c++ -dumpfullversion')"
  for suite in Retouch.Torch.Tests Retouch.Tests; do
    passed=$(run_suite "$name" "$suite" | paste -sd, | sed 's/,aborted/, aborted/')
    row+=" | $passed"
    case $passed in
      *", 0 failed,"*skipped) ;;
      *) failed+=$(sed -nE "s/^ *Failed (Retouch[^ ]*).*/$name: \1/p" "$roots/$name.$suite.log" | sort | uniq -c | grep . \
        || echo "$name: $suite, see its log")$'\n' ;;
    esac
  done
  echo "$row | $(step "$name" latent) | $(step "$name" lpl) |"
done
[ -z "$failed" ] || { printf '\nFailed:\n%s' "$failed"; exit 1; }
