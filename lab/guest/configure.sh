#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Configures the server's userland in the chroot given as $1, as its first administrator would have.
set -euo pipefail
G=$1
W=${LAB_WORK:-/tmp/lab}
HERE=$(cd "$(dirname "$0")" && pwd)
run() { chroot "$G" "$@"; }
for n in "null 1 3" "zero 1 5" "urandom 1 9"; do
  # shellcheck disable=SC2086
  set -- $n
  [ -c "$G/dev/$1" ] || mknod -m 666 "$G/dev/$1" c "$2" "$3"
done

# --- identity, clock, network
echo web01 > "$G/etc/hostname"
printf '127.0.0.1\tlocalhost\n10.20.0.15\tweb01.corp.example web01\n10.20.0.8\tdb01.corp.example db01\n10.20.0.5\tmirror.corp.example mirror\n' > "$G/etc/hosts"
echo 8f3b6e0b1d5a4c0f9e2d7a6c5b4a3920 > "$G/etc/machine-id"
printf 'nameserver 10.20.0.1\n' > "$G/etc/resolv.conf"
ln -sf /usr/share/zoneinfo/Asia/Shanghai "$G/etc/localtime"
echo Asia/Shanghai > "$G/etc/timezone"
cat > "$G/etc/fstab" <<'F'
# <file system> <mount point> <type> <options> <dump> <pass>
UUID=6f1d1f4e-3c55-4f0c-9d0a-7b1f0f2a9c11 / ext4 errors=remount-ro 0 1
LABEL=lab-usr /usr ext4 defaults 0 2
F
cat > "$G/etc/network/interfaces" <<'F'
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
	address 10.20.0.15/24
	gateway 10.20.0.1
F
echo 'deb [trusted=yes] http://mirror.corp.example/debian ./' > "$G/etc/apt/sources.list"
printf 'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\nBinary::apt::APT::Keep-Downloaded-Packages "false";\nAPT::Keep-Downloaded-Packages "false";\n' \
  > "$G/etc/apt/apt.conf.d/50web01"

# --- people
run useradd -m -s /bin/bash -c 'Alice Zhao' -G sudo,adm alice
run useradd -m -s /bin/bash -c 'Bob Qian' -G sudo,adm bob
run useradd -m -s /bin/bash -c 'Deployment' -G www-data deploy
printf 'root:%s\nalice:Tian-Shan-8848\nbob:qianB0b#2024\ndeploy:deploy2025\n' "$(head -c 15 /dev/urandom | base64)" | run chpasswd
for u in root alice bob deploy; do run chage -d 2026-10-30 $u; done
printf 'deploy ALL=(root) NOPASSWD: /usr/bin/find\n' > "$G/etc/sudoers.d/deploy"
chmod 440 "$G/etc/sudoers.d/deploy"
mkdir -p "$W/keys"
for k in alice ci attacker; do
  c=$k@desk
  [ $k = ci ] && c=ci@build
  [ $k = attacker ] && c=root@kali
  [ -e "$W/keys/$k" ] || ssh-keygen -q -t ed25519 -N '' -C "$c" -f "$W/keys/$k"
done
for p in alice:alice ci:deploy; do
  u=${p#*:}
  mkdir -p "$G/home/$u/.ssh"
  cp "$W/keys/${p%:*}.pub" "$G/home/$u/.ssh/authorized_keys"
  chmod 700 "$G/home/$u/.ssh"
  run chown -R "$u:$u" "/home/$u/.ssh"
done
printf 'LANG=C.UTF-8\n' > "$G/etc/default/locale"
rm -f "$G"/etc/ssh/ssh_host_*
for t in ed25519 ecdsa; do
  [ -e "$W/keys/host_$t" ] || ssh-keygen -q -t $t -N '' -C root@web01 -f "$W/keys/host_$t"
  cp -p "$W/keys/host_$t" "$G/etc/ssh/ssh_host_${t}_key"
  cp -p "$W/keys/host_$t.pub" "$G/etc/ssh/ssh_host_${t}_key.pub"
done
printf "\nexport HISTTIMEFORMAT='%%F %%T '\n" >> "$G/root/.bashrc"

# --- services
sed -i 's/^17 \*/17 *\/4/' "$G/etc/crontab"
mkdir -p "$G/var/log/journal"
run chgrp systemd-journal /var/log/journal
chmod 2755 "$G/var/log/journal"
sed -i 's/^#SystemMaxUse=.*/SystemMaxUse=40M/' "$G/etc/systemd/journald.conf"
sed -i 's/weekly/daily/; s/rotate 4/rotate 14/' "$G/etc/logrotate.d/rsyslog"
cp "$HERE/nginx-site" "$G/etc/nginx/sites-available/default"
sed -i 's/^pm = dynamic/pm = static/; s/^pm.max_children = .*/pm.max_children = 2/' "$G/etc/php/8.2/fpm/pool.d/www.conf"
cat > "$G/etc/audit/rules.d/web01.rules" <<'F'
-w /etc/passwd -p wa -k identity
-w /etc/shadow -p wa -k identity
-w /etc/sudoers.d -p wa -k identity
-w /etc/cron.d -p wa -k persistence
-w /etc/systemd/system -p wa -k persistence
-w /root/.ssh -p wa -k persistence
-a always,exit -F arch=b64 -S execve -F auid>=1000 -F auid!=unset -F euid=0 -k root-exec
-a always,exit -F arch=b64 -S execve -F uid=33 -k web-exec
F
mkdir -p "$G/root/.ssh"
chmod 700 "$G/root/.ssh"
run systemctl enable auditd ssh nginx php8.2-fpm rsyslog cron >/dev/null 2>&1 || true
run systemctl mask systemd-timesyncd e2scrub_all.timer e2scrub_reap.service fstrim.timer getty@tty1.service \
  serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer phpsessionclean.timer dpkg-db-backup.timer >/dev/null 2>&1

rm -f "$G/etc/cron.d/php" "$G/etc/cron.d/e2scrub_all"

# --- the site, the agent, the backup
rm -rf "$G"/var/www/html
cp -a "$HERE/html" "$G/var/www/html"
mkdir -p "$G/var/www/html/uploads" "$G/opt/ops" "$G/opt/node-agent" "$G/srv/backup"
run chown -R deploy:www-data /var/www/html
run chown www-data:www-data /var/www/html/uploads
install -m 755 "$HERE/backup.sh" "$G/opt/ops/backup.sh"
install -m 755 "$HERE/agent.sh" "$G/opt/node-agent/agent.sh"
install -m 644 "$HERE/node-agent.service" "$G/etc/systemd/system/node-agent.service"
install -m 644 "$HERE/diag.conf" "$G/etc/tmpfiles.d/diag.conf"
run systemctl enable node-agent.service >/dev/null 2>&1
printf 'SHELL=/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n30 2 * * * root /opt/ops/backup.sh >>/var/log/backup.log 2>&1\n' > "$G/etc/cron.d/backup"
printf '#!/bin/sh -e\n# local start-up\nsysctl -q -w net.core.somaxconn=1024\nexit 0\n' > "$G/etc/rc.local"
chmod 755 "$G/etc/rc.local"
python3 "$HERE/make_data.py" "$G/srv/data"

# --- the lab's stand-in for an encrypter lies on /usr, which is not evidence; see README.md
install -m 755 "$HERE/lab-xor" "$G/usr/sbin/lab-xor"
