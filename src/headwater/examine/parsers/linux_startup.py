# SPDX-License-Identifier: Apache-2.0
"""Rarer places from which a Linux system or its servers run or load something, as they stand (linux.startup).

Reads:  systemd generators, D-Bus system services, sshd's rc files, initramfs scripts, GRUB's kernel lines, inetd and xinetd, Python's
        .pth and sitecustomize files, git hooks and git's own settings, PHP's .ini, .user.ini and .htaccess, modules that Apache and
        nginx load, Docker's daemon.json, .vimrc, acpid's events, knockd.conf; ``mechanism`` says which.
Time:   none; the files state no time.
Format: systemd.generator(7), sshd(8), initramfs-tools(7), inetd.conf(5), xinetd.conf(5), Python's site module, githooks(5),
        git-config(1), php.ini directives, Apache's and nginx's module directives, dockerd(8), acpid(8), knockd(1).
Limits: lines that run or load nothing are passed over; whether and when something ran is not said; a file that such a line names
        is not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._scripts import whole_script
from headwater.examine.parsers._settings import Joined, joined
from headwater.examine.parsers._text import user_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Record, Skip, Value

FEED = "linux.startup"
VERSION = 2
READS = (
    "/etc/systemd/system-generators/*", "/etc/systemd/user-generators/*", "/usr/local/lib/systemd/system-generators/*",
    "/etc/dbus-1/system-services/*.service", "/usr/share/dbus-1/system-services/*.service", "/etc/ssh/sshrc", "/.ssh/rc",
    "/etc/initramfs-tools/scripts/**", "/etc/initramfs-tools/hooks/*", "/etc/default/grub", "/etc/default/grub.d/*", "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg", "/etc/grub.d/*", "/etc/inetd.conf", "/etc/xinetd.conf", "/etc/xinetd.d/*", "/site-packages/*.pth",
    "/dist-packages/*.pth", "sitecustomize.py", "usercustomize.py", "/.git/hooks/*", "/.gitconfig", "/.git/config", "/etc/gitconfig",
    "/.config/git/config", "/etc/php.ini", "/etc/php.d/*.ini", "/etc/php/**.ini", ".user.ini", ".htaccess",
    "/etc/apache2/mods-enabled/*.load", "/etc/httpd/conf.modules.d/*.conf",
    "/etc/nginx/modules-enabled/*.conf", "/etc/docker/daemon.json", "/.vimrc", "/etc/vim/vimrc.local",
    "/etc/acpi/events/*", "/etc/knockd.conf",
)  # fmt: skip
_SCRIPTS = (
    ("-generators/", "systemd-generator"), ("/initramfs-tools/", "initramfs"), ("/.git/hooks/", "git-hook"), ("/sshrc", "sshd-rc"),
    ("/.ssh/rc", "sshd-rc"), ("sitecustomize.py", "python-start"), ("usercustomize.py", "python-start"), ("/etc/grub.d/", "grub"),
)  # fmt: skip
# mechanism, part of the path, a line that runs or loads something: its setting, its value, or (third) a command
_LINES = (
    ("dbus-service", lazy_regex(r"/dbus-1/"), lazy_regex(r"\s*(?P<setting>Exec)\s*=\s*(?P<command>.+)")),
    ("grub", lazy_regex(r"grub"), lazy_regex(r".*?\b(?P<setting>(?:rd)?init|module_blacklist|modules?_load)=(?P<value>[^\s\"']+).*")),
    ("inetd", lazy_regex(r"/inetd\.conf$"), lazy_regex(r"(?P<setting>\S+)\s+\S+\s+\S+\s+\S+\s+\S+\s+(?P<command>/.+)")),
    ("xinetd", lazy_regex(r"/xinetd\."), lazy_regex(r"\s*(?P<setting>server(?:_args)?)\s*\+?=\s*(?P<command>.+)")),
    ("python-start", lazy_regex(r"\.pth$"), lazy_regex(r"(?P<setting>import)[ \t](?P<command>.+)")),
    ("git", lazy_regex(r"git"), lazy_regex(
        r"\s*(?P<setting>fsmonitor|sshCommand|editor|pager|hooksPath|askPass|external|textconv|clean|smudge|helper|proxyCommand|cmd|\w+)"
        r"\s*=\s*(?P<command>!?.*(?:[/|;&$`]|\b(?:sh|curl|wget|nc|python\d?)\b).*)", re.IGNORECASE)),
    ("php", lazy_regex(r"\.ini$|/\.htaccess$"), lazy_regex(
        r"\s*(?:php_(?:admin_)?value\s+)?(?P<setting>auto_(?:prepend|append)_file|(?:zend_)?extension|AddType|AddHandler|SetHandler|ForceType)"
        r"(?:\s*=\s*|\s+)[\"']?(?P<value>[^\"'=\s][^\"']*?)[\"']?\s*", re.IGNORECASE)),
    ("server-module", lazy_regex(r"mods-enabled|conf\.modules\.d|modules-enabled"), lazy_regex(
        r"\s*(?P<setting>LoadModule|LoadFile|load_module)\s+(?:\w+_module\s+)?[\"']?(?P<value>[^\s\"';]+).*")),
    ("docker", lazy_regex(r"daemon\.json$"), lazy_regex(r".*?(?P<setting>hosts)\W+(?P<value>.*tcp://.*)")),
    ("acpi", lazy_regex(r"/acpi/events/"), lazy_regex(r"\s*(?P<setting>action)\s*=\s*(?P<command>.+)")),
    ("knock", lazy_regex(r"/knockd\.conf$"), lazy_regex(
        r"\s*(?P<setting>(?:start_|stop_)?command|sequence)\s*=\s*(?P<command>.+)", re.IGNORECASE)),
    ("vim", lazy_regex(r"vimrc"), lazy_regex(r"\s*(?:autocmd.*?|:|sil(?:ent)?!?\s*)*(?P<setting>!|call\s+system\()(?P<command>.+)")),
)  # fmt: skip
_NOTHING = lazy_regex(r"(?!)")  # of a file whose name says none of these: no line runs anything


def parse(file: File) -> Iterator[Record]:
    path = file_layer(file.path)
    if path.endswith(".sample"):
        if file.size:
            yield Skip(0, file.size, "a sample that git does not run")
        return
    for part, mechanism in _SCRIPTS:
        if part in path:
            yield from whole_script(file, EventKind.STATE_SETTING, {"mechanism": mechanism})
            return
    mechanism, line_of = next(((m, line) for m, there, line in _LINES if there.search(path)), ("", _NOTHING))
    user = user_of(file.path)
    for line in joined(file, b"#;" if mechanism == "php" else b'"' if mechanism == "vim" else b"#", join=False):
        if not isinstance(line, Joined):
            yield line
            continue
        found = line_of.fullmatch(line.text.strip()[:8192])
        if found is None:
            yield Skip(line.offset, line.length, "a line that runs and loads nothing")
            continue
        said = found.groupdict()
        own: dict[str, Value] = {
            "mechanism": mechanism,
            "setting": said["setting"],
            "value": said.get("value") or said.get("command"),
        }
        yield Event(
            line.offset, line.length, EventKind.STATE_SETTING, user=user, file_path=path, command_line=said.get("command"), fields=own,
        )  # fmt: skip
