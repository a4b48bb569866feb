#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes tests/formats/fixtures/{mdraid,lvm,luks,stack}.tar.xz: arrays, volume groups and ciphers made by Debian's own
# mdadm, lvm2, cryptsetup and kernel in a QEMU guest, since most kernels of test machines cannot. None of the program's
# code is used. Root on Debian 12; packages: qemu-system-x86 busybox-static mdadm lvm2 cryptsetup-bin e2fsprogs xfsprogs
# fdisk cpio kmod xz-utils and (downloaded, not installed) Debian's kernel. Usage: make.sh OUTPUT_DIR [xfs4|deleted]; with the
# word it makes tests/formats/fixtures/xfs4.tar.xz or deleted-xfs.tar.xz alone
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=$(cd "$1" && pwd)
PART=${2:-}
W=${LAB_WORK:-/tmp/lab}
T=$W/volumes
mkdir -p "$T" && cd "$T"

if [ ! -d "$W/kernel" ]; then
  mkdir -p kernel.tmp
  (cd kernel.tmp && apt-get -qq download "$(apt-cache depends linux-image-amd64 | awk '/Depends/{print $2; exit}')" \
    && dpkg-deb -x linux-image-*.deb . && rm -f linux-image-*.deb)
  mv kernel.tmp "$W/kernel"
fi
KVER=$(basename "$W"/kernel/lib/modules/*)

# --- initramfs: busybox, the tools with their libraries, the modules with what they depend on
rm -rf root && mkdir -p root/{bin,sbin,etc/lvm,proc,sys,dev,run/lock,tmp,work,lib/modules}
cp /bin/busybox root/bin/
for tool in mdadm lvm cryptsetup mkfs.ext4 mkfs.xfs sfdisk; do
  path=$(PATH=$PATH:/usr/sbin:/sbin command -v "$tool")
  cp -L "$path" "root/sbin/$tool"
  ldd "$path" | grep -o '/[^ ]*' | while read -r lib; do
    mkdir -p "root$(dirname "$lib")" && cp -Ln "$lib" "root$lib"
  done
done
depmod -b "$W/kernel" "$KVER"
names="virtio_pci virtio_blk ext4 xfs loop linear raid0 raid1 raid10 raid456 dm-mod dm-crypt dm-mirror dm-raid dm-snapshot
 dm-thin-pool dm-integrity essiv xts cbc aesni_intel sha256_generic crc32c_generic nls_utf8"
: > root/modules.order
for name in $names; do
  modprobe -d "$W/kernel" -S "$KVER" --show-depends "$name" 2>/dev/null | awk '$1 == "insmod" {print $2}'
done | awk '!seen[$0]++' | while read -r file; do
  cp "$file" root/lib/modules/ && basename "$file" >> root/modules.order
done
cat > root/etc/lvm/lvm.conf <<'CONF'
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 verify_udev_operations = 0 }
devices { use_devicesfile = 0 obtain_device_list_from_udev = 0 external_device_info_source = "none" md_component_detection = 0 }
global { event_activation = 0 thin_check_executable = "" use_lvmpolld = 0 }
backup { backup = 0 archive = 0 }
CONF
cp "$HERE/init" "$HERE"/guest*.sh root/ && chmod +x root/init
(cd root && find . | cpio -o -H newc --quiet | gzip -1) > initrd.gz

# --- the disk on which the guest works; content by which every block can be told from every other
awk 'BEGIN { for (i = 0; i < 4096; i++) printf "block %08d %4081s", i, "\n" }' > pattern.raw
[ "$(stat -c %s pattern.raw)" = 16777216 ]
rm -f work.raw && truncate -s 1G work.raw
mkdir -p seed && cp pattern.raw seed/
mkfs.ext4 -q -O ^has_journal -d seed work.raw
timeout --foreground "${LAB_TIMEOUT:-1800}" qemu-system-x86_64 -accel tcg -cpu max -m 1024M -no-reboot -nic none \
  -nodefaults -display none -serial file:console -monitor none -drive file=work.raw,format=raw,if=virtio \
  -kernel "$W"/vmlinuz -initrd initrd.gz -append "console=ttyS0 quiet panic=1${PART:+ lab=$PART}"
tail -3 console
grep -q 'LAB COMPLETE' console
rm -rf made && mkdir made
debugfs -R "rdump /out made" work.raw 2>/dev/null
for set in made/out/*/; do
  name=$(basename "$set")
  (cd made/out && tar --sort=name --mtime=2026-11-22 --owner=0 --group=0 --numeric-owner --sparse -cf "$T/$name.tar" "$name")
  xz -T1 -f -k --lzma2=preset=3,dict=64MiB,nice=273 "$T/$name.tar"
  cp "$T/$name.tar.xz" "$OUT/"
  ls -l "$OUT/$name.tar.xz"
done
