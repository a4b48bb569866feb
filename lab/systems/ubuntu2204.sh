#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a disk laid out as Ubuntu 22.04's cloud image on its first day: GPT with p14 (BIOS boot), p15 (EFI) and p1, an ext4
# named cloudimg-rootfs; /bin, /lib and /sbin are links into /usr; netplan, cloud-init, snaps, dpkg's database.
# Ubuntu's registry cannot be reached here, so nothing of Ubuntu itself is in it: dpkg installs small packages with its
# names and places (debs.py), and the logs are written after the programs' documented forms. Made by Debian's own dpkg,
# sfdisk, mkfs.ext4 and mksquashfs where it is there. Root on Debian 12. Usage: ubuntu2204.sh OUTPUT.raw WORK
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=$1
W=$2
rm -rf "$W" && mkdir -p "$W/root"
R=$W/root
ROOT_MIB=64
mkdir -p "$R"/usr/{bin,sbin,lib,lib64,local/bin,share/zoneinfo} "$R"/{boot/efi,dev,etc,home/ubuntu/.ssh,media,mnt,opt,proc,root/.ssh,run,snap/bin,srv,sys,tmp} \
  "$R"/var/{log/{apt,journal,unattended-upgrades},lib/{snapd/snaps,cloud/{data,instances},apt/lists},tmp,spool/cron/crontabs,cache}
for d in bin sbin lib lib64; do ln -s "usr/$d" "$R/$d"; done
ln -s /run "$R/var/run"
python3 "$HERE/debs.py" "$R" "$W/packages" > "$W/debs.log" 2>&1
dpkg-divert --root="$R" --local --rename --add /usr/sbin/netplan > /dev/null 2>&1 # an administrator keeps another one aside
cp "$R/usr/sbin/netplan.distrib" "$R/usr/sbin/netplan"
mkdir -p "$R/etc/alternatives"
ln -s /usr/bin/vim.basic "$R/etc/alternatives/vim" && ln -s /etc/alternatives/vim "$R/usr/bin/vim"
ln -s dash "$R/usr/bin/sh"
ln -s ../usr/lib/os-release "$R/etc/os-release"
ln -s /usr/share/zoneinfo/Asia/Shanghai "$R/etc/localtime"
echo Asia/Shanghai > "$R/etc/timezone"
echo web03 > "$R/etc/hostname"
echo 7c1e5b0a9d8f4e3b8a7c6d5e4f302112 > "$R/etc/machine-id"
printf 'LABEL=cloudimg-rootfs\t/\t ext4\tdiscard,errors=remount-ro\t0 1\nLABEL=UEFI\t/boot/efi\tvfat\tumask=0077\t0 1\n' > "$R/etc/fstab"
mkdir -p "$R"/etc/{netplan,sudoers.d,cloud/cloud.cfg.d,ssh/sshd_config.d,systemd/system/multi-user.target.wants}
printf '# This file is generated from information provided by the datasource.\nnetwork:\n    ethernets:\n        ens3:\n            dhcp4: true\n            match:\n                macaddress: fa:16:3e:11:22:33\n            set-name: ens3\n    version: 2\n' > "$R/etc/netplan/50-cloud-init.yaml"
printf '# Created by cloud-init v. 23.2.2-0ubuntu0~22.04.1 on Sat, 08 Nov 2025 01:02:03 +0000\n\n# User rules for ubuntu\nubuntu ALL=(ALL) NOPASSWD:ALL\n' > "$R/etc/sudoers.d/90-cloud-init-users"
chmod 440 "$R/etc/sudoers.d/90-cloud-init-users"
printf 'Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\nX11Forwarding yes\nPrintMotd no\nSubsystem sftp\t/usr/lib/openssh/sftp-server\n' > "$R/etc/ssh/sshd_config"
printf 'PasswordAuthentication no\n' > "$R/etc/ssh/sshd_config.d/60-cloudimg-settings.conf"
KEY='ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICJ/S44m7WlYbJBriEB+EUL0AI60jfiwkkAHA7/0xMCQ lab'
echo "$KEY" > "$R/home/ubuntu/.ssh/authorized_keys"
echo "no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command=\"echo 'Please login as the user \\\"ubuntu\\\" rather than the user \\\"root\\\".';echo;sleep 10;exit 142\" $KEY" > "$R/root/.ssh/authorized_keys"
chmod 600 "$R"/{home/ubuntu,root}/.ssh/authorized_keys
cp "$R/etc/skel/.bashrc" "$R/home/ubuntu/.bashrc"
printf 'sudo apt update\nsudo snap list\ncloud-init status --long\n' > "$R/home/ubuntu/.bash_history"
printf 'root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nsshd:x:106:65534::/run/sshd:/usr/sbin/nologin\nubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/bash\nlxd:x:999:100::/var/snap/lxd/common/lxd:/bin/false\n' > "$R/etc/passwd"
printf 'root:x:0:\ndaemon:x:1:\nadm:x:4:syslog,ubuntu\nsudo:x:27:ubuntu\nlxd:x:119:ubuntu\nubuntu:x:1000:\n' > "$R/etc/group"
printf 'root:*:19590:0:99999:7:::\ndaemon:*:19590:0:99999:7:::\nsshd:*:19590:0:99999:7:::\nubuntu:!:20400:0:99999:7:::\nlxd:!:20400::::::\n' > "$R/etc/shadow"
chmod 640 "$R/etc/shadow"
# snaps: the packed file, its mount unit, the empty mount point and the link of its program
mkdir -p "$W/core20/meta" "$R/snap/core20/1974" "$R/snap/lxd/24322" && echo 'name: core20' > "$W/core20/meta/snap.yaml"
if command -v mksquashfs > /dev/null; then mksquashfs "$W/core20" "$R/var/lib/snapd/snaps/core20_1974.snap" -quiet -no-progress > /dev/null; else
  { printf 'hsqs'; head -c 8188 /dev/zero; } > "$R/var/lib/snapd/snaps/core20_1974.snap"; fi
