# Tests the launcher on a small fake checkout whose dotnet, cmake and apt-get are scripts that count their calls.
# Prints "ok" and "not ok" lines. $RETOUCH_ROOT is the real checkout; the current folder is empty.
set -u
here=$PWD
n=0
check() { # check WHAT COMMAND...: one test
  n=$((n + 1))
  local what=$1
  shift
  if "$@"; then echo "ok $n - $what"; else echo "not ok $n - $what"; sed 's/^/# /' "$here/out" "$here/err"; fi
}
calls() { [ "$(grep -c "^$1" "$here/calls" 2>/dev/null || true)" = "$2" ]; }
says() { grep -qF -- "$2" "$here/$1"; }

checkout=$here/checkout
mkdir -p "$checkout/src/Retouch.Cli" "$checkout/native/torch" "$checkout/eng" bin cache
cp "$RETOUCH_ROOT/retouch" "$checkout/"
cp "$RETOUCH_ROOT/eng/bootstrap.sh" "$checkout/eng/"
echo one >"$checkout/src/Retouch.Cli/Program.cs"
echo one >"$checkout/native/torch/shim.cpp"
echo '{}' >"$checkout/global.json"

cat >"$checkout/eng/build-native.sh" <<'SH'
#!/bin/bash
echo "native $*" >>"$CALLS"
[ ! -e "$(dirname "$0")/../native/torch/broken" ] || { echo "shim.cpp:1: error: planted"; exit 1; }
root=$(readlink -f "$(dirname "$0")/..")
folder=$RETOUCH_CACHE/native/$(cat "$root/native/torch/shim.cpp")
mkdir -p "$folder" "$root/artifacts/native"
[ -e "$folder/libretouch_torch.so" ] || echo library >"$folder/libretouch_torch.so"
ln -sfn "$folder" "$root/artifacts/native/current"
SH
cat >bin/dotnet <<'SH'
#!/bin/bash
case $1 in
  --version) echo 10.0.100 ;;
  build)
    echo "build" >>"$CALLS"
    sleep 0.5
    [ ! -e src/broken ] || { echo "Program.cs(1,1): error CS1002: planted"; exit 1; }
    mkdir -p artifacts/bin/Retouch.Cli/release
    cp src/Retouch.Cli/Program.cs artifacts/bin/Retouch.Cli/release/Retouch.Cli.dll ;;
  *)
    echo "program: $(cat "$1")"
    echo "native: $RETOUCH_NATIVE"
    echo "wait: $OMP_WAIT_POLICY"
    echo "libtorch: ${RETOUCH_LIBTORCH:-}"
    shift
    printf 'argument: <%s>\n' "$@"
    [ "${1:-}" != linger ] || { : >"$2"; while [ -e "$2" ]; do sleep 0.1; done; }
    [ "${1:-}" != fail ] || exit "$2" ;;
esac
SH
# All programs called by the launcher, and no others, to simulate a bare machine.
for tool in bash env sh cat cp rm mv ln mkdir readlink dirname basename find stat sort cut sha256sum grep sed tr id flock sleep touch \
  chmod true; do
  ln -s "$(type -P $tool)" bin/
done
for tool in g++ make cmake; do printf '#!/bin/sh\nexit 0\n' >bin/$tool; done
printf '#!/bin/sh\necho "libopenblas.so.0 (libc6) => /lib/libopenblas.so.0"\n' >bin/ldconfig
chmod +x bin/* "$checkout/eng/build-native.sh"
export PATH=$here/bin CALLS=$here/calls RETOUCH_LIBTORCH=$here RETOUCH_NO_INSTALL=1
export RETOUCH_CACHE=$here/cache
unset RETOUCH_NATIVE OMP_WAIT_POLICY

start() { "$checkout/retouch" "$@" >"$here/out" 2>"$here/err"; status=$?; }
exited() { [ "$status" = "$1" ]; }

start first "two words" ''
check "the first start succeeds" exited 0
check "it builds the native libraries once" calls native 1
check "it builds the command line once" calls build 1
check "arguments arrive unchanged" says out "argument: <two words>"
check "empty arguments arrive" says out "argument: <>"
check "the program knows where the native libraries are" says out "native: $here/cache/native/one"
check "idle OpenMP threads sleep" says out "wait: passive"
check "progress goes to stderr" says err "building the command line"

start again
check "the second start builds nothing" calls build 1
check "the second start says nothing" test ! -s "$here/err"

start fail 3
check "the exit code is the program's" exited 3

ln -s "$checkout/retouch" "$here/bin/linked"
(cd / && linked from-elsewhere) >"$here/out" 2>"$here/err"
check "it works through a link and from any folder" says out "argument: <from-elsewhere>"

OMP_WAIT_POLICY=active start policy
check "a chosen wait policy is kept" says out "wait: active"
RETOUCH_NATIVE=/elsewhere start chosen
check "a chosen RETOUCH_NATIVE is kept" says out "native: /elsewhere"

"$checkout/retouch" linger "$here/lingering" >/dev/null 2>&1 &
lingering=$!
until [ -e "$here/lingering" ]; do sleep 0.05; done
running=$(echo "$checkout"/artifacts/launch/*/Retouch.Cli.dll)
echo two-more >"$checkout/src/Retouch.Cli/Program.cs"
start changed
check "a changed source is built" calls build 2
check "and the new program runs" says out "program: two-more"
check "the files of a running program stay" test -e "$running"
rm "$here/lingering"
wait $lingering
echo three-more >"$checkout/src/Retouch.Cli/Program.cs"
for i in 1 2 3 4; do "$checkout/retouch" "at-once-$i" >"$here/out.$i" 2>"$here/err.$i" & done
wait
check "four starts at once build once" calls build 3
check "all four ran" test "$(cat "$here"/out.? | grep -c 'program: three-more')" = 4
check "the files of ended programs go" test ! -e "$running"

