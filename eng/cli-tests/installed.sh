# Tests eng/native.sh, which builds the native libraries of an installed program: on a copy of the scripts whose compilers are fake.
# Prints "ok" and "not ok" lines. $RETOUCH_ROOT is the checkout; the current folder is empty.
set -u
here=$PWD
n=0
check() { # check WHAT COMMAND...: one test
  n=$((n + 1))
  local what=$1
  shift
  if "$@"; then echo "ok $n - $what"; else echo "not ok $n - $what"; sed 's/^/# /' "$here/out" "$here/err"; fi
}
says() { grep -qF -- "$2" "$here/$1"; }
exited() { [ "$status" = "$1" ]; }
builds() { [ "$(grep -c '^build' "$here/calls" 2>/dev/null || true)" = "$1" ]; }

# As NuGet extracts them: no file is executable.
install_to() {
  mkdir -p "$1/eng"
  cp -R "$RETOUCH_ROOT/native" "$1/"
  for script in "$RETOUCH_ROOT"/eng/*.sh; do cat "$script" >"$1/eng/${script##*/}"; done
}
mkdir -p bin libtorch/lib home
for tool in bash env sh cat cp rm mv ln mkdir readlink dirname basename find stat sort cut sha256sum grep sed tr id flock uname head \
  printf xargs true mktemp sleep; do
  ln -s "$(type -P $tool)" bin/
done
for tool in g++ make cc c++; do printf '#!/bin/sh\necho fake 1\n' >bin/$tool; done
printf '#!/bin/sh\n[ "$1" != --modversion ] || echo 8.14\n' >bin/pkg-config
cat >bin/cmake <<'SH'
#!/bin/bash
# Refuses a build folder of other sources, as CMake does.
if [ "$1" = -S ]; then
  mkdir -p "$4"
  [ ! -e "$4/of" ] || [ "$(cat "$4/of")" = "$2" ] || { echo "the source does not match the cache"; exit 1; }
  echo "$2" >"$4/of"
else
  echo build >>"$CALLS"
  part=$(basename "$(cat "$2/of")")
  echo library >"$2/libretouch_$part.so"
fi
SH
chmod +x bin/*
export PATH=$here/bin CALLS=$here/calls HOME=$here/home RETOUCH_LIBTORCH=$here/libtorch
unset RETOUCH_NATIVE RETOUCH_CACHE RETOUCH_ARTIFACTS OMP_WAIT_POLICY
install_to one
start() { bash "$1/eng/native.sh" >"$here/out" 2>"$here/err"; status=$?; }

before=$(find one | sort)
start one
check "the library is built" exited 0
check "once" builds 1
folder=$(cat out)
check "the output is their folder, in the cache" test "${folder#"$here/home/.cache/retouch/native/"}" != "$folder"
check "with the library" test -f "$folder/libretouch_torch.so"
check "progress goes to stderr" says err "building the native libraries: done"
check "nothing is written beside the sources" test "$before" = "$(find one | sort)"

start one
check "the second start builds nothing" builds 1
check "and prints the same folder" says out "$folder"
check "and nothing else" test ! -s err

install_to two
start two
check "another installation of the same sources uses the cache" builds 1
check "and the same folder" says out "$folder"

echo '// changed' >>two/native/torch/tensors.cpp
start two
check "a changed source is built" builds 2
check "into another folder" test "$(cat out)" != "$folder"
start one
check "the first installation keeps its libraries" says out "$folder"
check "without a build" builds 2

rm bin/cmake bin/g++
rm -rf home/.cache
start one
check "without CMake and compiler it ends with 4" exited 4
check "prints no folder" test ! -s out
check "and names the packages with a remedy" says err "cmake: install what it provides in this system's own way"
