#!/usr/bin/env bash
# Makes a base image from Debian's packages alone, where no registry can be reached.
# usage: make_base.sh NAME [SUITE] [MIRROR]     as root, with debootstrap installed and a Docker daemon running
#   NAME    of the image, such as embedtune-base:bookworm; then: make images BASE_IMAGE=embedtune-base:bookworm
#   SUITE   a Debian release with Python 3.11 or later; bookworm unless given
#   MIRROR  where the packages are; unless given, the one that apt uses here, else debootstrap's own
# Run it again at every Debian point release: it takes what is newest on the mirror.
set -euo pipefail

name=${1:?"usage: make_base.sh NAME [SUITE] [MIRROR]"}
suite=${2:-bookworm}
docker=${DOCKER:-docker}
sources=(/etc/apt/sources.list.d/debian.sources /etc/apt/sources.list)
mirror=${3:-$(grep -hsE '^(URIs:|deb )' "${sources[@]}" | awk '{print $2}' | grep '^http' | head -n 1 || true)}

command -v debootstrap > /dev/null || { echo "debootstrap is missing; install it: apt-get install debootstrap" >&2; exit 1; }
"$docker" info > /dev/null || { echo "no Docker daemon can be reached with $docker; start dockerd, or name another client: DOCKER=..." >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
# shellcheck disable=SC2086 # no mirror is no argument
debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv "$suite" "$root" $mirror > "$work/log" \
    || { tail -n 20 "$work/log" >&2; exit 1; }

# What a container never reads; who holds which copyright stays.
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/var/log/* \
    "$root"/usr/share/man "$root"/usr/share/info "$root"/usr/share/locale
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/share/doc" -depth -type d -empty -delete

tar --directory "$root" --numeric-owner --create . | "$docker" import --change 'CMD ["bash"]' - "$name" > /dev/null
echo "$name: $("$docker" image inspect --format '{{.Size}}' "$name" | awk '{printf "%.0f MB", $1 / 1e6}'), $suite, Python $("$docker" run --rm --network none "$name" python3 -V | cut -d' ' -f2)"
