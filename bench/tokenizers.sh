#!/usr/bin/env bash
# Compares the tokenizers of CLIP and T5 with those of Microsoft.ML.Tokenizers: ids of the goldens' texts, speed, long words.
#
#   bench/tokenizers.sh
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dotnet build -c Release -v q --nologo "$root/bench/Retouch.Tokenizers" >/dev/null
exec dotnet "$root/artifacts/bin/Retouch.Tokenizers/release/Retouch.Tokenizers.dll" "$root"
