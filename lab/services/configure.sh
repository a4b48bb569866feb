#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up the services of a Debian 12 root made by make.sh: accounts, logs asked for, formats of their own. Usage: configure.sh ROOT
set -euo pipefail
R=$1
HERE=$(cd "$(dirname "$0")" && pwd)
printf '#!/bin/sh\nexit 101\n' > $R/usr/sbin/policy-rc.d; chmod 755 $R/usr/sbin/policy-rc.d
echo app01 > $R/etc/hostname; printf '127.0.0.1 localhost app01 shop.example\n::1 localhost\n192.0.2.7 peer\n' > $R/etc/hosts
ln -sf /usr/share/zoneinfo/Asia/Shanghai $R/etc/localtime; echo Asia/Shanghai > $R/etc/timezone
mkdir -p $R/var/log/journal
printf '/dev/vda / ext4 defaults,noatime 0 1\n' > $R/etc/fstab
chroot $R useradd -m -s /bin/bash deploy || true; chroot $R useradd -m -s /usr/bin/zsh alice || true
echo 'deploy:Right-Horse-9' | chroot $R chpasswd; echo 'alice:Other-Horse-9' | chroot $R chpasswd; echo 'root:Root-Horse-9' | chroot $R chpasswd
echo 'deploy ALL=(ALL) ALL' > $R/etc/sudoers.d/deploy; chmod 440 $R/etc/sudoers.d/deploy
printf 'Defaults:deploy log_input,log_output\n' >> $R/etc/sudoers.d/deploy
mkdir -p $R/root/.ssh $R/home/deploy/.ssh; [ -f $R/root/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -C root@app01 -f $R/root/.ssh/id_ed25519
cp $R/root/.ssh/id_ed25519.pub $R/home/deploy/.ssh/authorized_keys; chroot $R chown -R deploy:deploy /home/deploy/.ssh; chmod 700 $R/home/deploy/.ssh
# audit
printf -- '-D\n-b 8192\n-w /etc/passwd -p wa -k identity\n-w /etc/sudoers.d -p wa -k priv\n-a always,exit -F arch=b64 -S execve -F auid>=1000 -F auid!=unset -k cmds\n' > $R/etc/audit/rules.d/10.rules
# mariadb
cat > $R/etc/mysql/mariadb.conf.d/99-lab.cnf <<'X'
[mysqld]
general_log=1
general_log_file=/var/log/mysql/general.log
slow_query_log=1
slow_query_log_file=/var/log/mysql/mariadb-slow.log
long_query_time=0
log_slow_verbosity=query_plan,explain
log_error=/var/log/mysql/error.log
log_bin=/var/log/mysql/mysql-bin
log_warnings=4
X
# postgres
cat > $R/etc/postgresql/15/main/conf.d/lab.conf <<'X'
log_destination='stderr,csvlog,jsonlog'
logging_collector=on
log_directory='/var/log/postgresql'
log_filename='postgresql-%Y-%m-%d.log'
log_connections=on
log_disconnections=on
log_statement='all'
log_duration=on
log_hostname=off
X
# nginx
cat > $R/etc/nginx/conf.d/lab.conf <<'X'
log_format js escape=json '{"time":"$time_iso8601","remote_addr":"$remote_addr","request":"$request","status":"$status","bytes":$body_bytes_sent,"ua":"$http_user_agent","rt":$request_time}';
log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_time $upstream_response_time "$http_x_forwarded_for"';
server { listen 8081; access_log /var/log/nginx/shop.json.access.log js; root /var/www/html; location ~ \.php$ { include fastcgi_params; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; fastcgi_pass unix:/run/php/php8.2-fpm.sock; } }
server { listen 8082; access_log /var/log/nginx/timed-access.log timed; error_log /var/log/nginx/timed-error.log info; location /t/ { proxy_pass http://127.0.0.1:8080/; } location / { proxy_pass http://127.0.0.1:8088; } location /dead { proxy_pass http://127.0.0.1:9; } }
X
sed -i 's/^Listen 80$/Listen 8088/' $R/etc/apache2/ports.conf
cat > $R/etc/apache2/sites-available/000-default.conf <<'X'
LogFormat "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\" %D %{X-Forwarded-For}i" lab
<VirtualHost *:8088>
 ServerName shop.example
 DocumentRoot /var/www/html
 ErrorLog ${APACHE_LOG_DIR}/error.log
 CustomLog ${APACHE_LOG_DIR}/access.log combined
 CustomLog ${APACHE_LOG_DIR}/lab-access.log lab
 CustomLog ${APACHE_LOG_DIR}/other_vhosts_access.log vhost_combined
 <Location /server-status>
  Require ip 192.0.2.1
 </Location>
 <Location /secret>
  AuthType Basic
  AuthName x
  AuthUserFile /etc/apache2/htp
  Require valid-user
 </Location>
</VirtualHost>
X
printf 'bob:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n' > $R/etc/apache2/htp
cp $R/etc/modsecurity/modsecurity.conf-recommended $R/etc/modsecurity/modsecurity.conf
printf 'SecAuditEngine On\nSecRule ARGS "@rx (?i:union.*select)" "id:100001,phase:2,deny,status:403,log,auditlog,msg:'"'"'SQL injection'"'"',tag:'"'"'attack-sqli'"'"',severity:'"'"'CRITICAL'"'"'"\n' >> $R/etc/modsecurity/modsecurity.conf
chroot $R a2enmod -q security2 status auth_basic authn_file authz_user > /dev/null
mkdir -p $R/var/www/html; echo '<?php if (isset($_GET["s"])) sleep(2); if (isset($_GET["e"])) { nofunc(); } error_log("note from page"); echo "hi ".@$undef["x"]; trigger_error("w", E_USER_WARNING); ?>' > $R/var/www/html/i.php; echo '<h1>shop</h1>' > $R/var/www/html/index.html; mkdir -p $R/var/www/html/secret; echo s > $R/var/www/html/secret/x.html
sed -i 's#^;access.log = .*#access.log = /var/log/$pool.access.log#; s#^;slowlog = .*#slowlog = /var/log/php8.2-fpm-slow.log#; s#^;request_slowlog_timeout = .*#request_slowlog_timeout = 1s#; s#^;catch_workers_output.*#catch_workers_output = yes#; s#^;php_flag\[display_errors\].*#php_flag[display_errors] = off#' $R/etc/php/8.2/fpm/pool.d/www.conf
printf '\nphp_admin_value[error_log] = /var/log/php/php_errors.log\nphp_admin_flag[log_errors] = on\n' >> $R/etc/php/8.2/fpm/pool.d/www.conf; mkdir -p $R/var/log/php; chroot $R chown www-data /var/log/php
# lighttpd
sed -i 's/^server.port .*/server.port = 8089/' $R/etc/lighttpd/lighttpd.conf; chroot $R lighty-enable-mod accesslog > /dev/null 2>&1 || true
# haproxy
cat >> $R/etc/haproxy/haproxy.cfg <<'X'
frontend web
  bind 127.0.0.1:8000
  mode http
  option httplog
  capture request header User-Agent len 64
  default_backend ng
backend ng
  mode http
  server n1 127.0.0.1:8081 check
frontend raw
  bind 127.0.0.1:8001
  mode tcp
  option tcplog
  default_backend rd
backend rd
  mode tcp
  server r1 127.0.0.1:6379
frontend dead
  bind 127.0.0.1:8002
  mode http
  option httplog
  default_backend none
backend none
  mode http
  server d1 127.0.0.1:9
X
# vsftpd
printf 'listen=YES\nlisten_ipv6=NO\nanonymous_enable=NO\nlocal_enable=YES\nwrite_enable=YES\nxferlog_enable=YES\ndual_log_enable=YES\nlog_ftp_protocol=NO\nvsftpd_log_file=/var/log/vsftpd.log\nxferlog_file=/var/log/xferlog\nxferlog_std_format=YES\nseccomp_sandbox=NO\nuse_localtime=YES\npam_service_name=vsftpd\n' > $R/etc/vsftpd.conf
# postfix, dovecot
chroot $R postconf -e 'mydestination=app01, localhost' 'inet_interfaces=loopback-only' 'smtpd_recipient_restrictions=reject_unauth_destination' 'myhostname=app01'
printf 'disable_plaintext_auth = no\nauth_verbose = yes\nmail_location = mbox:~/mail:INBOX=/var/mail/%%u\nmail_privileged_group = mail\n' > $R/etc/dovecot/conf.d/99-lab.conf
# samba
cat >> $R/etc/samba/smb.conf <<'X'
[lab]
 path = /srv/lab
 writeable = yes
 vfs objects = full_audit
 full_audit:prefix = %u|%I|%S
 full_audit:success = connect disconnect mkdirat unlinkat renameat openat
 full_audit:failure = connect
X
sed -i 's/^\[global\]/[global]\n log level = 1 auth:3 auth_audit:3/' $R/etc/samba/smb.conf; mkdir -p $R/srv/lab; chmod 777 $R/srv/lab
# fail2ban
printf '[sshd]\nenabled=true\nbackend=systemd\nmaxretry=3\nfindtime=10m\nbantime=5\n[apache-auth]\nenabled=true\nport=http\nlogpath=/var/log/apache2/error.log\nmaxretry=2\nbantime=5\n[DEFAULT]\nbanaction=iptables-multiport\n' > $R/etc/fail2ban/jail.d/lab.conf
sed -i '/127.0.0.1/d' $R/etc/fail2ban/jail.d/*.conf 2>/dev/null; printf '[DEFAULT]\nignoreself=false\nignoreip=192.0.2.254\n' >> $R/etc/fail2ban/jail.d/lab.conf
# openvpn
mkdir -p $R/etc/openvpn/server $R/var/log/openvpn; cd $R/etc/openvpn/server
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=ca -keyout ca.key -out ca.crt 2>/dev/null
for n in server client; do openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$n -keyout $n.key -out $n.csr 2>/dev/null; openssl x509 -req -in $n.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out $n.crt 2>/dev/null; done
printf 'port 1194\nproto udp\nlocal 127.0.0.1\ndev tun\nca ca.crt\ncert server.crt\nkey server.key\ndh none\nserver 10.8.0.0 255.255.255.0\nstatus /var/log/openvpn/openvpn-status.log\nlog-append /var/log/openvpn/openvpn.log\nverb 3\n' > server.conf
cd /
echo '* * * * * deploy /usr/bin/logger -t job tick' > $R/etc/cron.d/tick
systemctl --root=$R disable samba-ad-dc containerd 2>/dev/null || true
for u in nginx apache2 lighttpd haproxy php8.2-fpm tomcat10 mariadb postgresql redis-server vsftpd postfix dovecot smbd nmbd fail2ban auditd docker ssh cron atd rsyslog openvpn-server@server; do systemctl --root=$R enable $u > /dev/null 2>&1 || echo "no $u"; done
cp "$HERE/exercise.sh" "$HERE/inside.sh" "$R/opt/"
