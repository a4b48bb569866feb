#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes tests/formats/fixtures/foreign.tar.xz: FAT12, FAT16, FAT32, exFAT and UFS1 (both byte orders) with long names, deleted files, and
# deleted files whose first clusters another file has by now; SHA256SUMS is what was put in. None of the program's code is used.
# Root (for a loop device), dosfstools, mtools, exfatprogs, exfat-fuse, makefs. Usage: foreign.sh OUTPUT_DIR
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
export MTOOLS_SKIP_CHECK=1
OUT=$(cd "$1" && pwd)
T=$(mktemp -d)
cd "$T"
mkdir foreign put em
fill() { yes "$2" 2>/dev/null | head -c "$3" > "put/$1" || true; }
fill "short.txt" "hello" 12
fill "A long name, with spaces, ünïcode and 数据 in it.log" "line of a log" 100000
fill "gone.dat" "deleted" 30000
fill "reused.dat" "was here before" 20000
fill "later.dat" "came later" 5000
fill "kept.dat" "stays" 20000
(cd put && sha256sum -- * > ../foreign/SHA256SUMS)
fat() { # NAME SIZE OPTIONS
  local image=foreign/$1 size=$2; shift 2
  truncate -s "$size" "$image" && mkfs.fat "$@" "$image" > /dev/null
  mmd -i "$image" ::/Ordner ::/Ordner/sub
  mcopy -i "$image" put/short.txt ::/SHORT.TXT
  mcopy -i "$image" "put/A long name, with spaces, ünïcode and 数据 in it.log" ::/Ordner/sub/
  mcopy -i "$image" put/gone.dat ::/Ordner/gone_with_a_long_name.dat
  mcopy -i "$image" put/reused.dat ::/Ordner/reused.dat
  mcopy -i "$image" put/kept.dat ::/Ordner/kept.dat
  mdel -i "$image" ::/Ordner/reused.dat
  mcopy -i "$image" put/later.dat ::/Ordner/sub/later.dat
  mdel -i "$image" ::/Ordner/gone_with_a_long_name.dat
}
fat fat12 2M -F 12
fat fat16 16M -F 16 -s 4
fat fat32 40M -F 32 -s 1
truncate -s 8M foreign/exfat && mkfs.exfat foreign/exfat > /dev/null
loop=$(losetup -f --show foreign/exfat)
blockdev --setrw "$loop"
mount.exfat-fuse "$loop" em > /dev/null
mkdir -p em/Ordner/sub
cp put/short.txt em/SHORT.TXT
cp "put/A long name, with spaces, ünïcode and 数据 in it.log" em/Ordner/sub/
cp put/gone.dat em/Ordner/gone_with_a_long_name.dat
cp put/reused.dat em/Ordner/reused.dat
cp put/kept.dat em/Ordner/kept.dat
umount em && sleep 1
mount.exfat-fuse "$loop" em > /dev/null
rm em/Ordner/reused.dat
cp put/later.dat em/Ordner/sub/later.dat
rm em/Ordner/gone_with_a_long_name.dat
umount em && sleep 1
losetup -d "$loop"
mkdir -p tree/etc tree/home/deep
cp put/* tree/home/
ln -s /etc/passwd tree/etc/link
ln tree/home/short.txt tree/etc/hard
for n in $(seq 100); do echo "$n" > "tree/home/deep/n$n"; done
makefs -t ffs -o version=1 -B le -s 2m foreign/ufs1 tree > /dev/null
makefs -t ffs -o version=1 -B be -s 2m foreign/ufs1-be tree > /dev/null
tar -cJf "$OUT/foreign.tar.xz" foreign
rm -r "$T"
