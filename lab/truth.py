# SPDX-License-Identifier: Apache-2.0
"""Write TRUTH.json from what the lab did: the drivers' own records, beside the digests of the media.

Usage: truth.py LAB_WORK SAMPLE_DIR. Each step names the files that should show it and a text in them; the script looks
each one up in the finished image with debugfs and notes how many lines hold it (null for what is not text), so that a
reader sees at once if a program logged something else than the story says. No analysis tool is asked.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

STAGES = {
    "abnormal_login": ("abnormal-login", "异常登录"),
    "exploitation": ("exploitation", "漏洞利用"),
    "privilege_escalation": ("privilege-escalation", "提权"),
    "persistence": ("persistence", "持久化"),
    "lateral_movement": ("lateral-outbound", "横向/对外攻击"),
    "exfiltration_encryption": ("exfiltration-encryption", "数据外泄/加密"),
}
COVERING = {"log_cleaning", "history_cleaning"}
AUTH, WEB, AUDIT = "/var/log/auth.log", "/var/log/nginx/access.log", "/var/log/audit/audit.log"
ROOT_HISTORY, CRON_FILE = "/root/.bash_history", "/etc/cron.d/sysd-update"
UNIT = "/etc/systemd/system/sysd-net.service"
# step -> (what happened, in two languages, and (path, text) that shows it; text None: the thing itself is the evidence)
STORY: dict[str, tuple[str, str, list[tuple[str, str | None]]]] = {
    "recon": (
        "周日晚间少量口令猜测与网页探测；当日 auth.log.1 后被删除，journal 与 btmp 仍有",
        "A few guesses and a look at the site on Sunday evening; its auth log was removed, journal and btmp keep it",
        [("/var/log/nginx/access.log.1", "203.0.113.66"), ("/var/log/btmp", None)],
    ),
    "guessing": (
        "203.0.113.66 对 12 个账户口令猜测",
        "Password guessing from 203.0.113.66 on twelve names",
        [(AUTH, "Failed password for"), (AUTH, "from 203.0.113.66"), ("/var/log/btmp", None)],
    ),
    "first_login": (
        "deploy 以弱口令从未见过的地址登录成功",
        "deploy logs in with a weak password from an address never seen before",
        [
            (AUTH, "Accepted password for deploy from 203.0.113.66"),
            ("/home/deploy/.bash_history", "sudo -l"),
            ("/var/log/lastlog", None),
        ],
    ),
    "web_commands": (
        "198.51.100.23 经 /cmd.php 执行命令（明文、百分号编码、加号）",
        "Commands through /cmd.php from 198.51.100.23, plain, percent-encoded and with plus signs",
        [
            (WEB, '198.51.100.23 - - ["GET /cmd.php?cmd='),
            (WEB, "/cmd.php?cmd=%77%68%6f%61%6d%69"),
            (AUDIT, 'key="web-exec"'),
        ],
    ),
    "web_shell": (
        "写入 WebShell img_thumb.php（内容无害）并以 POST 访问",
        "Web shell img_thumb.php written (inert) and called by POST",
        [("/var/www/html/uploads/img_thumb.php", "@eval($_POST"), (WEB, "POST /uploads/img_thumb.php")],
    ),
    "sudo_find": (
        "deploy 滥用 NOPASSWD 的 find 取得 root shell",
        "deploy turns the NOPASSWD find into a root shell",
        [
            (AUTH, "COMMAND=/usr/bin/find . -exec /bin/sh"),
            ("/etc/sudoers.d/deploy", "NOPASSWD: /usr/bin/find"),
            (AUDIT, 'key="root-exec"'),
        ],
    ),
    "uid0_account": (
        "新增 UID 0 账户 sysd0",
        "New UID-0 account sysd0",
        [
            ("/etc/passwd", "sysd0:x:0:0:"),
            ("/etc/shadow", "sysd0:$y$"),
            (AUTH, "new user: name=sysd0, UID=0"),
            (AUDIT, 'key="identity"'),
        ],
    ),
    "cron_entry": (
        "/etc/cron.d/sysd-update 每 10 分钟执行 upd.sh",
        "/etc/cron.d/sysd-update runs upd.sh every ten minutes",
        [
            (CRON_FILE, "/var/lib/.sysd/upd.sh"),
            ("/var/lib/.sysd/upd.sh", "inert specimen"),
            ("/var/log/cron.log", "/var/lib/.sysd/upd.sh"),
        ],
    ),
    "systemd_unit": (
        "新增并启用 sysd-net.service",
        "Unit sysd-net.service written and enabled",
        [(UNIT, "ExecStart=/var/lib/.sysd/upd.sh"), ("/var/log/syslog", "sysd-net.service")],
    ),
    "root_key": (
        "root 的 authorized_keys 植入公钥",
        "A key planted in root's authorized_keys",
        [("/root/.ssh/authorized_keys", "root@kali"), (ROOT_HISTORY, "authorized_keys")],
    ),
    "rc_local": (
        "rc.local 插入启动行",
        "A line put into rc.local",
        [("/etc/rc.local", "/var/lib/.sysd/upd.sh &")],
    ),
    "root_login": (
        "以植入的公钥登录 root",
        "root logs in by the planted key",
        [(AUTH, "Accepted publickey for root from 203.0.113.66")],
    ),
    "internal_scan": ("扫描 10.20.0.8 的端口", "Ports of 10.20.0.8 scanned", [(ROOT_HISTORY, "nc -zv -w1 10.20.0.8")]),
    "ssh_db01": (
        "ssh 尝试 dbadmin@10.20.0.8（两次失败），以同一弱口令登录 deploy@10.20.0.8 成功",
        "ssh to dbadmin@10.20.0.8 fails twice, deploy@10.20.0.8 succeeds with the same weak password",
        [(ROOT_HISTORY, "@10.20.0.8"), ("/root/.ssh/known_hosts", "|1|")],
    ),
    "outbound_attack": (
        "对外扫描 192.0.2.240–247 的 22 端口，并试图反弹 shell 到 198.51.100.99:4444（被拒）",
        "Outbound scan of port 22 on 192.0.2.240-247, and a reverse shell to 198.51.100.99:4444 that was refused",
        [(ROOT_HISTORY, "nc -zv -w1 192.0.2."), (ROOT_HISTORY, "/dev/tcp/198.51.100.99/4444")],
    ),
    "exfiltration": (
        "打包 /srv/data 并以 curl -T 上传到 198.51.100.99，随后删除压缩包",
        "/srv/data packed and uploaded to 198.51.100.99 by curl -T, the archive removed",
        [(ROOT_HISTORY, "tar czf /var/tmp/.d.tgz"), (ROOT_HISTORY, "curl -s -T /var/tmp/.d.tgz")],
    ),
    "encryption": (
        "/srv/data 全部文件被异或并改名为 *.encrypted，留下勒索说明",
        "Every file of /srv/data XORed and renamed to *.encrypted, a note left",
        [
            ("/srv/data/README_RESTORE.txt", "YOUR FILES HAVE BEEN ENCRYPTED"),
            (ROOT_HISTORY, "unset HISTFILE"),
        ],
    ),
    "log_cleaning": (
        "删除 auth.log.1，wtmp 六条记录清零；该会话无历史",
        "auth.log.1 removed, six records of wtmp overwritten with zeros; that session left no history",
        [
            ("/var/log/wtmp", None),
        ],
    ),
    "history_cleaning": (
        "删改 deploy 的历史、删除 /tmp/.x；清理会话以 unset HISTFILE 开始",
        "deploy's history edited, /tmp/.x removed; the cleaning session began with unset HISTFILE",
        [("/home/deploy/.bash_history", "sudo find")],
    ),
}


def image_file(part: Path, path: str) -> bytes | None:
    """The content of a file of the finished image, None when it is not there; .gz is opened."""
    done = subprocess.run(["debugfs", "-R", f"cat {path}", str(part)], capture_output=True, check=True)
    if b"File not found" in done.stderr:
        return None
    return gzip.decompress(done.stdout) if path.endswith(".gz") else done.stdout


def lines_with(part: Path, path: str, text: str) -> int:
    """How many lines of a file hold the text (``[`` in a web log stands before the time, which is skipped)."""
    data = image_file(part, path)
    if data is None:
        return 0
    if '["' in text:
        pattern = re.escape(text).replace(re.escape('["'), r'\[[^]]*\] "')
        return sum(1 for line in data.decode("utf-8", "replace").splitlines() if re.search(pattern, line))
    return sum(1 for line in data.split(b"\n") if text.encode() in line)


def digest(path: Path) -> dict[str, str | int]:
    """Size and digests of one file."""
    data = path.read_bytes()
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest()}


def acts(work: Path, name: str) -> list[dict[str, Any]]:
    """The driver's record of one week; stops the lab if an event of the week failed."""
    rows = [json.loads(line) for line in (work / f"run-{name}/actions.jsonl").read_text("utf-8").splitlines()]
    failed = [r for r in rows if r["act"] == "failure"]
    if failed:
        sys.exit(f"{name}: {failed[0]['trace']}")
    return rows


def refused(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Passwords that the server refused, by address and name, as the clients counted them."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for r in rows:
        if r["act"] == "guess":
            table[r["source"]][r["user"]] += r["refused"]
        elif r["act"] == "login" and r["failed_first"]:
            table[r["source"]][r["user"]] += r["failed_first"]
    return {a: dict(sorted(n.items())) for a, n in sorted(table.items())}


def grouped(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each step's mark with the intruder's rows of it; a new login opens the step whose mark comes next."""
    out: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    coming: list[dict[str, Any]] = []
    waiting = False
    for r in rows:
        if r["act"] == "step":
            out.append((r, [*coming, r]))
            coming, waiting = [], False
        elif is_intruder(r):
            waiting = waiting or (r["act"] == "login" and len(out[-1][1]) > 1)
            (coming if waiting else out[-1][1]).append(r)
    return out


def steps(rows: list[dict[str, Any]], part: Path) -> list[dict[str, Any]]:
    """The intrusion's steps in order, each with its time, its end, and what shows it."""
    out = []
    for r, mine in grouped(rows):
        zh, en, shows = STORY[r["id"]]
        stage, stage_zh = ("anti-forensics", "反取证") if r["id"] in COVERING else STAGES[r["stage"]]
        step = {"id": r["id"], "stage": stage, "stage_zh": stage_zh, "technique": r["technique"]}
        step |= {"from": mine[0].get("began", mine[0]["t"]), "until": mine[-1]["t"]}
        step |= {"source_ip": r["source"], "account": r["account"], "target": r.get("target")}
        step["text"] = {"zh": zh, "en": en}
        step["commands"] = [x.get("line") or x.get("query") for x in mine if x["act"] in ("type", "web")]
        step["shows"] = [
            {"path": p, "holds": t, "lines": None if t is None else lines_with(part, p, t)} for p, t in shows
        ]
        out.append(step)
    return out


def is_intruder(row: dict[str, Any]) -> bool:
    """Whether a row of the record is of the intruder's making."""
    return (
        row.get("who") == "intruder" or row.get("source") in ("203.0.113.66", "198.51.100.23") or row["act"] == "step"
    )


def wtmp(rows: list[dict[str, Any]], part: Path) -> dict[str, Any]:
    """Which records of wtmp were zeroed, from the intruder's own arithmetic."""
    said = next(r["said"] for r in rows if r["act"] == "wtmp")
    n = int(re.findall(r"records=(\d+)", said)[-1])
    data = image_file(part, "/var/log/wtmp") or b""
    zeroed = [i for i in range(len(data) // 384) if not any(data[i * 384 : i * 384 + 384])]
    if zeroed != list(range(n - 7, n - 1)):
        sys.exit(f"wtmp: {zeroed} zeroed, expected six before {n - 1}")
    return {"record_size": 384, "zeroed_records": zeroed, "first_byte": (n - 7) * 384, "bytes": 6 * 384}


def main(work: Path, out: Path) -> None:
    """Gather everything and write TRUTH.json."""
    truth: dict[str, Any] = {
        "host": "web01",
        "zone": "Asia/Shanghai",
        "installed": "2026-10-30",
        "media": {},
        "twins": {},
    }
    for name in ("web01", "benign01"):
        disk = work / f"run-{name}/disk.raw"
        part = work / "part.raw"
        part.write_bytes(disk.read_bytes()[1 << 20 :])
        rows = [*acts(work, "week"), *acts(work, name)]
        truth["media"][name] = {
            "raw": digest(disk),
            "e01": digest(out / f"{name}.E01"),
            "partition": "GPT, one ext4 at sector 2048",
        }
        twin: dict[str, Any] = {"first": rows[0]["t"], "last": rows[-1]["t"], "refused_passwords": refused(rows)}
        twin["logins"] = [
            {k: r[k] for k in ("t", "user", "source", "failed_first")}
            for r in rows
            if r["act"] == "login" and r["who"] != "intruder"
        ]
        if name == "web01":
            twin["intrusion"] = steps(rows, part)
            twin["wtmp"] = wtmp(rows, part)
            twin["uploaded"] = next(
                {k: r[k] for k in ("t", "path", "client", "size")} for r in rows if r["act"] == "drop_put"
            )
            data = subprocess.run(
                ["fls", "-r", "-p", "-u", str(part)], capture_output=True, text=True, check=True
            ).stdout
            twin["encrypted_files"] = sum(1 for line in data.splitlines() if line.endswith(".encrypted"))
            twin["missing"] = [
                p for p in ("/var/log/auth.log.1", "/var/tmp/.d.tgz", "/tmp/.x/lp.sh") if image_file(part, p) is None
            ]
        truth["twins"][name] = twin
        part.unlink()
    (out / "TRUTH.json").write_text(json.dumps(truth, ensure_ascii=False, indent=1) + "\n", "utf-8")
    for step in truth["twins"]["web01"]["intrusion"]:
        for s in step["shows"]:
            print(f"{step['id']:17} {s['lines']!s:>5} {s['path']} {s['holds'] or ''}")


main(Path(sys.argv[1]), Path(sys.argv[2]))
