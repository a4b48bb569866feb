# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 — the texts of files stand as they are
"""Makes small packages with the names, versions and places of Ubuntu 22.04 and installs them by dpkg, so that dpkg writes its database.

Ubuntu's registry cannot be reached here: the programs inside are short ELF files, the texts follow the packages' documentation.
Usage: debs.py ROOT WORK
"""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
from pathlib import Path

_ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0)
# package: version, programs (path, mode), texts (path, mode, text); a text below /etc is a conffile unless it is named here
PACKAGES: dict[str, tuple[str, dict[str, int], dict[str, tuple[int, str]]]] = {
    "base-files": ("12ubuntu4.4", {}, {
        "/usr/lib/os-release": (0o644, 'PRETTY_NAME="Ubuntu 22.04.3 LTS"\nNAME="Ubuntu"\nVERSION_ID="22.04"\nVERSION="22.04.3 LTS (Jammy Jellyfish)"\nVERSION_CODENAME=jammy\nID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=jammy\n'),
        "/etc/lsb-release": (0o644, 'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\nDISTRIB_CODENAME=jammy\nDISTRIB_DESCRIPTION="Ubuntu 22.04.3 LTS"\n'),
        "/etc/update-motd.d/00-header": (0o755, '#!/bin/sh\n[ -r /etc/lsb-release ] && . /etc/lsb-release\nprintf "Welcome to %s (%s %s %s)\\n" "$DISTRIB_DESCRIPTION" "$(uname -o)" "$(uname -r)" "$(uname -m)"\n'),
        "/etc/update-motd.d/50-motd-news": (0o755, '#!/bin/sh\n[ "$1" = "--force" ] && FORCED=1\nfor u in $URLS; do\n  curl --connect-timeout "$WAIT" --max-time "$WAIT" -A "$USER_AGENT" -o- "$u" >"$NEWS" 2>"$ERR"\ndone\n'),
    }),
    "bash": ("5.1-6ubuntu1", {"/bin/bash": 0o755}, {"/etc/skel/.bashrc": (0o644, "# ~/.bashrc: executed by bash(1) for non-login shells.\ncase $- in\n    *i*) ;;\n      *) return;;\nesac\nalias ll='ls -alF'\nalias ls='ls --color=auto'\nalias alert='notify-send --urgency=low -i terminal'\n")}),
    "dash": ("0.5.11+git20210903+really0.5.11+git20210903-1ubuntu1", {"/bin/dash": 0o755}, {}),
    "coreutils": ("8.32-4.1ubuntu1", {f"/bin/{n}": 0o755 for n in ("ls", "cat", "cp", "rm", "uname")}, {}),
    "util-linux": ("2.37.2-4ubuntu3", {"/bin/mount": 0o4755, "/bin/umount": 0o4755, "/bin/su": 0o4755, "/sbin/agetty": 0o755}, {}),
    "passwd": ("1:4.8.1-2ubuntu2.1", {"/usr/bin/passwd": 0o4755, "/usr/bin/chsh": 0o4755, "/usr/sbin/useradd": 0o755}, {}),
    "sudo": ("1.9.9-1ubuntu2.4", {"/usr/bin/sudo": 0o4755}, {
        "/etc/sudoers": (0o440, 'Defaults\tenv_reset\nDefaults\tmail_badpass\nDefaults\tsecure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"\nroot\tALL=(ALL:ALL) ALL\n%admin ALL=(ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n')}),
    "openssh-server": ("1:8.9p1-3ubuntu0.4", {"/usr/sbin/sshd": 0o755, "/usr/lib/openssh/sftp-server": 0o755}, {
        "/lib/systemd/system/ssh.service": (0o644, "[Unit]\nDescription=OpenBSD Secure Shell server\nAfter=network.target auditd.service\n[Service]\nEnvironmentFile=-/etc/default/ssh\nExecStartPre=/usr/sbin/sshd -t\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS\n[Install]\nWantedBy=multi-user.target\n"),
        "/etc/pam.d/sshd": (0o644, "@include common-auth\naccount    required     pam_nologin.so\n@include common-account\nsession    optional     pam_motd.so  motd=/run/motd.dynamic\n")}),
    "systemd": ("249.11-0ubuntu3.11", {"/lib/systemd/systemd": 0o755, "/lib/systemd/systemd-journald": 0o755, "/bin/systemctl": 0o755}, {}),
    "cron": ("3.0pl1-137ubuntu3", {"/usr/sbin/cron": 0o755, "/usr/bin/crontab": 0o2755}, {
        "/etc/crontab": (0o644, "SHELL=/bin/sh\nPATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin\n17 *\t* * *\troot    cd / && run-parts --report /etc/cron.hourly\n")}),
    "snapd": ("2.58+22.04.1", {"/usr/bin/snap": 0o755, "/usr/lib/snapd/snapd": 0o755, "/usr/lib/snapd/snap-confine": 0o4755}, {
        "/etc/profile.d/apps-bin-path.sh": (0o644, '# Expand $PATH to include the directory where snappy applications go.\nsnap_bin_path="/snap/bin"\nif [ -n "${PATH##*${snap_bin_path}}" ] && [ -n "${PATH##*${snap_bin_path}:*}" ]; then\n    export PATH="$PATH:${snap_bin_path}"\nfi\n'),
        "/lib/systemd/system/snapd.service": (0o644, "[Unit]\nDescription=Snap Daemon\n[Service]\nExecStart=/usr/lib/snapd/snapd\nEnvironmentFile=-/etc/environment\nRestart=always\n[Install]\nWantedBy=multi-user.target\n")}),
    "netplan.io": ("0.105-0ubuntu2~22.04.3", {"/lib/netplan/generate": 0o755}, {"/usr/sbin/netplan": (0o755, "#!/usr/bin/python3\nfrom netplan import Netplan\nNetplan().main()\n")}),
    "cloud-init": ("23.2.2-0ubuntu0~22.04.1", {}, {
        "/usr/bin/cloud-init": (0o755, "#!/usr/bin/python3\nfrom cloudinit.cmd.main import main\nmain()\n"),
        "/etc/cloud/cloud.cfg": (0o644, "users:\n   - default\ndisable_root: true\nsystem_info:\n   distro: ubuntu\n"),
        "/lib/systemd/system/cloud-init.service": (0o644, "[Unit]\nDescription=Initial cloud-init job (metadata service crawler)\n[Service]\nType=oneshot\nExecStart=/usr/bin/cloud-init init\n[Install]\nWantedBy=cloud-init.target\n")}),
    "unattended-upgrades": ("2.8ubuntu1", {}, {"/usr/bin/unattended-upgrade": (0o755, "#!/usr/bin/python3\nimport apt\n")}),
    "vim": ("2:8.2.3995-1ubuntu2.13", {"/usr/bin/vim.basic": 0o755}, {}),
    "gzip": ("1.10-4ubuntu4.1", {"/bin/gzip": 0o755}, {}),
}  # fmt: skip


