#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Starts the services without an init, lets exercise.sh use them, and ends them in order.
set +e
export LC_ALL=C.UTF-8 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p /run/sshd /run/php /run/mysqld /run/postgresql /run/redis /run/lock /run/haproxy /run/fail2ban /run/dbus /run/systemd /run/samba /var/run/vsftpd/empty; chown mysql /run/mysqld; chown postgres /run/postgresql; chown redis /run/redis; chown haproxy /run/haproxy
sed -i '/imklog/s/^/#/' /etc/rsyslog.conf; sed -i 's/SysSock.Use="off"//' /etc/rsyslog.conf /etc/rsyslog.d/* 2>/dev/null
rsyslogd; sleep 1; logger start
/usr/sbin/sshd; cron; atd; apachectl start; nginx; lighttpd -f /etc/lighttpd/lighttpd.conf; php-fpm8.2 -D; 
mkdir -p /var/log/mysql; chown mysql:adm /var/log/mysql; ls /var/lib/mysql | head -3; su mysql -s /bin/sh -c 'mariadbd > /tmp/mdb.txt 2>&1 &'; sleep 3; true; su postgres -c '/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf > /dev/null 2>&1 &'
su redis -s /bin/sh -c 'redis-server /etc/redis/redis.conf --daemonize yes --logfile /var/log/redis/redis-server.log'
haproxy -D -f /etc/haproxy/haproxy.cfg; vsftpd /etc/vsftpd.conf & 
postfix start; dovecot; smbd -D; nmbd -D; dbus-daemon --system --fork; (/usr/lib/polkit-1/polkitd --no-debug &) ; sed -i 's/backend=systemd/backend=auto\nlogpath=\/var\/log\/auth.log/' /etc/fail2ban/jail.d/lab.conf; (fail2ban-server -b -s /run/fail2ban/fail2ban.sock -p /run/fail2ban/fail2ban.pid)
(cd /etc/openvpn/server; openvpn --config server.conf --daemon)
(JAVA_HOME=$(ls -d /usr/lib/jvm/*-amd64 | head -1) CATALINA_HOME=/usr/share/tomcat10 CATALINA_BASE=/var/lib/tomcat10 su -s /bin/sh tomcat -c '/usr/libexec/tomcat10/tomcat-start.sh > /var/log/tomcat10/catalina.out 2>&1 &')
export JAVA_HOME=$(ls -d /usr/lib/jvm/*-amd64 | head -1)
sleep 25
timeout 600 bash /opt/exercise.sh > /opt/exercise.out 2>&1
smbcontrol all shutdown; fail2ban-client -s /run/fail2ban/fail2ban.sock stop; redis-cli shutdown; su postgres -c '/usr/lib/postgresql/15/bin/pg_ctl -D /var/lib/postgresql/15/main stop -m fast'; mysqladmin shutdown; postfix stop; doveadm stop; nginx -s quit; apachectl stop; killall -q haproxy openvpn java vsftpd sshd; logger end; sleep 2; killall -q rsyslogd cron atd; sleep 1
true
