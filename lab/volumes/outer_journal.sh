#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes tests/formats/fixtures/outer-ext4.tar.xz: an ext4 volume and the device of its own on which its journal lies, copied while
# mounted: what the log of logins holds stands in the journal alone (data=journal). None of the program's code is used.
# Root, e2fsprogs, loop mounts. Usage: outer_journal.sh AUTH_LOG OUTPUT_DIR
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
LOG=$(realpath "$1")
OUT=$(cd "$2" && pwd)
T=$(mktemp -d)
cd "$T"
mkdir -p mount outer-ext4
truncate -s 4M volume && truncate -s 5M journal
mke2fs -q -F -O journal_dev -b 1024 journal
outer=$(losetup -f --show journal)
inner=$(losetup -f --show volume)
mkfs.ext4 -q -b 1024 -J "device=$outer" -E lazy_itable_init=0 "$inner"
mount -o data=journal "$inner" mount
mkdir -p mount/etc mount/var/log
echo web01 > mount/etc/hostname
sync
cp "$LOG" mount/var/log/auth.log
sync mount/var/log  # the folder: to sync the file itself would write it out
cp volume journal outer-ext4/
umount mount
losetup -d "$inner" "$outer"
tar -cJf "$OUT/outer-ext4.tar.xz" outer-ext4
rm -r "$T"
