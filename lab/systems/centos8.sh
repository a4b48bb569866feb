#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a disk laid out as CentOS 8 leaves it: GPT with an EFI partition, /boot in XFS, and an LVM2 volume group "cl" with
# root in XFS and swap; rpm database in Berkeley DB; logs in the forms that CentOS 8 documents, of one quiet day.
# Made by Debian's own programs (mkfs.xfs, lvm, rpmbuild, rpm, the kernel's XFS); CentOS's packages are not at hand (rpms.py).
# Root on Debian 12; packages: xfsprogs lvm2 fdisk dosfstools rpm db5.3-util; no device-mapper needed. DEBIAN_ROOT is an
# unpacked Debian whose programs are used. Usage: centos8.sh OUTPUT.raw WORK [--small]
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=$1
W=$2
SMALL=${3:-}
DEBIAN_ROOT=${DEBIAN_ROOT:-/}
rm -rf "$W" && mkdir -p "$W"/{root,m,lvm}
R=$W/root
LOOP=
trap 'mountpoint -q "$W/m" && umount "$W/m"; [ -z "$LOOP" ] || losetup -d "$LOOP"' EXIT
BOOT_MIB=32
ROOT_MIB=$([ -n "$SMALL" ] && echo 48 || echo 192)
PV_MIB=$((ROOT_MIB + 24))
GROUP_UUID=b7Yd2c-Qm1k-8nFq-Lw3e-0pZt-Xv5r-Ka9s1H

# --- the tree: packages first, then what installation and a day's life leave
python3 "$HERE/rpms.py" "$R" "$DEBIAN_ROOT" "$W/packages" $SMALL > "$W/rpms.log" 2>&1
mkdir -p "$R"/{boot/efi,dev,home,media,mnt,opt,proc,run,srv,sys,tmp,root,usr/{bin,sbin,lib,lib64,local/bin}} \
  "$R"/var/{log/{audit,anaconda},lib/dnf,lib/systemd,spool/cron,tmp} "$R"/etc/{sysconfig/network-scripts,yum.repos.d,ssh,cron.d,selinux}
for d in bin sbin lib lib64; do ln -s "usr/$d" "$R/$d"; done
ln -s ../run "$R/var/run"
ln -s ../usr/share/zoneinfo/Asia/Shanghai "$R/etc/localtime"
echo db02.example.cn > "$R/etc/hostname"
echo 4f0c3f2b8d5e4c0f9b1a2d3c4e5f6071 > "$R/etc/machine-id"
echo 'LANG="zh_CN.UTF-8"' > "$R/etc/locale.conf"
printf 'SELINUX=enforcing\nSELINUXTYPE=targeted\n' > "$R/etc/selinux/config"
cat > "$R/etc/fstab" <<'T'
# /etc/fstab
# Created by anaconda on Mon Mar  1 09:12:31 2021
/dev/mapper/cl-root     /                       xfs     defaults        0 0
UUID=0f6e2b7a-5c1d-4e8f-9a3b-7d2c4e6f8a01 /boot xfs     defaults        0 0
UUID=7A1B-22C3          /boot/efi               vfat    umask=0077,shortname=winnt 0 2
/dev/mapper/cl-swap     none                    swap    defaults        0 0
T
cat > "$R/etc/passwd" <<'T'
root:x:0:0:root:/root:/bin/bash
bin:x:1:1:bin:/bin:/sbin/nologin
daemon:x:2:2:daemon:/sbin:/sbin/nologin
sshd:x:74:74:Privilege-separated SSH:/var/empty/sshd:/sbin/nologin
ops:x:1000:1000:ops:/home/ops:/bin/bash
T
printf 'root:x:0:\nbin:x:1:\ndaemon:x:2:\nwheel:x:10:ops\nsshd:x:74:\nops:x:1000:\n' > "$R/etc/group"
printf 'root:!!:18687:0:99999:7:::\nbin:*:18397:0:99999:7:::\ndaemon:*:18397:0:99999:7:::\nsshd:!!:18687::::::\nops:$6$lab$invalidhash:18687:0:99999:7:::\n' > "$R/etc/shadow"
chmod 000 "$R/etc/shadow"
printf 'TYPE=Ethernet\nBOOTPROTO=none\nNAME=ens192\nDEVICE=ens192\nONBOOT=yes\nIPADDR=10.20.0.12\nPREFIX=24\nGATEWAY=10.20.0.1\nDNS1=10.20.0.1\n' \
  > "$R/etc/sysconfig/network-scripts/ifcfg-ens192"
printf '[baseos]\nname=CentOS Linux $releasever - BaseOS\nmirrorlist=http://mirrorlist.centos.org/?release=$releasever&arch=$basearch&repo=BaseOS\ngpgcheck=1\nenabled=1\n' \
  > "$R/etc/yum.repos.d/CentOS-Linux-BaseOS.repo"
