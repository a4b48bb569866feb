#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the fixture of one inode number that several deleted files had one after the other, of a deletion whose journal is
# gone, and of a name in a directory's slack: the kernel's own ext4 driver does it all. Root, a loop device. Usage: generations.sh OUT_DIR
set -euo pipefail
out=$(realpath "$1"); work=$(mktemp -d); trap 'umount "$work/m" 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir -p "$work/m" "$out"; image="$out/generations-ext4.raw"; rm -f "$image" "$image.xz"; truncate -s 12M "$image"
mkfs.ext4 -q -F -b 1024 -J size=2 -U 5e6f0a3c-0000-4000-8000-000000000004 -E hash_seed=5e6f0a3c-0000-4000-8000-000000000005 "$image"
lines() { python3 -c "import sys
for n in range(int(sys.argv[2])): print(f'{sys.argv[1]} line {n} of the file, some words to fill it')" "$1" "$2"; }
: > "$out/generations-ext4.sha256"
mount -o loop "$image" "$work/m"; mkdir "$work/m/tmp"
lines kept 20 > "$work/m/tmp/kept"; sync
for name in first second third; do
  lines $name 200 > "$work/m/tmp/$name"; sync; ls -i "$work/m/tmp/$name"
  (cd "$work/m" && sha256sum ./tmp/$name) >> "$out/generations-ext4.sha256"
  # a file that grows takes the freed blocks; the inode goes to the next one
  rm "$work/m/tmp/$name"; sync; sleep 1
  [ $name = third ] || { lines "after $name" 260 >> "$work/m/tmp/kept"; sync; }
done
umount "$work/m"
xz -9e "$image"; ls -l "$out"
