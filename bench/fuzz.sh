#!/usr/bin/env bash
# Fuzzes every reader of untrusted files for crashes, hangs and excessive memory.
#
#   bench/fuzz.sh [INPUTS [SEED [READER]]]     default: 90000 inputs for each reader (slow ones a fifth or a tenth), seed 1, all readers
#
# The same seed gives the same inputs. Inputs with defects are kept in artifacts/fuzz, with exit code 1.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/eng/build-native.sh" all >/dev/null
dotnet build -c Release -v q --nologo "$root/bench/Retouch.Fuzz" >/dev/null
exec dotnet "$root/artifacts/bin/Retouch.Fuzz/release/Retouch.Fuzz.dll" "$root" "${1:-90000}" "${@:2}"
