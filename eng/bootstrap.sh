# Sourced by ./retouch and ./test: brings a bare Debian machine to where the code builds. Needs $root, the repository's folder.
# Everything is said on stderr; what succeeds leaves one line, what fails shows its whole log. Every failure ends with exit code 4.

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_GENERATE_ASPNET_CERTIFICATE=false
# OpenMP threads that spin on busy cores can slow a training step twentyfold.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"

say() { printf 'retouch: %s\n' "$*" >&2; }
fail() { say "$*"; exit 4; }

# quietly WHAT COMMAND...: says what is done, keeps the output in artifacts/log, shows it only when the command fails; warnings are shown in
# any case. The lock's descriptor is closed for the command: a build server that outlives it must not keep the lock.
quietly() {
  local what=$1 log=$root/artifacts/log/${1//[^a-zA-Z0-9]/-}.log status=0 started=$SECONDS
  shift
  mkdir -p "$root/artifacts/log"
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
  mkdir -p "$root/artifacts"
  {
    flock -n 9 || { say "another start is building; waiting for it"; flock 9; }
    "$@"
  } 9>"$root/artifacts/.build.lock"
}

# fingerprint PATH...: changes whenever a file below the paths is added, removed or written. Build outputs lie outside (artifacts/).
fingerprint() {
  (cd "$root" && find "$@" -type f -printf '%p %s %T@\n' 2>/dev/null | LC_ALL=C sort | sha256sum | cut -c1-16)
}

# --- what the machine must have ---------------------------------------------------------------------------------------------------

has_library() { ldconfig -p 2>/dev/null | grep -q "$1" || /sbin/ldconfig -p 2>/dev/null | grep -q "$1"; }

# Prints the Debian packages that are missing, one a line.
missing_packages() {
  command -v g++ >/dev/null || echo g++
  command -v make >/dev/null || command -v ninja >/dev/null || echo make
  command -v cmake >/dev/null || echo cmake
  command -v pkg-config >/dev/null || echo pkg-config
  { command -v pkg-config >/dev/null && pkg-config --exists vips; } || echo libvips-dev
  if [ -z "${RETOUCH_LIBTORCH:-}" ]; then
    [ -e /usr/include/torch/csrc/api/include/torch/version.h ] || echo libtorch-dev
    # Without it Debian's libtorch multiplies matrices on the reference BLAS, forty times slower.
    has_library 'libopenblas\.so\.0' || echo libopenblas0
  fi
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
  local by_hand="apt-get update && apt-get install -y --no-install-recommends $missing"
  if [ "$(id -u)" -ne 0 ]; then
    by_hand="sudo apt-get update && sudo apt-get install -y --no-install-recommends $missing"
    if ! command -v sudo >/dev/null; then
      say "these packages are missing and there is no sudo to install them with: $missing"
      say "as root, run: ${by_hand//sudo /}"
      return 4
    fi
    # Without a terminal nobody can type a password.
    if [ -t 0 ] && [ -t 2 ]; then lift="sudo"; else lift="sudo -n"; fi
  fi
  if [ -n "${RETOUCH_NO_INSTALL:-}" ] || ! command -v apt-get >/dev/null; then
    say "these packages are missing (Debian's names): $missing"
    say "install them: $by_hand"
    return 4
  fi
  [ "$lift" != sudo ] || sudo -v || true
  # shellcheck disable=SC2086  # a list of package names
  if ! quietly "installing $missing with apt" apt_install "$lift" $missing || [ -n "$(missing_packages)" ]; then
    say "could not install: $(missing_packages | tr '\n' ' ')"
    say "run this, then start again: $by_hand"
    return 4
  fi
}

# --- native libraries --------------------------------------------------------------------------------------------------------------

# What the native build depends on: its sources, the libtorch that is asked for, and the libraries it links.
native_fingerprint() {
  {
    fingerprint native eng/build-native.sh
    printf '%s\n' "${RETOUCH_LIBTORCH:-}" "${RETOUCH_CACHE:-}"
    stat -L -c '%n %s %Y' "${RETOUCH_LIBTORCH:-/nowhere}"/lib/libtorch_cpu.so "${RETOUCH_LIBTORCH:-/nowhere}"/build-version \
      /usr/lib/*/libtorch_cpu.so /usr/lib/*/libvips.so 2>/dev/null
  } | sha256sum | cut -c1-16
}

native_listing() { stat -L -c '%n %s' "$1"/*.so 2>/dev/null; }

# Sets $native to the folder of the built libraries if they are up to date and whole, else fails.
find_native() {
  local expected
  native_stamp=$root/artifacts/native/stamps/$(native_fingerprint)
  [ -r "$native_stamp" ] || return 1
  { read -r native && IFS= read -r -d '' expected; } <"$native_stamp" || true
  [ -n "$expected" ] && [ "$(native_listing "$native")" = "${expected%$'\n'}" ]
}

build_native() {
  find_native && return 0 # another start built it while this one waited
  install_packages || return $?
  if [ -r "$native_stamp" ]; then
    # Cut short by a full disk, or tampered with: the build would find its parts in the cache and believe them. Folders of other
    # checkouts hold links of their own and stay.
    say "the native libraries that were built are gone or damaged"
    rm -rf "$native" "${RETOUCH_CACHE:-$HOME/.cache/retouch}"/native/*-*
  fi
  quietly "building the native libraries" "$root/eng/build-native.sh" all || return 4
  native=$(readlink -f "$root/artifacts/native/current") || return 4
  # Packages may have been installed since the stamp's name was worked out.
  native_stamp=$root/artifacts/native/stamps/$(native_fingerprint)
  mkdir -p "$(dirname "$native_stamp")"
  { printf '%s\n' "$native" && native_listing "$native"; } >"$native_stamp.$$" \
    || { rm -f "$native_stamp.$$"; say "the native build left no libraries"; return 4; }
  mv "$native_stamp.$$" "$native_stamp"
}

# Sets and exports RETOUCH_NATIVE, building first where needed. A RETOUCH_NATIVE that is set already is the user's choice.
ensure_native() {
  [ -z "${RETOUCH_NATIVE+set}" ] || return 0
  [ -d "$root/native" ] || return 0
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

# dotnet_build PROJECT: no build server is left behind.
dotnet_build() {
  (cd "$root" && dotnet build "$1" -c Release -v quiet -nologo -nodeReuse:false -p:UseSharedCompilation=false)
}

cli_fingerprint() { fingerprint src demo Directory.Build.props Directory.Packages.props global.json .editorconfig; }

# Copies the built command line into a folder of its own, so that a later build does not pull the files from under a running training.
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
    # Whoever runs from a folder holds a shared lock on its .in-use.
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

# Sets $cli to the folder of the built command line, building first where needed.
ensure_cli() {
  cli=$root/artifacts/launch/$(cli_fingerprint)
  [ -e "$cli/Retouch.Cli.dll" ] || with_build_lock build_cli || return $?
}
