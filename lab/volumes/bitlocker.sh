#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches cryptsetup's own BitLocker test volumes (made by Windows, with known keys and digests) from Debian's source
# package and unpacks them: for tests/formats/test_bitlocker.py, which is skipped without them. They are GPL and 1.9 GB
# unpacked (sparse), so they are not kept here. Usage: bitlocker.sh DIRECTORY, then HEADWATER_BITLOCKER_IMAGES=DIRECTORY
set -euo pipefail
mkdir -p "$1" && cd "$1"
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
mkdir -p "$T"/lists/partial "$T"/cache/archives/partial
echo 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main' > "$T/s.list"
O="-o Dir::Etc::sourcelist=$T/s.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$T/lists -o Dir::Cache=$T/cache"
# shellcheck disable=SC2086
apt-get -qq $O update && (cd "$T" && apt-get -qq $O source --download-only cryptsetup)
tar -xzf "$T"/cryptsetup_*.orig.tar.gz -C "$T" --wildcards '*/tests/bitlk-images.tar.xz'
tar -xJf "$T"/cryptsetup-*/tests/bitlk-images.tar.xz --strip-components=1 --no-same-owner
ls
