#!/usr/bin/env bash
# Gets what build.sh --aarch64 links with and QEMU runs it with; see usage below.
set -Eeuo pipefail

usage() {
    cat <<'TEXT'
usage: bash aarch64_root.sh FOLDER [PACKAGE...]

Downloads Debian's packages for ARM (arm64) that the C++ program and its tests need, and those named, with all that they
depend on (110 MB), and unpacks them into FOLDER (450 MB), which must not exist. Nothing is installed. On Debian only.
TEXT
}

# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../scripts/common.sh"
answer_help "$@"
[[ $# -ge 1 ]] || wrong_usage "a FOLDER must be given"
target="$(realpath -m -- "$1")"
shift
[[ ! -e "$target" ]] || die 2 "$target exists: name a new folder"
packages=(libopencv-imgcodecs-dev libjpeg-dev libgtest-dev libcli11-dev nlohmann-json3-dev "$@")

mkdir -p -- "$(dirname -- "$target")"
folder="$(mktemp -d -- "$target-XXXXXX")"
trap 'rm -rf -- "$folder"' EXIT
apt="$folder/apt"
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$folder/root"
: >"$apt/status" # of a machine with no package installed
options=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Install-Recommends=false
    -o "Dir::State=$apt" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt" -o APT::Sandbox::User=root)
if ! apt-get "${options[@]}" update || ! apt-get "${options[@]}" install --yes --download-only "${packages[@]}"; then
    die 1 "apt-get cannot download ${packages[*]} for arm64: see its message above"
fi
for package in "$apt"/archives/*.deb; do
    dpkg-deb --extract "$package" "$folder/root"
done
# Installing them would make these links.
for library in blas/libblas.so.3 lapack/liblapack.so.3; do
    ln -s "$library" "$folder/root/usr/lib/aarch64-linux-gnu/"
done
mv -T -- "$folder/root" "$target"
printf 'the packages for ARM are in %s\n' "$target"
