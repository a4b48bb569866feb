#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes sample/dirty-ext4.raw.xz and sample/dirty-xfs.raw.xz: file systems copied while they were mounted, whose last
# files were fsynced and, of their metadata, lie in the journal (log) alone. The kernel writes everything; the lab only
# copies the image at the right moment. Usage: dirty.sh OUTPUT_DIR
set -euo pipefail
OUT=$(cd "$1" && pwd)
T=$(mktemp -d)
trap 'umount -q "$T/m" || true; rm -rf "$T"' EXIT
mkdir "$T/m"

fill_old() { # files that reached their place long before the copy
  mkdir -p "$T/m/var/log" "$T/m/etc"
  echo 'web02' > "$T/m/etc/hostname"
  for i in $(seq 1 40); do echo "2026-11-07T08:$(printf %02d $((i % 60))):00+08:00 web02 app[10$i]: settled line $i"; done \
    > "$T/m/var/log/settled.log"
  sync -f "$T/m"
}

fill_new() { # files that were fsynced a moment before the copy
  mkdir -p "$T/m/srv/late"
  for i in 1 2 3 4 5; do
    { echo "late file $i"; seq $((i * 100)) $((i * 100 + 60)); } > "$T/new"
    dd if="$T/new" of="$T/m/srv/late/late-$i.txt" conv=fsync status=none
  done
  echo 'web02-renamed' > "$T/new"
  dd if="$T/new" of="$T/m/etc/hostname" conv=fsync status=none
  mv "$T/m/var/log/settled.log" "$T/m/var/log/settled.log.1"
  sync_dir "$T/m/var/log"
}

sync_dir() { python3 -c 'import os,sys; d=os.open(sys.argv[1],os.O_RDONLY); os.fsync(d)' "$1"; }

sums() { (cd "$T/m" && find . -type f | LC_ALL=C sort | xargs sha256sum); }

make_one() { # name, size, mkfs command
  local name=$1 size=$2
  shift 2
  truncate -s "$size" "$T/$name.raw"
  "$@" "$T/$name.raw"
  mount -o loop "$T/$name.raw" "$T/m"
  fill_old
  umount "$T/m"
  mount -o loop "$T/$name.raw" "$T/m"
  fill_new
  sums > "$OUT/dirty-$name.sha256"
  # the loop device has written through to the file only what the kernel sent to the disk: that is the crash state
  cp --sparse=always "$T/$name.raw" "$T/$name.copy"
  umount "$T/m"
  xz -9e -c "$T/$name.copy" > "$OUT/dirty-$name.raw.xz"
  sha256sum "$T/$name.copy" | sed "s#$T/$name.copy#dirty-$name.raw#" >> "$OUT/dirty-$name.sha256"
  cp --sparse=always "$T/$name.copy" "${LAB_WORK:-/tmp/lab}/dirty-$name.raw"
  rm "$T/$name.raw" "$T/$name.copy"
}

make_one ext4 16M mkfs.ext4 -q -b 4096 -J size=4 -L dirty-ext4
make_one xfs 300M mkfs.xfs -q -L dirty-xfs
ls -l "$OUT"/dirty-*
