#!/usr/bin/env bash
# Fuzzes every reader of untrusted files: no crash, no hang, no memory out of proportion.
#
#   bench/fuzz.sh [INPUTS [SEED [READER]]]     default: 90000 inputs for each reader (slow ones a fifth or a tenth), seed 1, all readers
#
# The same seed gives the same inputs. Those that show a defect are kept in artifacts/fuzz, and the exit code is 1.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/eng/build-native.sh" all >/dev/null
dotnet build -c Release -v q --nologo "$root/bench/Retouch.Fuzz" >/dev/null
exec dotnet "$root/artifacts/bin/Retouch.Fuzz/release/Retouch.Fuzz.dll" "$root" "${1:-90000}" "${@:2}"
