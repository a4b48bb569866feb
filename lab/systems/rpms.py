# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 — the texts of files stand as they are
"""Makes the packages of a CentOS 8 by rpmbuild and installs them by rpm; the database becomes a Berkeley DB, as CentOS 8 has it.

Names, versions and places are CentOS 8.5's; the programs inside are Debian's, or with ``--small`` a short ELF file each, since
CentOS's own packages cannot be had here. rpm 4.18 writes SQLite alone, so the headers that it wrote are loaded into the hash
that rpm 4.14 reads (key: number of the header, 4 bytes little-endian; value: the header) by db5.3_load.
Usage: rpms.py ROOT DEBIAN_ROOT WORK [--small]
"""

from __future__ import annotations

import shutil
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

# package: version, release, {path: (where in Debian, or text), mode, %config?}
BIN, LIB = 0o755, 0o644
PACKAGES: dict[str, tuple[str, str, dict[str, tuple[str, int]]]] = {
    "bash": ("4.4.20", "2.el8", {"/usr/bin/bash": ("bin/bash", BIN), "/etc/skel/.bashrc": ("=# .bashrc\n", LIB)}),
    "coreutils": ("8.30", "12.el8", {f"/usr/bin/{n}": (f"bin/{n}", BIN) for n in ("ls", "cat", "cp", "rm", "chmod", "date")}),
    "util-linux": ("2.32.1", "28.el8", {
        "/usr/bin/mount": ("bin/mount", 0o4755), "/usr/bin/umount": ("bin/umount", 0o4755), "/usr/bin/su": ("bin/su", 0o4755),
        "/usr/sbin/agetty": ("sbin/agetty", BIN)}),
    "shadow-utils": ("4.6", "14.el8", {
        "/usr/sbin/useradd": ("usr/sbin/useradd", BIN), "/usr/bin/gpasswd": ("usr/bin/gpasswd", 0o4755),
        "/usr/bin/chage": ("usr/bin/chage", 0o4755), "/usr/bin/newgrp": ("usr/bin/newgrp", 0o4755)}),
    "passwd": ("0.80", "3.el8", {"/usr/bin/passwd": ("usr/bin/passwd", 0o4755)}),
    "sudo": ("1.8.29", "7.el8_4.1", {
        "/usr/bin/sudo": ("usr/bin/sudo", 0o4111), "/usr/libexec/sudo/sudoers.so": ("usr/lib/sudo/sudoers.so", LIB),
        "/etc/sudoers": ("=Defaults   !visiblepw\nDefaults    secure_path = /sbin:/bin:/usr/sbin:/usr/bin\nroot\tALL=(ALL) \tALL\n%wheel\tALL=(ALL)\tALL\n", 0o440)}),
    "openssh-server": ("8.0p1", "10.el8", {
        "/usr/sbin/sshd": ("usr/sbin/sshd", BIN), "/usr/libexec/openssh/sftp-server": ("usr/lib/openssh/sftp-server", BIN),
        "/etc/ssh/sshd_config": ("=SyslogFacility AUTHPRIV\nPermitRootLogin yes\nPasswordAuthentication yes\nUsePAM yes\n", 0o600),
        "/usr/lib/systemd/system/sshd.service": ("=[Unit]\nDescription=OpenSSH server daemon\n[Service]\nType=notify\nExecStart=/usr/sbin/sshd -D $OPTIONS\n[Install]\nWantedBy=multi-user.target\n", LIB)}),
    "pam": ("1.3.1", "15.el8", {
        "/usr/lib64/security/pam_unix.so": ("lib/x86_64-linux-gnu/security/pam_unix.so", BIN),
        "/usr/sbin/unix_chkpwd": ("sbin/unix_chkpwd", 0o4755),
        "/etc/pam.d/login": ("=#%PAM-1.0\nauth       substack     system-auth\naccount    include      system-auth\n", LIB)}),
    "glibc": ("2.28", "164.el8", {
        "/usr/lib64/libc-2.28.so": ("lib/x86_64-linux-gnu/libc.so.6", BIN), "/usr/lib64/ld-2.28.so": ("lib64/ld-linux-x86-64.so.2", BIN)}),
    "systemd": ("239", "51.el8", {
        "/usr/lib/systemd/systemd": ("lib/systemd/systemd", BIN), "/usr/lib/systemd/systemd-journald": ("lib/systemd/systemd-journald", BIN),
        "/usr/bin/systemctl": ("bin/systemctl", BIN),
        "/usr/lib/systemd/system/rsyslog.service": ("=[Service]\nExecStart=/usr/sbin/rsyslogd -n $SYSLOGD_OPTIONS\n", LIB)}),
    "cronie": ("1.5.2", "4.el8", {
        "/usr/sbin/crond": ("usr/sbin/cron", BIN), "/usr/bin/crontab": ("usr/bin/crontab", 0o4755),
        "/etc/cron.d/0hourly": ("=# Run the hourly jobs\nSHELL=/bin/bash\nPATH=/sbin:/bin:/usr/sbin:/usr/bin\nMAILTO=root\n01 * * * * root run-parts /etc/cron.hourly\n", LIB)}),
    "cronie-anacron": ("1.5.2", "4.el8", {
        "/etc/anacrontab": ("=SHELL=/bin/sh\nPATH=/sbin:/bin:/usr/sbin:/usr/bin\n1\t5\tcron.daily\t\tnice run-parts /etc/cron.daily\n", LIB),
        "/etc/cron.hourly/0anacron": ("=#!/bin/sh\n/usr/sbin/anacron -s\n", BIN)}),
    "rsyslog": ("8.2102.0", "5.el8", {"/usr/sbin/rsyslogd": ("usr/sbin/rsyslogd", BIN)}),
    "audit": ("3.0", "0.17.20191104git1c2f876.el8", {"/usr/sbin/auditd": ("sbin/auditd", BIN), "/usr/sbin/auditctl": ("sbin/auditctl", BIN)}),
    "platform-python": ("3.6.8", "41.el8", {"/usr/libexec/platform-python3.6": ("usr/bin/gpgv", BIN)}),
    "dnf": ("4.7.0", "4.el8", {"/usr/bin/dnf-3": ("=#!/usr/libexec/platform-python\nimport sys\nfrom dnf.cli import main\nmain.user_main(sys.argv[1:], exit_code=True)\n", BIN)}),
    "centos-linux-release": ("8.5", "1.2111.el8", {
        "/usr/lib/os-release": ('=NAME="CentOS Linux"\nVERSION="8"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="8"\nPLATFORM_ID="platform:el8"\nPRETTY_NAME="CentOS Linux 8"\nANSI_COLOR="0;31"\nCPE_NAME="cpe:/o:centos:centos:8"\n', LIB),
        "/etc/centos-release": ("=CentOS Linux release 8.5.2111\n", LIB)}),
    "setup": ("2.12.2", "6.el8", {"/etc/hosts": ("=127.0.0.1   localhost localhost.localdomain\n", LIB), "/etc/profile": ("=# /etc/profile\n", LIB)}),
    "iproute": ("5.12.0", "4.el8", {"/usr/sbin/ip": ("bin/ip", BIN)}),
}  # fmt: skip
LINKS = {
    "openssh-server": {}, "glibc": {"/usr/lib64/libc.so.6": "libc-2.28.so", "/usr/lib64/ld-linux-x86-64.so.2": "ld-2.28.so"},
    "platform-python": {"/usr/libexec/platform-python": "/usr/libexec/platform-python3.6"},
    "dnf": {"/usr/bin/dnf": "dnf-3", "/usr/bin/yum": "dnf-3"},
    "centos-linux-release": {"/etc/os-release": "../usr/lib/os-release", "/etc/redhat-release": "centos-release", "/etc/system-release": "centos-release"},
}  # fmt: skip
_SMALL = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0)