printf '#version=RHEL8\nlang zh_CN.UTF-8\ntimezone Asia/Shanghai --isUtc\nvolgroup cl --pesize=4096 pv.01\n' > "$R/root/anaconda-ks.cfg"
chmod 600 "$R/root/anaconda-ks.cfg"
mkdir -p "$R/home/ops/.ssh"
printf 'sudo dnf history\ndf -h\nexit\n' > "$R/home/ops/.bash_history"
chmod 600 "$R/home/ops/.bash_history"
chown -R 1000:1000 "$R/home/ops"
: > "$R/root/.bash_history"
KEY='SHA256:1vT0w8mXkqk3jQJ6m2Zz3bq1g4f0yJ9kHc5vQp8sWdA'
cat > "$R/var/log/secure" <<T
Nov  8 09:02:11 db02 sshd[1402]: Accepted publickey for ops from 10.20.0.5 port 50122 ssh2: RSA $KEY
Nov  8 09:02:11 db02 sshd[1402]: pam_unix(sshd:session): session opened for user ops by (uid=0)
Nov  8 09:02:40 db02 sudo[1431]:     ops : TTY=pts/0 ; PWD=/home/ops ; USER=root ; COMMAND=/bin/dnf history
Nov  8 09:02:40 db02 sudo[1431]: pam_unix(sudo:session): session opened for user root by ops(uid=0)
Nov  8 09:02:41 db02 sudo[1431]: pam_unix(sudo:session): session closed for user root
Nov  8 09:10:02 db02 sshd[1402]: pam_unix(sshd:session): session closed for user ops
T
cat > "$R/var/log/messages" <<'T'
Nov  8 08:59:40 db02 kernel: Linux version 4.18.0-348.el8.x86_64 (mockbuild@kbuilder.bsys.centos.org) (gcc version 8.5.0) #1 SMP Tue Oct 19 15:14:17 UTC 2021
Nov  8 08:59:41 db02 systemd[1]: Started OpenSSH server daemon.
Nov  8 08:59:42 db02 NetworkManager[901]: <info>  [1762563582.1150] device (ens192): Activation: successful, device activated.
Nov  8 09:02:11 db02 systemd-logind[880]: New session 1 of user ops.
Nov  8 09:10:02 db02 systemd-logind[880]: Session 1 logged out. Waiting for processes to exit.
T
cat > "$R/var/log/cron" <<'T'
Nov  8 09:01:01 db02 CROND[1390]: (root) CMD (run-parts /etc/cron.hourly)
Nov  8 09:01:01 db02 run-parts[1393]: (/etc/cron.hourly) starting 0anacron
Nov  8 09:01:01 db02 run-parts[1399]: (/etc/cron.hourly) finished 0anacron
T
cat > "$R/var/log/dnf.log" <<'T'
2025-11-08T09:02:40Z INFO --- logging initialized ---
2025-11-08T09:02:40Z DDEBUG timer: config: 3 ms
2025-11-08T09:02:40Z DEBUG DNF version: 4.7.0
T
cat > "$R/var/log/dnf.rpm.log" <<'T'
2025-11-08T09:02:40Z INFO --- logging initialized ---
2025-11-08T09:02:40Z SUBDEBUG Upgrade: sudo-1.8.29-7.el8_4.1.x86_64
2025-11-08T09:02:40Z SUBDEBUG Upgraded: sudo-1.8.29-7.el8.x86_64
T
cat > "$R/var/log/audit/audit.log" <<'T'
type=DAEMON_START msg=audit(1762563580.912:9211): op=start ver=3.0 format=enriched kernel=4.18.0-348.el8.x86_64 auid=4294967295 pid=851 uid=0 ses=4294967295 subj=system_u:system_r:auditd_t:s0 res=success AUID="unset" UID="root"
type=USER_AUTH msg=audit(1762563731.402:118): pid=1402 uid=0 auid=4294967295 ses=4294967295 subj=system_u:system_r:sshd_t:s0-s0:c0.c1023 msg='op=pubkey acct="ops" exe="/usr/sbin/sshd" hostname=? addr=10.20.0.5 terminal=ssh res=success' UID="root" AUID="unset"
T
chmod 600 "$R"/var/log/{secure,messages,cron} "$R/var/log/audit/audit.log"
cp "$HERE/../../tests/golden/linux_dnf_history/history.sqlite" "$R/var/lib/dnf/history.sqlite"
python3 - "$R" <<'T'
import struct, sys
at = 1762563731  # 2025-11-08 09:02:11 +08:00
def row(kind, pid, line, ident, user, host, sec, ip=b""):
    return struct.pack("<hxxi32s4s32s256shhiii16s20x", kind, pid, line, ident, user, host, 0, 0, 0, sec, 0, ip.ljust(16, b"\0"))
