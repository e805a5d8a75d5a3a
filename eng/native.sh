#!/usr/bin/env bash
# Builds the native libraries from the sources beside this script, once per libtorch, and prints their folder, for RETOUCH_NATIVE. For
# programs outside the source tree: the packages contain it with the sources. It writes only to RETOUCH_CACHE (default ~/.cache/retouch),
# and lists missing packages instead of installing them.
# RETOUCH_LIBTORCH=DIR  another libtorch (its folder, or that of a Python torch package) instead of the system's
set -eu
self=$(readlink -f "${BASH_SOURCE[0]}")
root=${self%/eng/*}
export RETOUCH_NO_INSTALL=1 RETOUCH_ARTIFACTS="${RETOUCH_CACHE:-$HOME/.cache/retouch}/build"
cuda_advice="set RETOUCH_LIBTORCH to a libtorch that was built for CUDA to use it"
. "$root/eng/bootstrap.sh"
unset RETOUCH_NATIVE
ensure_native || exit 4
echo "$RETOUCH_NATIVE"