def stage(folder: Path, debian: Path, files: dict[str, tuple[str, int]], small: bool, package: str) -> list[str]:
    """Put a package's files below ``folder``; gives back its %files lines."""
    lines = []
    for path, (origin, mode) in files.items():
        to = folder / path.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        if origin.startswith("="):
            to.write_text(origin[1:])
        elif small:
            to.write_bytes(_SMALL + f"{package} {path}\n".encode())
        else:
            shutil.copyfile((debian / origin).resolve(), to)
        config = "%config(noreplace) " if path.startswith("/etc/") and "release" not in path else ""
        lines.append(f"{config}%attr({mode:04o}, root, root) {path}")
    for path, target in LINKS.get(package, {}).items():
        to = folder / path.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.symlink_to(target)
        lines.append(path)
    return lines


def build(work: Path, debian: Path, small: bool) -> list[Path]:
    """Every package as an .rpm file."""
    made = []
    for name, (version, release, files) in PACKAGES.items():
        folder = work / "stage" / name
        lines = stage(folder, debian, files, small, name)
        spec = work / f"{name}.spec"
        listed = "\n".join(lines)
        spec.write_text(
            f"Name: {name}\nVersion: {version}\nRelease: {release}\nSummary: {name}\nLicense: as Debian's\nVendor: CentOS\n"
            f"AutoReqProv: no\n%description\n{name}\n%install\nmkdir -p %{{buildroot}}\ncp -a {folder}/. %{{buildroot}}/\n%files\n{listed}\n"
        )
        subprocess.run(
            ["rpmbuild", "--quiet", "-bb", "--nodeps", "--target", "x86_64", "--define", f"_topdir {work}/rpm", "--define",
             "debug_package %{nil}", "--define", "__os_install_post %{nil}", "--define", "_build_id_links none", "--define",
             "_use_weak_usergroup_deps 0", str(spec)],
            check=True,
        )  # fmt: skip
        made.append(work / "rpm/RPMS/x86_64" / f"{name}-{version}-{release}.x86_64.rpm")
    return made


def install(root: Path, made: list[Path]) -> None:
    """Install by rpm, then turn its database into rpm 4.14's."""
    subprocess.run(
        ["rpm", "--root", str(root), "--define", "_dbpath /var/lib/rpm", "-i", "--nodeps", "--noscripts", "--nosignature", "--ignorearch", "--ignoreos",
         *map(str, made)],
        check=True,
    )  # fmt: skip
    folder = root / "var/lib/rpm"
    with sqlite3.connect(folder / "rpmdb.sqlite") as base:
        rows = base.execute("select hnum, blob from Packages order by hnum").fetchall()
    base.close()
    for old in folder.iterdir():
        old.unlink()
    pairs = [(0, struct.pack("<I", rows[-1][0] + 1)), *rows]
    text = "VERSION=3\nformat=bytevalue\ntype=hash\nh_nelem=64\ndb_pagesize=4096\nHEADER=END\n"
    text += "".join(f" {struct.pack('<I', number).hex()}\n {blob.hex()}\n" for number, blob in pairs) + "DATA=END\n"
    subprocess.run(["db5.3_load", str(folder / "Packages")], input=text.encode(), check=True)


if __name__ == "__main__":
    ROOT, DEBIAN, WORK = (Path(a).absolute() for a in sys.argv[1:4])
    WORK.mkdir(parents=True, exist_ok=True)
    install(ROOT, build(WORK, DEBIAN, "--small" in sys.argv))
