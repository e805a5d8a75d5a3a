#!/usr/bin/env bash
# Runs test suites with the kernels for other x86-64 processors: without AVX-512 (and so without bfloat16), and without AVX.
#   bench/other-processors.sh [PROJECT ...]      default: Retouch.Torch.Tests Retouch.Tests Retouch.Cli.Tests
# Build first (./test, or dotnet build Retouch.slnx -c Release). Takes twice the time of the suites. Exit code 1 if a test failed.
# libtorch, oneDNN and OpenBLAS are configured by variables. libtorch's cpuinfo library, which reports bfloat16, has no variable: a small C
# library is preloaded that clears its flags for AVX-512.
set -euo pipefail
root=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/..")
projects=("$@")
[ $# -gt 0 ] || projects=(Retouch.Torch.Tests Retouch.Tests Retouch.Cli.Tests)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/retouch-processors.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

cat >"$scratch/flags.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

bool cpuinfo_initialize(void) {
  void* library = dlopen("libcpuinfo.so.0", RTLD_NOW);
  bool (*real)(void) = library ? (bool (*)(void))dlsym(library, "cpuinfo_initialize") : 0;
  unsigned char* flags = library ? dlsym(library, "cpuinfo_isa") : 0;
  if (!real || !flags || !real()) return false;
  /* f16c, avx2, avx512 f, pf, er, cd, dq, bw, vl: one byte each, in this order, on whatever processor has AVX-512. */
  static const unsigned char order[] = {1, 1, 1, 0, 0, 1, 1, 1, 1};
  for (int k = 16; k < 40; k++)
    if (!memcmp(flags + k, order, sizeof order)) memset(flags + k + 2, 0, 16);
  return true;
}
C
gcc -shared -fPIC -O2 -o "$scratch/flags.so" "$scratch/flags.c" -ldl

failed=0
suite() { # suite NAME PROJECT VARIABLE=VALUE ...: one suite on one emulated processor
  local name=$1 project=$2
  shift 2
  echo "== $project, $name"
  env LD_PRELOAD="$scratch/flags.so" RETOUCH_NATIVE="$(readlink -f "$root/artifacts/native/current")" "$@" \
    dotnet test "$root/artifacts/bin/$project/release/$project.dll" --nologo -v quiet --results-directory "$scratch" \
    --logger "console;verbosity=minimal" || failed=1
}
for project in "${projects[@]}"; do
  suite "AVX2" "$project" ATEN_CPU_CAPABILITY=avx2 OPENBLAS_CORETYPE=Haswell DNNL_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=AVX2
  suite "SSE 4.1" "$project" ATEN_CPU_CAPABILITY=default OPENBLAS_CORETYPE=Nehalem DNNL_MAX_CPU_ISA=SSE41 ONEDNN_MAX_CPU_ISA=SSE41
done
exit $failed
