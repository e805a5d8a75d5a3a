# Debian roots for tests on other releases; sourced by bench/engines.sh and bench/fresh.sh, which set $roots (a folder) and define
# fail MESSAGE. Must be run as root. DEBIAN_MIRROR is the package source (default: this machine's); DEBOOTSTRAP_OPTIONS are passed on.
# shellcheck shell=bash
# Mounts in a root (proc, dev, the .NET SDK) are removed at the end of the script.

sdk=$(dirname "$(readlink -f "$(command -v dotnet)")")
mirror=${DEBIAN_MIRROR:-$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)}

mounted=()
cleanup() { for m in "${mounted[@]}"; do umount "$m" 2>/dev/null || true; done; }
trap cleanup EXIT
bind() {
  mkdir -p "$2"
  mountpoint -q "$2" || { mount --bind "$1" "$2" && mounted=("$2" "${mounted[@]}"); }
}

# base_root SUITE NAME: a minimal root $roots/NAME of a Debian release with the .NET SDK, created if missing.
base_root() {
  local suite=$1 into=$roots/$2
  [ "$(id -u)" = 0 ] || fail "making Debian roots takes root"
  command -v debootstrap >/dev/null || apt-get install -y debootstrap >/dev/null
  # A release unknown to this machine's debootstrap is created like sid.
  [ -e "/usr/share/debootstrap/scripts/$suite" ] || ln -s sid "/usr/share/debootstrap/scripts/$suite"
  # An interrupted debootstrap leaves no root.
  if [ ! -d "$into" ]; then
    rm -rf --one-file-system "$into.part"
    # shellcheck disable=SC2086
    debootstrap ${DEBOOTSTRAP_OPTIONS:-} --variant=minbase --include=ca-certificates "$suite" "$into.part" $mirror || return
    mv "$into.part" "$into"
  fi
  cp /etc/resolv.conf /etc/hosts "$into/etc/"
  # The certificates that this machine trusts, for package sources behind a proxy.
  cp /etc/ssl/certs/ca-certificates.crt "$into/etc/ssl/certs/"
  cp /etc/apt/apt.conf.d/* "$into/etc/apt/apt.conf.d/" 2>/dev/null || true
  bind /proc "$into/proc"
  bind /dev "$into/dev"
  # Pseudo-terminals, for the tests of the terminal.
  bind /dev/pts "$into/dev/pts"
  bind "$sdk" "$into$sdk"
  ln -sf "$sdk/dotnet" "$into/usr/bin/dotnet"
}
