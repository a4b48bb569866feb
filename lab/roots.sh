#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the two userlands (the server "guest", the outside "world"), the kernel and the initramfs in $LAB_WORK.
# Debian packages only. Run as root through lab/make.sh.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
W=${LAB_WORK:-/tmp/lab}
mkdir -p "$W"
cd "$W"
SOURCES="deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main"
GUEST=systemd,systemd-sysv,udev,dbus,libpam-systemd,rsyslog,openssh-server,nginx-light,php8.2-fpm,sudo,cron,auditd
GUEST+=,logrotate,curl,wget,rsync,less,vim-tiny,procps,iproute2,iputils-ping,netcat-openbsd,ifupdown,adduser,kmod
GUEST+=,bzip2,xz-utils,openssl,ca-certificates,tzdata,net-tools,e2fsprogs,gpgv
WORLD=python3-minimal,python3-pexpect,openssh-client,dropbear-bin,sshpass,curl,iproute2,procps,tzdata,kmod,e2fsprogs,rsync

[ -d guest.orig ] || { echo "$SOURCES" | mmdebstrap --variant=minbase --include="$GUEST" bookworm guest.orig -; }
[ -d world ] || { echo "$SOURCES" | mmdebstrap --variant=minbase --include="$WORLD" bookworm world -; }

# --- kernel and the modules that the guest really loads
if [ ! -d kernel ]; then
  mkdir -p kernel.tmp
  (cd kernel.tmp && apt-get -qq download "$(apt-cache depends linux-image-amd64 | awk '/Depends/{print $2; exit}')" \
    && dpkg-deb -x linux-image-*.deb . && rm -f linux-image-*.deb)
  mv kernel.tmp kernel
fi
KVER=$(basename kernel/lib/modules/*)

# --- the guest: copied afresh each time, then configured by Debian's own programs in the chroot
rm -rf guest
cp -a guest.orig guest
G=$W/guest
for d in fs/ext4 fs/jbd2 fs/mbcache.ko fs/autofs fs/configfs fs/efivarfs fs/fuse lib/crc16.ko crypto/crc32c_generic.ko \
  drivers/net/veth.ko drivers/nvdimm drivers/acpi/nfit drivers/input/serio drivers/char/hw_random net/packet; do
  src=kernel/lib/modules/$KVER/kernel/$d
  [ -e "$src" ] || continue
  mkdir -p "$G/usr/lib/modules/$KVER/kernel/$(dirname "$d")"
  cp -a "$src" "$G/usr/lib/modules/$KVER/kernel/$(dirname "$d")/"
done
cp kernel/lib/modules/"$KVER"/modules.{order,builtin,builtin.modinfo} "$G/usr/lib/modules/$KVER/"
depmod -b "$G/usr" "$KVER" 2>/dev/null || chroot "$G" depmod "$KVER"
bash "$HERE/guest/configure.sh" "$G"

# --- size: what no examiner misses. Stated in README.md.
rm -f "$G"/var/lib/dpkg/info/*.{md5sums,symbols,shlibs,templates} "$G"/var/cache/debconf/*-old "$G"/var/lib/dpkg/*-old
rm -rf "$G"/etc/ssl/certs/* "$G"/var/lib/apt/lists/* "$G"/var/cache/ldconfig/* "$G"/var/lib/systemd/catalog/* "$G"/etc/php/8.2/cli "$G"/etc/mime.types
: > "$G/var/cache/debconf/templates.dat"
head -40 "$G/etc/ssh/moduli" > "$G/etc/ssh/moduli.new" && cat "$G/etc/ssh/moduli.new" > "$G/etc/ssh/moduli" && rm "$G/etc/ssh/moduli.new"
find "$G"/var/log -type f -exec truncate -s 0 {} +
rm -rf "$G"/dev/* "$G"/run/*

# --- the world: hosts, the dropbear host db01, the package mirror, the driver
for u in deploy dbadmin; do
  chroot world id $u >/dev/null 2>&1 || chroot world useradd -m -s /bin/bash $u
done
printf 'deploy:deploy2025\ndbadmin:%s\n' "$(head -c 12 /dev/urandom | base64)" | chroot world chpasswd
rm -rf world/lab
mkdir -p world/lab/out world/lab/keys world/srv/mirror
cp -a "$HERE"/world/. world/lab/
cp -a "$W"/keys/. world/lab/keys/
cp "$HERE/world/ssh_config" world/etc/ssh/ssh_config
[ -e world/lab/dropbear_key ] || chroot world dropbearkey -t ed25519 -f /lab/dropbear_key >/dev/null 2>&1
if [ ! -e mirror/Packages ]; then
  mkdir -p mirror
  (cd mirror && apt-get -qq download tree pv && dpkg-scanpackages --multiversion . > Packages 2>/dev/null && gzip -k Packages)
fi
cp mirror/* world/srv/mirror/
cp -a "$HERE/boot/install.sh" world/lab/
tar --sort=name --clamp-mtime --mtime='2026-10-30 15:40:00+08:00' --exclude='./usr/*' --numeric-owner -C guest -cpf world/lab/root.tar .

# --- initramfs
rm -rf initramfs && mkdir -p initramfs/{bin,modules,proc,sys,dev,root,world}
cp /bin/busybox initramfs/bin/ 2>/dev/null || cp /usr/bin/busybox initramfs/bin/
n=10
for m in libnvdimm nd_btt nd_pmem nfit crc16 crc32c_generic mbcache jbd2 ext4 veth; do
  f=$(find kernel/lib/modules/"$KVER" -name "$m.ko" | head -1)
  [ -n "$f" ] && cp "$f" "initramfs/modules/$n-$m.ko"
  n=$((n + 1))
done
cp "$HERE/boot/init" initramfs/init
chmod 755 initramfs/init
(cd initramfs && find . | cpio -o -H newc --quiet | gzip -1) > initrd.gz
cp "kernel/boot/vmlinuz-$KVER" vmlinuz

# --- the two disks that are not evidence: /usr of the server, and the world
rm -f usr.raw world.raw
truncate -s 512M usr.raw && mkfs.ext4 -q -O ^has_journal -L lab-usr -d guest/usr usr.raw
truncate -s 512M world.raw && mkfs.ext4 -q -O ^has_journal -L lab-world -d world world.raw
echo "roots ready in $W"
