#!/usr/bin/env bash
# Builds the native libraries, links artifacts/native/current to their folder, and prints it.
#
#   eng/build-native.sh [all|torch]      (default: all)
#
# A part is built once for each combination of its sources, compiler and linked library, and cached in
# ${RETOUCH_CACHE:-$HOME/.cache/retouch}/native. A second run without changes only hashes the sources.
#
#   RETOUCH_LIBTORCH   a libtorch folder, or the folder of a Python torch package; empty: the compiler's default (libtorch-dev)
#   RETOUCH_CACHE      cache of built libraries
#   RETOUCH_ARTIFACTS  folder of object files and links, instead of artifacts in the sources
#   CXX, CC            compilers, as in CMake
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${RETOUCH_CACHE:-$HOME/.cache/retouch}/native
artifacts=${RETOUCH_ARTIFACTS:-$root/artifacts}
wanted=${1:-all}
libtorch=${RETOUCH_LIBTORCH:-}

say() { echo "build-native: $*" >&2; }
fail() { say "$*"; exit 4; }

case $wanted in
  all|torch) ;;
  -h|--help) sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
  *) say "unknown part '$wanted'; give all or torch"; exit 2 ;;
esac
if [[ -n $libtorch ]]; then
  [[ -d $libtorch/lib ]] \
    || fail "RETOUCH_LIBTORCH='$libtorch' has no lib/ folder; give a libtorch folder or a Python torch package's folder"
  libtorch=$(cd "$libtorch" && pwd)
fi
command -v cmake >/dev/null || fail "cmake is missing; install the packages cmake, ninja-build and g++"

torch_version() {
  local include header number numbers=()
  for include in ${libtorch:+"$libtorch/include"} /usr/include; do
    # The file with the version numbers moved to torch/headeronly.
    for header in "$include"/torch/headeronly/version.h "$include"/torch/csrc/api/include/torch/version.h; do
      [[ -f $header ]] || continue
      numbers=()
      for number in MAJOR MINOR PATCH; do
        numbers+=("$(sed -n "s/^#define TORCH_VERSION_$number[[:space:]]\+\([0-9]\+\).*/\1/p" "$header" | head -n 1)")
      done
      [[ -z ${numbers[0]} ]] || { (IFS=. && echo "${numbers[*]}"); return; }
    done
    # The requested folder is authoritative, not the system's headers.
    [[ -z $libtorch ]] || break
  done
  [[ -z $libtorch || ! -f $libtorch/build-version ]] || cat "$libtorch/build-version"
}

# Warns if the suites have not passed with this version of libtorch: it is older or newer than the versions in native/torch/versions.h.
warn_of_version() {
  local version=$1 oldest newest
  oldest=$(sed -n 's/^#define RETOUCH_TORCH_OLDEST "\(.*\)"/\1/p' "$root/native/torch/versions.h")
  newest=$(sed -n 's/^#define RETOUCH_TORCH_NEWEST "\(.*\)"/\1/p' "$root/native/torch/versions.h")
  [[ -n $version ]] || { say "warning: the headers of libtorch name no version; trying (tested: $oldest to $newest)"; return; }
  local minor=${version#*.}
  minor=${version%%.*}.${minor%%.*}
  if [[ $(printf '%s\n' "$oldest" "$minor" "$newest" | sort -V | sed -n 2p) != "$minor" ]]; then
    say "warning: libtorch $version is not among the versions that Retouch was tested with ($oldest to $newest); trying"
  fi
}

# Linked library of a part; its change gives another key.
against() {
  case $1 in
    torch) echo "torch $(torch_version) at ${libtorch:-the system}" ;;
  esac
}

compiler() {
  "${CC:-cc}" --version 2>/dev/null | head -n 1
  "${CXX:-c++}" --version 2>/dev/null | head -n 1
  uname -sm
}

key_of() {
  {
    against "$1"
    compiler
    cd "$root/native/$1"
    find . -type f -not -path './build/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  } | sha256sum | cut -c 1-16
}

library_name() {
  case $(uname -s) in
    Darwin) echo "libretouch_$1.dylib" ;;
    *) echo "libretouch_$1.so" ;;
  esac
}

build() {
  local part=$1 key=$2 into=$cache/$1-$2 library work staging
  library=$(library_name "$part")
  [[ -f $into/$library ]] && return
  # One build folder per sources and libtorch, so that a change of a source file recompiles that file only.
  work=$artifacts/native/build/$part-$(printf '%s' "$root $(against "$part")" | sha256sum | cut -c 1-8)
  say "building $part against $(against "$part")"
  [[ $part != torch ]] || warn_of_version "$(torch_version)"
  local options=(-S "$root/native/$part" -B "$work" -DCMAKE_BUILD_TYPE=Release)
  command -v ninja >/dev/null && options+=(-G Ninja)
  [[ $part == torch && -n $libtorch ]] && options+=("-DRETOUCH_LIBTORCH=$libtorch")
  cmake "${options[@]}" >&2 || fail "cmake could not configure native/$part; the reason stands above"
  cmake --build "$work" --parallel >&2 || fail "native/$part does not compile; the reason stands above"
  [[ -f $work/$library ]] || fail "native/$part built no $library"
  staging=$into.$$
  mkdir -p "$staging"
  # A part may include libraries for the tests.
  cp -L "$work"/"${library%.*}"*."${library##*.}" "$staging/"
  rm -rf "$into"
  mv "$staging" "$into"
}

mkdir -p "$cache" "$artifacts/native"
exec 9>"$cache/.lock"
command -v flock >/dev/null && flock 9

parts=() keys=()
for part in torch; do
  if [[ ! -f $root/native/$part/CMakeLists.txt ]]; then
    [[ $wanted != "$part" ]] || fail "native/$part has no CMakeLists.txt"
    continue
  fi
  key=$(key_of "$part")
  [[ $wanted != all && $wanted != "$part" ]] || build "$part" "$key"
  parts+=("$part") keys+=("$key")
done

# The folder's name depends on all parts: another libtorch gets another folder, and running programs keep their files.
key=$(printf '%s\n' "${parts[@]}" "${keys[@]}" | sha256sum | cut -c 1-16)
folder=$cache/$key
mkdir -p "$folder"
for i in "${!parts[@]}"; do
  library=$(library_name "${parts[i]}")
  for built in "$cache/${parts[i]}-${keys[i]}/${library%.*}"*."${library##*.}"; do
    name=$(basename "$built")
    if [[ -f $built && ! -f $folder/$name ]]; then
      ln -f "$built" "$folder/$name" 2>/dev/null || { cp "$built" "$folder/$name.$$" && mv "$folder/$name.$$" "$folder/$name"; }
    fi
  done
done
ln -sfn "$folder" "$artifacts/native/current.$$"
mv -T "$artifacts/native/current.$$" "$artifacts/native/current" 2>/dev/null \
  || { rm -f "$artifacts/native/current.$$"; ln -sfn "$folder" "$artifacts/native/current"; }
echo "$folder"
