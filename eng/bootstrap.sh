# Sourced by ./retouch, ./test and eng/native.sh: prepares a bare Debian machine for the build. Requires $root, the folder of the sources.
# Build outputs are in $root/artifacts, or in RETOUCH_ARTIFACTS. Messages go to stderr: one line on success, the complete log on failure.
# Every failure ends with exit code 4.

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_GENERATE_ASPNET_CERTIFICATE=false
# OpenMP threads that spin on busy cores can slow a training step twentyfold.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"

artifacts=${RETOUCH_ARTIFACTS:-$root/artifacts}

say() { printf 'retouch: %s\n' "$*" >&2; }
fail() { say "$*"; exit 4; }

# quietly WHAT COMMAND...: prints a message, keeps the output in artifacts/log, and prints it only on failure; warnings are always
# printed. The lock's descriptor is closed for the command: a build server that outlives it must not keep the lock.
quietly() {
  local what=$1 log=$artifacts/log/${1//[^a-zA-Z0-9]/-}.log status=0 started=$SECONDS
  shift
  mkdir -p "$artifacts/log"
  say "$what ..."
  "$@" >"$log" 2>&1 9>&- || status=$?
  if [ $status -ne 0 ]; then
    cat "$log" >&2
    say "$what failed (exit code $status); the log above is kept in $log"
    return $status
  fi
  grep '^[a-z-]*: warning: ' "$log" >&2 || true
  say "$what: done in $((SECONDS - started)) s"
}

# Runs a command while no other start of this checkout builds.
with_build_lock() {
  mkdir -p "$artifacts"
  {
    flock -n 9 || { say "another start is building; waiting for it"; flock 9; }
    "$@"
  } 9>"$artifacts/.build.lock"
}

# fingerprint PATH...: changes whenever a file below the paths is added, removed or written. Build outputs are elsewhere (artifacts/).
fingerprint() {
  (cd "$root" && find "$@" -type f -printf '%p %s %T@\n' 2>/dev/null | LC_ALL=C sort | sha256sum | cut -c1-16)
}

# --- requirements ----------------------------------------------------------------------------------------------------------------

has_library() { ldconfig -p 2>/dev/null | grep -q "$1" || /sbin/ldconfig -p 2>/dev/null | grep -q "$1"; }

# Prints the missing Debian packages, one per line.
missing_packages() {
  command -v g++ >/dev/null || echo g++
  command -v make >/dev/null || command -v ninja >/dev/null || echo make
  command -v cmake >/dev/null || echo cmake
  if [ -z "${RETOUCH_LIBTORCH:-}" ]; then
    if [ -n "${want_cuda:-}" ]; then
      has_library 'libtorch_cuda\.so' || echo libtorch-cuda-dev
    else
      [ -e /usr/include/torch/csrc/api/include/torch/version.h ] || echo libtorch-dev
    fi
    # Without it Debian's libtorch multiplies matrices on the reference BLAS, forty times slower.
    has_library 'libopenblas\.so\.0' || echo libopenblas0
  fi
}

# Remedy for a package missing in this system's lists.
remedy_of() {
  case $1 in
    libtorch-cuda-dev)
      echo "it is in Debian 13's section contrib: add 'contrib non-free non-free-firmware' to the lines of /etc/apt/sources.list*" \
        "and run apt-get update; elsewhere take Python's torch (python3 -m venv ~/torch && ~/torch/bin/pip install torch)" \
        "and start ./retouch --cuda with it on the PATH, or set RETOUCH_LIBTORCH (docs/gpu.md)" ;;
    libtorch-dev)
      echo "Debian 12 and later have it; elsewhere take Python's torch (python3 -m venv ~/torch && ~/torch/bin/pip install torch) and set" \
        "RETOUCH_LIBTORCH to its folder, ~/torch/lib/python3*/site-packages/torch" ;;
    libopenblas0) echo "install another OpenBLAS, as libopenblas-dev, or set RETOUCH_LIBTORCH to a libtorch that brings its own" ;;
    *) echo "install what it provides in this system's own way, and put it on the PATH" ;;
  esac
}

# Lists the unavailable packages, each with its remedy; fails if there are any.
all_can_be_had() {
  local package candidate lacking=0
  command -v apt-cache >/dev/null || return 0
  for package in "$@"; do
    candidate=$(apt-cache policy "$package" 2>/dev/null | sed -n 's/^ *Candidate: *//p')
    [ -z "$candidate" ] || [ "$candidate" = "(none)" ] || continue
    say "the package $package is not in this system's lists: $(remedy_of "$package")"
    lacking=1
  done
  [ $lacking -eq 0 ]
}

