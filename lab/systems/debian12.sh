#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes an ext4 image of a real Debian 12 root, from Debian's own packages: dpkg's whole database, journald alone (no
# rsyslog), merged /usr, cloud-init and netplan as its cloud images have them. Quiet: nothing was done on it.
# Root on Debian 12 with a package mirror; packages: mmdebstrap e2fsprogs. Usage: debian12.sh OUTPUT.raw WORK
set -euo pipefail
OUT=$1
R=$2/debian12
mkdir -p "$2"
[ -d "$R" ] || mmdebstrap --mode=root --variant=standard \
  --include=openssh-server,systemd-sysv,sudo,cron,dbus,cloud-init,netplan.io,systemd-timesyncd,nginx-light,ca-certificates,locales,tzdata \
  bookworm "$R" http://deb.debian.org/debian
echo db12 > "$R/etc/hostname"
echo 9a1f5c0d3e7b4a2c8f6e1d2b3c4a5f60 > "$R/etc/machine-id"
ln -sf /usr/share/zoneinfo/Asia/Shanghai "$R/etc/localtime"
echo Asia/Shanghai > "$R/etc/timezone"
chroot "$R" id ops > /dev/null 2>&1 || chroot "$R" useradd -m -s /bin/bash ops
mkdir -p "$R/etc/netplan"
printf 'network:\n  version: 2\n  ethernets:\n    ens3:\n      dhcp4: true\n' > "$R/etc/netplan/50-cloud-init.yaml"
rm -rf "$R"/var/cache/apt/archives/*.deb "$R"/var/lib/apt/lists/*_Packages
rm -f "$OUT" && truncate -s 900M "$OUT"
mkfs.ext4 -q -L root -d "$R" "$OUT"
