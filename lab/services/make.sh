#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Logs that the programs of Debian 12 write themselves: a root with every service that Debian has of those Headwater reads,
# used for ten minutes in namespaces of its own (no network but loopback, an empty environment). The logs are then in
# WORK/root/var/log; parts of them are the fixtures tests/golden/*/real*.
# Root on Debian 12 with a package mirror; packages: mmdebstrap util-linux iproute2 openssl openssh-client. Usage: make.sh WORK
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
R=$1/root
if [ "${2:-}" = inside ]; then
  mount --make-rprivate /
  mount --bind $R $R
  mount -t tmpfs tmpfs $R/dev; for n in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do IFS=: read a b c <<< $n; mknod -m 666 $R/dev/$a c $b $c; done
  mkdir $R/dev/pts $R/dev/shm $R/dev/net; mount -t devpts -o newinstance,ptmxmode=666 devpts $R/dev/pts; ln -s pts/ptmx $R/dev/ptmx; mount -t tmpfs tmpfs $R/dev/shm; mknod $R/dev/net/tun c 10 200; ln -s /proc/self/fd $R/dev/fd
  mount -t proc proc $R/proc; mount -t tmpfs tmpfs $R/run; mount -t tmpfs tmpfs $R/tmp; chmod 1777 $R/tmp
  ip link set lo up; ip addr add 192.0.2.50/32 dev lo; hostname app01
  chroot $R /bin/bash /opt/inside.sh
  exit
fi
mkdir -p "$1"
if [ ! -d "$R" ]; then
  mmdebstrap --mode=root --variant=important --components=main \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --aptopt='APT::Install-Recommends "false"' --include=linux-image-cloud-amd64,openssh-server,openssh-client,systemd-sysv,sudo,cron,at,dbus,rsyslog,polkitd,locales,tzdata,ca-certificates,nginx-light,apache2,libapache2-mod-security2,php-fpm,php-cli,haproxy,tomcat10,mariadb-server,postgresql,redis-server,redis-tools,vsftpd,postfix,dovecot-imapd,dovecot-pop3d,samba,smbclient,openvpn,fail2ban,ufw,nftables,iptables,auditd,docker.io,podman,systemd-coredump,unattended-upgrades,zsh,fish,vim,less,python3,sqlite3,curl,ftp,netcat-openbsd,logrotate,e2fsprogs,iproute2,libpam-tmpdir,lighttpd,acl,attr,busybox-static,procps,psmisc,screen,python3-systemd,wget,git,libcap2-bin,quota \
    bookworm "$R" "deb http://deb.debian.org/debian bookworm main" \
    "deb http://deb.debian.org/debian-security bookworm-security main"
  bash "$HERE/configure.sh" "$R"
fi
# nothing of the machine that this runs on: at(1) and others write their environment down
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root unshare -m -p -f -n -i -u bash "$HERE/make.sh" "$1" inside