apt_install() {
  local lift=$1
  shift
  # shellcheck disable=SC2086  # $lift is empty or one or two words
  $lift env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" || {
    $lift apt-get update && $lift env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
  }
}

install_packages() {
  local missing lift=""
  missing=$(missing_packages | tr '\n' ' ')
  missing=${missing% }
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null; then
    say "this system has no apt-get; these packages are missing, under Debian's names:"
    local package
    for package in $missing; do say "$package: $(remedy_of "$package")"; done
    return 4
  fi
  local by_hand="apt-get update && apt-get install -y --no-install-recommends $missing"
  if [ "$(id -u)" -ne 0 ]; then
    by_hand="sudo apt-get update && sudo apt-get install -y --no-install-recommends $missing"
    if ! command -v sudo >/dev/null; then
      say "these packages are missing and there is no sudo to install them with: $missing"
      say "as root, run: ${by_hand//sudo /}"
      return 4
    fi
    # A password prompt needs a terminal.
    if [ -t 0 ] && [ -t 2 ]; then lift="sudo"; else lift="sudo -n"; fi
  fi
  if [ -n "${RETOUCH_NO_INSTALL:-}" ]; then
    say "these packages are missing: $missing"
    say "install them: $by_hand"
    return 4
  fi
  [ "$lift" != sudo ] || sudo -v || true
  # Fresh containers have no package lists, so that missing entries are meaningless.
  # shellcheck disable=SC2086
  if ! all_can_be_had $missing 2>/dev/null; then
    quietly "fetching the lists of packages" $lift apt-get update || true
    all_can_be_had $missing || return 4
  fi
  # shellcheck disable=SC2086  # a list of package names
  if ! quietly "installing $missing with apt" apt_install "$lift" $missing || [ -n "$(missing_packages)" ]; then
    say "could not install: $(missing_packages | tr '\n' ' ')"
    say "run this, then start again: $by_hand"
    return 4
  fi
}

# --- the libtorch ------------------------------------------------------------------------------------------------------------------

has_driver() { [ -e /proc/driver/nvidia/version ] || command -v nvidia-smi >/dev/null; }