rm -rf "$here/cache/native/one"
start recreated
check "a cache that was emptied is filled again" calls native 2
check "and only the libraries are built" calls build 3
echo cut >"$here/cache/native/one/libretouch_torch.so"
start repaired
check "a damaged library is rebuilt" grep -q library "$here/cache/native/one/libretouch_torch.so"
check "after saying so" says err "gone or damaged"

touch "$checkout/src/broken"
start broken
check "a build that fails ends with 4" exited 4
check "and shows its whole log" says err "error CS1002: planted"
rm "$checkout/src/broken"

touch "$checkout/native/torch/broken"
start train
check "a native build that fails ends with 4" exited 4
check "and shows its log" says err "shim.cpp:1: error: planted"
start doctor
check "the doctor starts all the same" says out "argument: <doctor>"
rm "$checkout/native/torch/broken"

echo two >"$checkout/native/torch/shim.cpp"
rm bin/cmake
before=$(grep -c '^native' "$here/calls")
start train
check "without apt-get, missing packages end with 4" exited 4
check "and are named with a remedy" says err "cmake: install what it provides in this system's own way"
check "without a command of another system" test -z "$(grep 'apt-get install' "$here/err")"
check "and before anything is built" calls native "$before"
printf '#!/bin/bash\nexit 100\n' >bin/apt-get
chmod +x bin/apt-get
start train
check "missing packages end with 4 when they may not be installed" exited 4
check "and are named with the command that installs them" says err "apt-get install -y --no-install-recommends cmake"
check "a libtorch of one's own needs no libtorch-dev" test -z "$(grep libtorch-dev "$here/err")"

cat >bin/apt-get <<'SH'
#!/bin/bash
echo "apt-get $*" >>"$CALLS"
[ "$1" = install ] || exit 0
[ -e "$LISTS" ] || [ "$(grep -c '^apt-get update' "$CALLS")" -gt 0 ] || exit 100
printf '#!/bin/sh\nexit 0\n' >"$(dirname "$0")/cmake"
chmod +x "$(dirname "$0")/cmake"
SH
printf '#!/bin/bash\n[ "$1" != -n ] || shift\nexec "$@"\n' >bin/sudo
chmod +x bin/apt-get bin/sudo
unset RETOUCH_NO_INSTALL
export LISTS=$here/none DEBIAN_FRONTEND=
start installed
check "missing packages are installed, after fetching the lists" exited 0
check "with one update" calls "apt-get update" 1
check "and built with" says out "native: $here/cache/native/two"
printf '#!/bin/bash\nexit 100\n' >bin/apt-get
rm bin/cmake
echo three >"$checkout/native/torch/shim.cpp"
start train
check "an installation that fails ends with 4" exited 4
check "and says what to run" says err "run this, then start again:"

cat >bin/apt-cache <<'SH'
#!/bin/bash
case $2 in cmake | libtorch-cuda-dev) echo "  Candidate: (none)" ;; *) echo "  Candidate: 1.0" ;; esac
SH
chmod +x bin/apt-cache
before=$(grep -c '^native' "$here/calls")
start train
check "a package that this system does not have ends with 4" exited 4
check "and is named with its remedy" says err "the package cmake is not in this system's lists: install what it provides"
check "before anything is built" calls native "$before"
printf '#!/bin/sh\nexit 0\n' >bin/cmake
chmod +x bin/cmake
unset RETOUCH_LIBTORCH
start --cuda train
check "--cuda names what to do if CUDA's libtorch is not available" says err "section contrib"
check "and ends with 4" exited 4
mkdir -p "$here/pytorch/lib"
: >"$here/pytorch/lib/libtorch_cuda.so"
printf '#!/bin/bash\necho "%s"\n' "$here/pytorch" >bin/python3
chmod +x bin/python3
start --cuda train
check "--cuda uses Python's torch if it was built for CUDA" says out "libtorch: $here/pytorch"
check "and is not an argument of the program" says out "argument: <train>"
rm bin/python3
start train
check "later starts keep the choice" says out "libtorch: $here/pytorch"
RETOUCH_LIBTORCH=$here start train
check "RETOUCH_LIBTORCH comes before it" says out "libtorch: $here"

rm bin/dotnet
start train
check "without dotnet it says what to install" says err ".NET 10 SDK"