ip = bytes((10, 20, 0, 5))
rows = [row(2, 0, b"~", b"~~", b"reboot", b"4.18.0-348.el8.x86_64", at - 151), row(7, 1402, b"pts/0", b"ts/0", b"ops", b"10.20.0.5", at, ip),
        row(8, 1402, b"pts/0", b"", b"", b"", at + 471)]
open(sys.argv[1] + "/var/log/wtmp", "wb").write(b"".join(rows))
open(sys.argv[1] + "/var/log/btmp", "wb").close()
last = bytearray(1001 * 292)
last[1000 * 292:] = struct.pack("<i32s256s", at, b"pts/0", b"10.20.0.5")
open(sys.argv[1] + "/var/log/lastlog", "wb").write(last)
T
chmod 600 "$R/var/log/btmp"

# --- the disk
rm -f "$OUT" && truncate -s $((1 + 34 + BOOT_MIB + PV_MIB + 1))M "$OUT"
sfdisk -q "$OUT" <<T
label: gpt
label-id: 5C2E6A1B-7D3F-4B8A-9E1C-0A2B4C6D8E01
start=2048, size=$((34 * 2048)), type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name="EFI System Partition"
size=$((BOOT_MIB * 2048)), type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
size=$((PV_MIB * 2048)), type=E6D6D379-F507-44C2-A23C-238F2A3DF928
T
EFI=$((1 << 20)) && BOOT=$((35 << 20)) && PV=$(((35 + BOOT_MIB) << 20))
mkfs.vfat -F 32 -s 1 -i 7A1B22C3 --offset 2048 "$OUT" $((34 * 1024)) > /dev/null 2>&1
OPTIONS="-q --unsupported -m crc=1,finobt=1,rmapbt=0,reflink=1,bigtime=0,inobtcount=0 -i sparse=1"
put() { # offset, MiB, label, what goes in
  truncate -s "$2"M "$W/part.raw"
  mkfs.xfs $OPTIONS ${3:+-L "$3"} "$W/part.raw" 2> /dev/null
  mount -o loop "$W/part.raw" "$W/m"
  cp -a "$4"/. "$W/m"/ && chmod 755 "$W/m"
  umount "$W/m"
  dd if="$W/part.raw" of="$OUT" bs=1M seek=$(($1 >> 20)) conv=notrunc,sparse status=none
  rm "$W/part.raw"
}
mkdir -p "$W/boot/loader/entries" "$W/boot/grub2"
printf 'title CentOS Linux (4.18.0-348.el8.x86_64) 8\nversion 4.18.0-348.el8.x86_64\nlinux /vmlinuz-4.18.0-348.el8.x86_64\noptions root=/dev/mapper/cl-root ro crashkernel=auto resume=/dev/mapper/cl-swap rd.lvm.lv=cl/root rd.lvm.lv=cl/swap rhgb quiet\n' \
  > "$W/boot/loader/entries/4f0c3f2b8d5e4c0f9b1a2d3c4e5f6071-4.18.0-348.el8.x86_64.conf"
put "$BOOT" "$BOOT_MIB" "" "$W/boot"
cat > "$W/lvm/lvm.conf" <<'T'
devices { use_devicesfile = 0 obtain_device_list_from_udev = 0 external_device_info_source = "none" }
global { event_activation = 0 use_lvmpolld = 0 }
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
backup { backup = 0 archive = 0 }
T
export LVM_SYSTEM_DIR=$W/lvm
LOOP=$(losetup -f --show -o "$PV" --sizelimit $((PV_MIB << 20)) "$OUT")
{
  pvcreate --driverloaded n --norestorefile -u "$GROUP_UUID" "$LOOP"
  vgcreate --driverloaded n -s 4M cl "$LOOP"
  lvcreate --driverloaded n -an -Zn -Wn -L "${ROOT_MIB}M" -n root cl
  lvcreate --driverloaded n -an -Zn -Wn -L 16M -n swap cl
} > "$W/lvm.log" 2>&1
losetup -d "$LOOP" && LOOP=
put $((PV + (1 << 20))) "$ROOT_MIB" "" "$R"
truncate -s 16M "$W/swap.raw" && mkswap "$W/swap.raw" > /dev/null 2>&1
dd if="$W/swap.raw" of="$OUT" bs=1M seek=$(((PV >> 20) + 1 + ROOT_MIB)) conv=notrunc,sparse status=none
echo "made $OUT: root XFS at $((PV + (1 << 20)))"
