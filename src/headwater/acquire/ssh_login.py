# SPDX-License-Identifier: Apache-2.0
"""How a server is recognised and a person makes himself known to it, and what that leaves behind on the server.

The server's key comes from a known_hosts file or is stated as ``SHA256:…``; nothing else is trusted and nothing is
learnt. A stated key file is the only one offered: every key that a server refuses is a line in the log of the very
disk that is to be imaged. A password is asked for at the moment of need, never taken from the command
line, and kept in memory alone, for the reconnections of the same source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.acquire.system_files import inert_text
from headwater.model.nouns import Text

Ask = Callable[[str], str]

# ciphers in the order in which they cost least here; the server chooses the first that it has
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
)
_ASKED_MOST = 3

# What a login without a terminal leaves on a Linux server, whatever is done afterwards. Sources: sshd(8), pam_systemd(8),
# pam_lastlog(8), auditd(8), bash(1) (INVOCATION: run by sshd), mount(8) relatime.
LOGIN_TRACES: tuple[tuple[str, Text], ...] = (
    ("/var/log/auth.log", Text("sshd 的登录与退出记录（Debian、Ubuntu）", "sshd's lines of login and logout (Debian, Ubuntu)")),
    ("/var/log/secure", Text("sshd 的登录与退出记录（RHEL、CentOS）", "sshd's lines of login and logout (RHEL, CentOS)")),
    ("/var/log/journal", Text("sshd、systemd-logind 的日志记录", "records of sshd and systemd-logind")),
    ("/var/log/audit/audit.log", Text("USER_AUTH、USER_LOGIN 等审计记录", "USER_AUTH, USER_LOGIN and the like")),
    ("/var/log/btmp", Text("每次认证失败一条", "one record for each refused authentication")),
    ("/var/log/wtmp", Text("未申请终端，sshd 不写；PAM 模块可能写入", "none by sshd, no terminal asked for; PAM modules may")),
    ("/var/log/lastlog", Text("未申请终端，sshd 不写；pam_lastlog 可能写入", "none by sshd; pam_lastlog may")),
    ("/var/lib/lastlog/lastlog2.db", Text("pam_lastlog2 可能写入", "pam_lastlog2 may write it")),
    ("/run/utmp", Text("内存文件系统；同 wtmp", "in memory; as wtmp")),
    ("/run/systemd/sessions", Text("内存文件系统；登录期间的会话", "in memory; the session while it lasts")),
    ("/bin/sh", Text("sh、dd、cat、登录 shell 及其启动文件的访问时间", "access times of sh, dd, cat, the shell and its start-up files")),
)  # fmt: skip

# What sudo leaves besides, for each command that it starts. Source: sudoers(5), sudo_logsrvd(8).
SUDO_TRACES: tuple[tuple[str, Text], ...] = (
    ("/var/log/auth.log", Text("sudo 每启动一条命令记一行，PAM 会话另记开闭", "a line of sudo for each command, and its session's")),
    ("/var/log/secure", Text("同上（RHEL、CentOS）", "the same (RHEL, CentOS)")),
    ("/var/log/sudo-io", Text("配置了输入输出记录时，读出的内容会写入", "what is read is written there, where sudo logs input or output")),
    ("/var/lib/sudo/lectured", Text("首次使用时的提示标记", "the mark of a first use")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Access:
    """``known_hosts``: the file (None: the user's own); ``host_key``: a fingerprint instead. ``key_file``: the one key
    to offer (None: the agent's, then the user's own). ``ask``: how a person is asked for a password or passphrase; None
    where nobody can be. ``connect_seconds``, ``stall_seconds``: how long to wait for a connection, and for the next byte.
    ``jump``: ``ssh://USER@HOST[:PORT]`` through which the server is reached; its key comes from known_hosts alone.
    ``sudo``: the account reads through ``sudo -n``, which asks for no password or refuses.
    """

    known_hosts: Path | None = None
    host_key: str | None = None
    key_file: Path | None = None
    ask: Ask | None = None
    connect_seconds: float = 30.0
    stall_seconds: float = 300.0  # a failing disk may think for minutes; a dead line is noticed sooner
    jump: str | None = None
    sudo: bool = False


class Doorkeeper:
    """Decides about the server's key and answers its questions; remembers what it saw, for the record."""

    def __init__(self, access: Access, who: str) -> None:
        self._access = access
        self._who = who
        self._asked = 0
        self._kept: str | None = None
        self._offer_kept = False
        self.fingerprint = ""

    def begin(self) -> None:
        """A new connection begins: what the person typed before may be offered once more."""
        self._offer_kept = self._kept is not None

    @property
    def can_ask(self) -> bool:
        """Whether there is a password to offer, or a person can still be asked for one."""
        return self._offer_kept or (self._access.ask is not None and self._asked < _ASKED_MOST)

    @property
    def stated(self) -> str:
        """The fingerprint that a person stated, in the form in which it is compared."""
        return (self._access.host_key or "").strip().rstrip("=")

    def accepts(self, fingerprint: str) -> bool:
        """Whether a key that no known_hosts file names is the stated one."""
        self.fingerprint = fingerprint
        return bool(self.stated) and fingerprint.rstrip("=") == self.stated

    def trusted(self) -> Any:
        """What asyncssh is to look keys up in."""
        if self.stated:
            return lambda host, addr, port: ([], [], [])  # the stated key alone counts
        path = self._access.known_hosts or Path("~/.ssh/known_hosts").expanduser()
        return str(path) if path.is_file() else (lambda host, addr, port: ([], [], []))

    async def password(self, prompt: str = "") -> str | None:
        """The password, as a person types it; None when nobody can be asked any more."""
        if self._offer_kept:
            self._offer_kept = False  # refused if asked again
            return self._kept
        if self._access.ask is None or not self.can_ask:
            return None
        self._asked += 1
        words = f"{self._who} {inert_text(prompt) if prompt else 'password 口令: '}"
        self._kept = await asyncio.get_running_loop().run_in_executor(None, self._access.ask, words)
        return self._kept

    def passphrase(self, name: str) -> str | None:
        """The passphrase of a key file."""
        return self._access.ask(f"{name} passphrase 密钥口令: ") if self._access.ask is not None else None


def client_of(doorkeeper: Doorkeeper) -> type[Any]:
    """The asyncssh client class that asks the doorkeeper."""
    import asyncssh

    class Client(asyncssh.SSHClient):
        """No key is accepted but the stated one; a password is asked of a person."""

        def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
            return doorkeeper.accepts(key.get_fingerprint("sha256"))

        async def password_auth_requested(self) -> str | None:
            return await doorkeeper.password()

        def kbdint_auth_requested(self) -> str | None:
            return "" if doorkeeper.can_ask else None

        async def kbdint_challenge_received(
            self, name: str, instructions: str, lang: str, prompts: Any
        ) -> list[str] | None:
            answers = [await doorkeeper.password(prompt) for prompt, _ in prompts]
            return None if None in answers else [a for a in answers if a is not None]

    return Client
