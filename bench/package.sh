#!/usr/bin/env bash
# Packs Retouch, installs the packages and uses them as on a machine without the source tree: the tool (doctor, sampling, a short training,
# data beside the program) and a console project that references the library. Prints "ok" and "not ok" lines.
#
#   bench/package.sh [PACKAGES]
#
# PACKAGES: folder for the packages (default: temporary). Compiles the native libraries into an empty cache, which takes a minute or two;
# with RETOUCH_CACHE set, that cache is used. Needs NuGet's sources for the packages of others. Exit code 0 only if all lines are ok.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/retouch-package.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
packages=${1:-$scratch/packages}
mkdir -p "$packages"
packages=$(cd "$packages" && pwd)
own_cache=${RETOUCH_CACHE:-}
export DOTNET_ROOT=${DOTNET_ROOT:-$(dirname "$(readlink -f "$(command -v dotnet)")")}
export RETOUCH_CACHE=${RETOUCH_CACHE:-$scratch/cache} DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
unset RETOUCH_NATIVE
cd "$scratch" || exit 1

n=0 failures=0
check() { # check WHAT COMMAND...
  n=$((n + 1))
  local what=$1
  shift
  if "$@"; then echo "ok $n - $what"; return; fi
  failures=$((failures + 1))
  echo "not ok $n - $what"
  tail -n 20 out err 2>/dev/null | sed 's/^/# /'
}
run() { "$@" >out 2>err; status=$?; }
exited() { [ "$status" = "$1" ]; }
says() { grep -q -- "$2" "$1"; }
contains() { unzip -l "$1" | awk '{print $4}' | grep -qx -- "$2"; }

version=$(sed -n 's/.*<Version>\(.*\)<\/Version>.*/\1/p' "$root/Directory.Build.props")
run dotnet pack "$root/Retouch.slnx" -c Release -v quiet -o "$packages"
check "the solution packs" exited 0
for name in Retouch.Core Retouch.Torch Retouch Retouch.Evaluation; do
  package=$packages/$name.$version.nupkg
  check "$name has its documentation and readme" eval 'contains "$package" "lib/net10.0/$name.xml" && contains "$package" README.md'
  check "$name has symbols" contains "$packages/$name.$version.snupkg" "lib/net10.0/$name.pdb"
done
check "Retouch.Torch has the native sources" contains "$packages/Retouch.Torch.$version.nupkg" native-source/native/torch/retouch_torch.h
check "there are no other packages" eval '[ "$(ls "$packages"/*.nupkg | wc -l)" = 5 ]'

run dotnet tool install Retouch.Cli --version "$version" --add-source "$packages" --tool-path tool
check "the tool installs" exited 0
retouch=$scratch/tool/retouch
run "$retouch" --help
check "help needs no native libraries" eval 'exited 0 && says out ablate && [ ! -s err ]'

# A machine without CMake: all other programs stay on the path.
mkdir bare
for tool in /usr/bin/* /bin/*; do [ "${tool##*/}" = cmake ] || ln -s "$tool" bare/ 2>/dev/null; done
run env PATH="$scratch/bare" RETOUCH_CACHE="$scratch/none" "$retouch" sample --model none --output none
check "without CMake the first start ends with exit code 4" exited 4
check "and names the package" says err 'apt-get install .*cmake'

run "$retouch" doctor
check "the doctor finds everything" exited 0
[ -n "$own_cache" ] || check "the first start compiles the native libraries" says err 'building the native libraries: done'
run "$retouch" doctor
check "later starts do not" eval 'exited 0 && [ ! -s err ]'
check "the libraries are in the cache" says out "$RETOUCH_CACHE/native/"

program=$(dirname "$(find tool/.store -name Retouch.Cli.dll | head -1)")
run "$retouch" sample --model "$program/demo/model" --count 2 --steps 5 --output samples
check "the tool samples from the demo's model" eval 'exited 0 && [ "$(find samples -name "*.png" | wc -l)" = 2 ]'
run "$retouch" train --model "$program/demo/model" --objective lpl --steps 2 --batch-size 2 --output run \
  --set samples.every=0 --set data.sceneCount=8
check "it trains" eval 'exited 0 && [ -f run/model/model_index.json ]'
run "$retouch" train --init lpl --output options.json
check "options files have descriptions" eval 'exited 0 && says options.json "Total optimiser steps"'
run "$retouch" ablate --list
check "the specs of ablations are there" eval 'exited 0 && says out gradient-ratio'
run "$retouch" inspect "$program/demo/model"
check "it inspects the model" eval 'exited 0 && says out DiTTransformer2DModel'

# The project and the program of docs/packages.md.
mkdir consumer
block() { awk -v kind="$1" '$0 == "```" kind { inside = 1; next } $0 == "```" { inside = 0 } inside' "$root/docs/packages.md"; }
block xml | sed "s/Version=\"[^\"]*\"/Version=\"$version\"/" >consumer/consumer.csproj
block csharp >consumer/Program.cs
printf '<configuration><packageSources><add key="packed" value="%s" /></packageSources></configuration>\n' "$packages" \
  >consumer/nuget.config
# Another version of the same number may be in the user's cache of packages.
export NUGET_PACKAGES=$scratch/nuget
run dotnet build consumer -c Release -v quiet -o consumer/out
check "a console project with a reference to the package builds" exited 0
check "the native sources are beside it" test -f consumer/out/native-source/eng/native.sh
arguments=("$program/demo/model" samples/000000.png samples/000001.png)
[ -e "${arguments[1]}" ] || arguments=("$program/demo/model" $(find samples -name '*.png' | sort))
run dotnet consumer/out/consumer.dll "${arguments[@]}"
check "it computes the loss between two pictures" eval 'exited 0 && says out "^loss [1-9]*[0-9.]*[1-9]"'
run dotnet consumer/out/consumer.dll "${arguments[0]}" "${arguments[1]}" "${arguments[1]}"
check "which is 0 between equal pictures" says out '^loss 0$'
sed -i '/NativeBuild.Ensure/d' consumer/Program.cs
run dotnet build consumer -c Release -v quiet -o consumer/out
# A shell between them keeps its message about the aborted process from the output.
run sh -c 'dotnet "$@"; exit $?' sh consumer/out/consumer.dll "${arguments[@]}"
check "without libraries the error names RETOUCH_NATIVE and the script" says err 'native-source/eng/native.sh.*RETOUCH_NATIVE'
run env RETOUCH_NATIVE="$(bash consumer/out/native-source/eng/native.sh)" dotnet consumer/out/consumer.dll "${arguments[@]}"
check "with RETOUCH_NATIVE from the script it runs" eval 'exited 0 && says out "^loss "'
[ $failures -eq 0 ]