def build(work: Path) -> list[Path]:
    """Every package as a .deb file, by dpkg-deb."""
    made = []
    for name, (version, programs, texts) in PACKAGES.items():
        folder = work / name
        held = {path: (mode, _ELF + f"{name} {path}\n".encode()) for path, mode in programs.items()}
        held |= {path: (mode, text.encode()) for path, (mode, text) in texts.items()}
        sums = ""
        for path, (mode, data) in sorted(held.items()):
            to = folder / path.lstrip("/")
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(data)
            to.chmod(mode)
            if not path.startswith("/etc/"):
                sums += f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}  {path[1:]}\n"
        control = folder / "DEBIAN"
        control.mkdir(parents=True)
        (control / "control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>\n"
            f"Description: {name}\n"
        )
        (control / "md5sums").write_text(sums)
        (control / "conffiles").write_text("".join(f"{path}\n" for path in sorted(held) if path.startswith("/etc/")))
        made.append(work / f"{name}.deb")
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(folder), str(made[-1])],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return made


if __name__ == "__main__":
    ROOT, WORK = (Path(a).absolute() for a in sys.argv[1:3])
    for part in ("updates", "info", "triggers", "alternatives", "parts"):
        (ROOT / "var/lib/dpkg" / part).mkdir(parents=True, exist_ok=True)
    (ROOT / "var/lib/dpkg/status").touch()
    subprocess.run(
        ["dpkg", f"--root={ROOT}", "--force-all", "--force-script-chrootless", "--log", str(ROOT / "var/log/dpkg.log"), "-i", *map(str, build(WORK))],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