ln -s /usr/bin/snap "$R/snap/bin/lxc" && ln -s 1974 "$R/snap/core20/current"
printf '[Unit]\nDescription=Mount unit for core20, revision 1974\nAfter=snapd.mounts-pre.target\n\n[Mount]\nWhat=/var/lib/snapd/snaps/core20_1974.snap\nWhere=/snap/core20/1974\nType=squashfs\nOptions=nodev,ro,x-gdu.hide,x-gvfs-hide\nLazyUnmount=yes\n\n[Install]\nWantedBy=snapd.mounts.target\nWantedBy=multi-user.target\n' > "$R/etc/systemd/system/snap-core20-1974.mount"
ln -s ../snap-core20-1974.mount "$R/etc/systemd/system/multi-user.target.wants/snap-core20-1974.mount"
echo '{"data":{"auth":{},"seed-time":"2025-11-08T01:02:30Z"},"changes":{},"tasks":{}}' > "$R/var/lib/snapd/state.json"
# cloud-init
I=$R/var/lib/cloud/instances/i-0a1b2c3d4e5f60718 && mkdir -p "$I/scripts" "$I/sem"
ln -s /var/lib/cloud/instances/i-0a1b2c3d4e5f60718 "$R/var/lib/cloud/instance"
echo i-0a1b2c3d4e5f60718 > "$R/var/lib/cloud/data/instance-id"
printf '#cloud-config\nssh_authorized_keys:\n  - %s\n' "$KEY" > "$I/user-data.txt"
cat > "$R/var/log/cloud-init.log" <<'T'
2025-11-08 01:02:01,312 - util.py[DEBUG]: Cloud-init v. 23.2.2-0ubuntu0~22.04.1 running 'init-local' at Sat, 08 Nov 2025 01:02:01 +0000. Up 6.11 seconds.
2025-11-08 01:02:03,004 - cc_users_groups.py[DEBUG]: Adding user ubuntu
2025-11-08 01:02:03,101 - util.py[DEBUG]: Writing to /etc/sudoers.d/90-cloud-init-users - ab: [440] 83 bytes
T
printf 'Cloud-init v. 23.2.2-0ubuntu0~22.04.1 finished at Sat, 08 Nov 2025 01:02:20 +0000. Datasource DataSourceNone.  Up 25.30 seconds\n' > "$R/var/log/cloud-init-output.log"
cat > "$R/var/log/auth.log" <<'T'
Nov  8 09:02:04 web03 useradd[612]: new user: name=ubuntu, UID=1000, GID=1000, home=/home/ubuntu, shell=/bin/bash, from=none
Nov  8 09:10:11 web03 sshd[1402]: Accepted publickey for ubuntu from 10.20.0.5 port 50122 ssh2: ED25519 SHA256:1vT0w8mXkqk3jQJ6m2Zz3bq1g4f0yJ9kHc5vQp8sWdA
Nov  8 09:10:11 web03 sshd[1402]: pam_unix(sshd:session): session opened for user ubuntu(uid=1000) by (uid=0)
Nov  8 09:10:40 web03 sudo:   ubuntu : TTY=pts/0 ; PWD=/home/ubuntu ; USER=root ; COMMAND=/usr/bin/apt update
Nov  8 09:10:40 web03 sudo: pam_unix(sudo:session): session opened for user root(uid=0) by ubuntu(uid=1000)
Nov  8 09:11:02 web03 sudo: pam_unix(sudo:session): session closed for user root
T
cat > "$R/var/log/syslog" <<'T'
Nov  8 09:02:20 web03 systemd[1]: Mounting Mount unit for core20, revision 1974...
Nov  8 09:02:21 web03 snapd[702]: daemon.go:243: started snapd/2.58+22.04.1 (series 16; classic) ubuntu/22.04 (amd64) linux/5.15.0-83-generic.
Nov  8 09:17:01 web03 CRON[1500]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)
T
printf '\nStart-Date: 2025-11-08  09:10:52\nCommandline: apt install vim\nRequested-By: ubuntu (1000)\nInstall: vim:amd64 (2:8.2.3995-1ubuntu2.13)\nEnd-Date: 2025-11-08  09:10:58\n' > "$R/var/log/apt/history.log"
printf '2025-11-08 06:12:01,201 INFO Starting unattended upgrades script\n2025-11-08 06:12:03,900 INFO No packages found that can be upgraded unattended and no pending auto-removals\n' > "$R/var/log/unattended-upgrades/unattended-upgrades.log"
: > "$R/var/log/btmp" && : > "$R/var/log/wtmp"
chown -R 1000:1000 "$R/home/ubuntu"

rm -f "$OUT" && truncate -s $((112 + ROOT_MIB + 1))M "$OUT"
sfdisk -q "$OUT" <<T
label: gpt
label-id: 2D8A1C44-9E0B-4F7D-8B15-6C3E5A7F9012
disk14 : start=2048, size=8192, type=21686148-6449-6E6F-744E-656564454649
disk15 : start=10240, size=217088, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
disk1 : start=229376, size=$((ROOT_MIB * 2048)), type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
T
mkfs.vfat -F 32 -n UEFI -i 5A3C1B77 --offset 10240 "$OUT" 108544 > /dev/null 2>&1
rm -f "$W/root.raw" && truncate -s "${ROOT_MIB}M" "$W/root.raw"
mkfs.ext4 -q -L cloudimg-rootfs -d "$R" "$W/root.raw"
dd if="$W/root.raw" of="$OUT" bs=1M seek=112 conv=notrunc,sparse status=none
rm "$W/root.raw"
echo "made $OUT"