# The torch of the Python on the PATH, if it was built for CUDA.
python_torch() {
  local folder
  command -v python3 >/dev/null || return 1
  folder=$(python3 -c 'import importlib.util
found = importlib.util.find_spec("torch")
print(found.submodule_search_locations[0] if found else "")' 2>/dev/null)
  [ -n "$folder" ] && [ -e "$folder/lib/libtorch_cuda.so" ] && echo "$folder"
}

# Chooses a libtorch for CUDA (--cuda) and stores the choice, or uses the stored one. RETOUCH_LIBTORCH takes precedence.
choose_libtorch() {
  local memory=$artifacts/libtorch folder
  [ -z "${RETOUCH_LIBTORCH:-}" ] || return 0
  if [ -n "${want_cuda:-}" ]; then
    mkdir -p "$artifacts"
    if folder=$(python_torch); then
      say "using Python's torch in $folder from now on; delete $memory to go back"
      echo "$folder" >"$memory"
    else
      rm -f "$memory"
    fi
  fi
  if [ -r "$memory" ] && read -r folder <"$memory" && [ -d "$folder/lib" ]; then export RETOUCH_LIBTORCH=$folder; fi
}

propose_cuda() {
  has_driver || return 0
  [ -n "${RETOUCH_LIBTORCH:-}" ] || has_library 'libtorch_cuda\.so' \
    || say "an NVIDIA driver is there; ${cuda_advice:-"'./retouch --cuda doctor' sets up a libtorch that uses it"}"
}

# --- native libraries --------------------------------------------------------------------------------------------------------------

# Inputs of the native build: its sources, the requested libtorch, and linked libraries.
native_fingerprint() {
  {
    fingerprint native eng/build-native.sh
    printf '%s\n' "${RETOUCH_LIBTORCH:-}" "${RETOUCH_CACHE:-}"
    stat -L -c '%n %s %Y' "${RETOUCH_LIBTORCH:-/nowhere}"/lib/libtorch_cpu.so "${RETOUCH_LIBTORCH:-/nowhere}"/build-version \
      /usr/lib/*/libtorch_cpu.so 2>/dev/null
  } | sha256sum | cut -c1-16
}

native_listing() { stat -L -c '%n %s' "$1"/*.so 2>/dev/null; }

# Sets $native to the folder of the built libraries if they are complete and up to date, else fails.
find_native() {
  local expected
  native_stamp=$artifacts/native/stamps/$(native_fingerprint)
  [ -r "$native_stamp" ] || return 1
  { read -r native && IFS= read -r -d '' expected; } <"$native_stamp" || true
  [ -n "$expected" ] && [ "$(native_listing "$native")" = "${expected%$'\n'}" ]
}

build_native() {
  find_native && return 0 # another start built it while this one waited
  install_packages || return $?
  if [ -r "$native_stamp" ]; then
    # Truncated by a full disk, or modified: remove the cached parts, too, which the build would reuse. Folders of other
    # checkouts have separate links and are unaffected.
    say "the native libraries that were built are gone or damaged"
    rm -rf "$native" "${RETOUCH_CACHE:-$HOME/.cache/retouch}"/native/*-*
  fi
  propose_cuda
  quietly "building the native libraries" bash "$root/eng/build-native.sh" all || return 4
  native=$(readlink -f "$artifacts/native/current") || return 4
  # Packages may have been installed since the computation of the stamp's name.
  native_stamp=$artifacts/native/stamps/$(native_fingerprint)
  mkdir -p "$(dirname "$native_stamp")"
  { printf '%s\n' "$native" && native_listing "$native"; } >"$native_stamp.$$" \
    || { rm -f "$native_stamp.$$"; say "the native build left no libraries"; return 4; }
  mv "$native_stamp.$$" "$native_stamp"
}

# Sets and exports RETOUCH_NATIVE, building first if needed. An existing RETOUCH_NATIVE is the user's choice.
ensure_native() {
  [ -z "${RETOUCH_NATIVE+set}" ] || return 0
  [ -d "$root/native" ] || return 0
  choose_libtorch
  # After a start with --cuda, the libraries may be those of another libtorch.
  [ -z "${want_cuda:-}" ] || [ -z "$(missing_packages)" ] || with_build_lock install_packages || return $?
  find_native || with_build_lock build_native || return $?
  export RETOUCH_NATIVE=$native
}

# --- the command line --------------------------------------------------------------------------------------------------------------

require_dotnet() {
  command -v dotnet >/dev/null \
    || fail "the .NET 10 SDK is missing; install it (https://dotnet.microsoft.com/download) and put 'dotnet' on the PATH"
  (cd "$root" && dotnet --version >/dev/null 2>&1) \
    || fail "the .NET SDK that global.json asks for is missing: $(cd "$root" && dotnet --version 2>&1 | tr '\n' ' ')"
}

# dotnet_build PROJECT: builds without a persistent build server.
dotnet_build() {
  (cd "$root" && dotnet build "$1" -c Release -v quiet -nologo -nodeReuse:false -p:UseSharedCompilation=false)
}

cli_fingerprint() {
  fingerprint src demo ablations native eng Directory.Build.props Directory.Build.targets Directory.Packages.props global.json .editorconfig
}

# Copies the built command line into a separate folder, so that a later build does not replace the files of a running training.
install_cli() {
  local folder=$root/artifacts/launch/$1 old
  if [ ! -e "$folder/Retouch.Cli.dll" ]; then
    rm -rf "$folder"
    mkdir -p "$folder.$$"
    cp -R "$root/artifacts/bin/Retouch.Cli/release/." "$folder.$$/"
    : >"$folder.$$/.in-use"
    mv "$folder.$$" "$folder"
  fi
  for old in "$root"/artifacts/launch/*/; do
    old=${old%/}
    [ "$old" = "$folder" ] && continue
    # A program that runs from a folder holds a shared lock on its .in-use.
    [ ! -e "$old/.in-use" ] || flock -n -x "$old/.in-use" true || continue
    rm -rf "$old"
  done
}

build_cli() {
  local key
  key=$(cli_fingerprint)
  [ ! -e "$root/artifacts/launch/$key/Retouch.Cli.dll" ] || return 0
  require_dotnet
  quietly "building the command line" dotnet_build src/Retouch.Cli/Retouch.Cli.csproj || return 4
  install_cli "$key"
}

# Sets $cli to the folder of the built command line, building first if needed.
ensure_cli() {
  cli=$root/artifacts/launch/$(cli_fingerprint)
  [ -e "$cli/Retouch.Cli.dll" ] || with_build_lock build_cli || return $?
}
