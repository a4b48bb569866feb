# SPDX-License-Identifier: Apache-2.0
"""What the texts of system messages mean: one table of rules, read by :mod:`headwater.examine.messages`.

A rule holds where the process is one of its names (none: any process) and the whole text fits its pattern; the first that
holds wins. Named groups become columns: header columns by their name, the rest own fields; at least one group of a pattern
that has groups takes part in every match. Patterns keep to what both Rust's regex and Python's ``re`` read alike. An
``src_ip`` that is no address is moved to ``rhost``. A name in a message is the peer's choice: it is taken greedily up to the
last place where the rest still fits, so that a user name "root from 1.2.3.4" is not read as an address.

Sources: the messages' own programs: OpenSSH auth.c, packet.c, sshd.c; Linux-PAM pam_unix; sudo logging.c; shadow; cron;
systemd; each text was taken from logs or from the program's message strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headwater.examine.line_templates import regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import Value


@dataclass(frozen=True, slots=True)
class MessageRule:
    """``start``: literal text that every fitting message begins with; it only makes the search fast."""

    processes: tuple[str, ...]
    start: str
    pattern: str
    kind: K
    outcome: Outcome | None = None
    constants: Mapping[str, Value] = field(default_factory=dict)
    template: str = ""  # the pattern as a template of :mod:`headwater.examine.line_templates`, for the frequent texts


def _phrase(
    processes: tuple[str, ...], template: str, kind: K, outcome: Outcome | None = None, **constants: Value
) -> MessageRule:
    start = template.partition("{")[0]
    return MessageRule(processes, start, regex(template), kind, outcome, constants, template)


_OK, _NO = Outcome.SUCCESS, Outcome.FAILURE
_SSHD = ("sshd", "sshd-session", "sshd-auth")
_CRON = ("cron", "crond", "anacron", "crontab", "fcron", "cronie")
_SHADOW = (
    *("useradd", "userdel", "usermod", "groupadd", "groupdel", "groupmod", "adduser", "passwd", "chpasswd", "chage"),
    *("chfn", "chsh", "gpasswd", "newusers", "vipw", "groupmems", "newgrp"),
)
# A peer: an address, or a name that begins with a letter; never the number of a port or "[preauth]".
_FROM = r"(?P<src_ip>[^\s.:\[]*[.:]\S*?|[A-Za-z]\S*?)(?: port (?P<port>[0-9]+))?"
_PREAUTH = r"(?: \[preauth\])?"
_KEY = r"(?:: (?P<key_type>\S+) (?P<key_fingerprint>\S+).*)?"
_WHO = r"(?:(?:authenticating |(?P<invalid_user>invalid |illegal ))user (?P<user>.*) )?"
_PAM = r"(?:(?P<pam_module>pam_[a-z0-9_]+)\((?P<service>[^:)]*):[a-z]*\): )?"

_END = " from {src_ip} port {port#}"
_PRE = " [preauth]"
_SSHD_PHRASES = (
    _phrase(_SSHD, "Failed none for invalid user {user*}" + _END + " ssh2", K.AUTH_PROBE, _NO, method="none", invalid_user=True),
    _phrase(_SSHD, "Failed none for {user*}" + _END + " ssh2", K.AUTH_PROBE, _NO, method="none", invalid_user=False),
    _phrase(_SSHD, "Failed {method} for invalid user {user*}" + _END + " ssh2", K.AUTH_FAILURE, _NO, invalid_user=True, protocol="ssh2"),
    _phrase(_SSHD, "Failed {method} for illegal user {user*}" + _END + " ssh2", K.AUTH_FAILURE, _NO, invalid_user=True, protocol="ssh2"),
    _phrase(_SSHD, "Failed {method} for {user*}" + _END + " ssh2", K.AUTH_FAILURE, _NO, invalid_user=False, protocol="ssh2"),
    _phrase(_SSHD, "Accepted {method} for {user*}" + _END + " ssh2", K.AUTH_SUCCESS, _OK, protocol="ssh2"),
    _phrase(_SSHD, "Accepted {method} for {user*}" + _END + " ssh2: {key_type} {key_fingerprint}", K.AUTH_SUCCESS, _OK, protocol="ssh2"),
    _phrase(_SSHD, "Received disconnect" + _END + ":{reason*}" + _PRE, K.AUTH_PROBE),
    _phrase(_SSHD, "Received disconnect from {src_ip}: {reason*}" + _PRE, K.AUTH_PROBE),
    _phrase(_SSHD, "Received disconnect" + _END + ":{reason*}", K.AUTH_PROBE),
    _phrase(_SSHD, "Received disconnect from {src_ip}: {reason*}", K.AUTH_PROBE),
    _phrase(_SSHD, "error: Received disconnect" + _END + ":{reason*}" + _PRE, K.AUTH_PROBE),
    _phrase(_SSHD, "error: Received disconnect from {src_ip}: {reason*}" + _PRE, K.AUTH_PROBE),
    _phrase(_SSHD, "Invalid user {user*}" + _END, K.AUTH_PROBE, _NO, invalid_user=True),
    _phrase(_SSHD, "Invalid user {user*} from {src_ip}", K.AUTH_PROBE, _NO, invalid_user=True),
    _phrase(_SSHD, "input_userauth_request: invalid user {user*}" + _PRE, K.AUTH_PROBE, _NO, invalid_user=True),
    _phrase(_SSHD, "Connection closed by {src_ip}" + _PRE, K.AUTH_PROBE),
    _phrase(_SSHD, "Connection closed by authenticating user {user*} {src_ip} port {port#}" + _PRE, K.AUTH_PROBE, invalid_user=False),
    _phrase(_SSHD, "Connection closed by invalid user {user*} {src_ip} port {port#}" + _PRE, K.AUTH_PROBE, invalid_user=True),
    _phrase(_SSHD, "Connection closed by {src_ip} port {port#}" + _PRE, K.AUTH_PROBE),
    _phrase(_SSHD, "Connection reset by authenticating user {user*} {src_ip} port {port#}" + _PRE, K.AUTH_PROBE, invalid_user=False),
    _phrase(_SSHD, "Connection reset by invalid user {user*} {src_ip} port {port#}" + _PRE, K.AUTH_PROBE, invalid_user=True),
    _phrase(_SSHD, "Connection reset by {src_ip} port {port#}" + _PRE, K.AUTH_PROBE),
    # what ends a session is PAM's line; this one says from where
    _phrase(_SSHD, "Disconnected from authenticating user {user*} {src_ip} port {port#}" + _PRE, K.AUTH_PROBE, invalid_user=False),
    _phrase(_SSHD, "Disconnected from invalid user {user*} {src_ip} port {port#}" + _PRE, K.AUTH_PROBE, invalid_user=True),
    _phrase(_SSHD, "Disconnected from user {user*} {src_ip} port {port#}", K.LOG_MESSAGE),
    _phrase(_SSHD, "reverse mapping checking getaddrinfo for {rhost*} [{src_ip}] failed - POSSIBLE BREAK-IN ATTEMPT!", K.AUTH_PROBE),
)  # fmt: skip
_TOO_MANY = "maximum authentication attempts exceeded"
_ATTEMPTS_PHRASES = tuple(
    _phrase(_SSHD, f"error: {_TOO_MANY} for {who}{{user*}}{_END}{tail}", K.AUTH_PROBE, _NO,
        reason=_TOO_MANY, invalid_user=bool(who), **({"protocol": "ssh2"} if "ssh2" in tail else {}))
    for who in ("invalid user ", "") for tail in ("", " ssh2", " ssh2" + _PRE)
)  # fmt: skip
_OTHER_PHRASES = (
    _phrase(
        ("sudo",), "{user} : TTY={tty} ; PWD={pwd} ; USER={target_user} ; COMMAND={command_line*}", K.PRIVILEGE_USE, _OK
    ),
    _phrase(("systemd-logind",), "New session {session} of user {user*}.", K.LOG_MESSAGE),
)
_UNIX = "pam_unix"
_SSHD_FAILED = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost="
_PAM_PHRASES = (
    _phrase((), _SSHD_FAILED + "{src_ip}", K.AUTH_PROBE, _NO, pam_module=_UNIX, service="sshd"),
    _phrase((), _SSHD_FAILED + "{src_ip}  user={user*}", K.AUTH_PROBE, _NO, pam_module=_UNIX, service="sshd"),
    _phrase((), "pam_unix(sshd:auth): check pass; {reason*}", K.AUTH_PROBE, _NO, pam_module=_UNIX, service="sshd"),
    *(
        phrase
        for service in ("sshd", "cron", "sudo", "su", "crond", "systemd-user", "login")
        for begin in (f"pam_unix({service}:session): session ",)
        for phrase in (
            _phrase((), begin + "opened for user {user*}(uid={uid#}) by (uid={by_uid#})", K.SESSION_OPEN, _OK,
                pam_module=_UNIX, service=service),
            _phrase((), begin + "opened for user {user*}(uid={uid#}) by {by_user}(uid={by_uid#})", K.SESSION_OPEN, _OK,
                pam_module=_UNIX, service=service),
            _phrase((), begin + "opened for user {user*} by (uid={by_uid#})", K.SESSION_OPEN, _OK,
                pam_module=_UNIX, service=service),
            _phrase((), begin + "opened for user {user*} by {by_user}(uid={by_uid#})", K.SESSION_OPEN, _OK,
                pam_module=_UNIX, service=service),
            _phrase((), begin + "closed for user {user*}", K.SESSION_CLOSE, pam_module=_UNIX, service=service),
        )
    ),
)  # fmt: skip

_SSHD_RULES = (
    MessageRule(_SSHD, "Failed none", r"Failed (?P<method>none) for (?P<invalid_user>invalid user |illegal user )?"
    rf"(?P<user>.*) from {_FROM}(?: +(?P<protocol>ssh[12]?))?", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "Failed ", r"Failed (?P<method>\S+) for (?P<invalid_user>invalid user |illegal user )?"
    rf"(?P<user>.*) from {_FROM}(?: +(?P<protocol>ssh[12]?))?{_KEY}", K.AUTH_FAILURE, _NO),
    MessageRule(_SSHD, "Accepted ", r"Accepted (?P<method>\S+) for "
    rf"(?P<user>.*) from {_FROM}(?: +(?P<protocol>ssh[12]?))?{_KEY}", K.AUTH_SUCCESS, _OK),
    MessageRule(_SSHD, "Received disconnect", rf"Received disconnect from {_FROM}: ?(?P<reason>.*?){_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "error: Received disc", rf"error: Received disconnect from {_FROM}: ?(?P<reason>.*?){_PREAUTH}",
    K.AUTH_PROBE),
    MessageRule(_SSHD, "Invalid user ", rf"Invalid user (?P<user>.*) from {_FROM}", K.AUTH_PROBE, _NO, {"invalid_user": True}),
    MessageRule(_SSHD, "Illegal user ", rf"Illegal user (?P<user>.*) from {_FROM}", K.AUTH_PROBE, _NO, {"invalid_user": True}),
    MessageRule(_SSHD, "input_userauth_request: ", rf"input_userauth_request: (?:invalid|illegal) user (?P<user>.*?){_PREAUTH}",
    K.AUTH_PROBE, _NO, {"invalid_user": True}),
    MessageRule(_SSHD, "Connection closed by", rf"Connection closed by {_WHO}{_FROM}{_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Connection reset by", rf"Connection reset by {_WHO}{_FROM}{_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Connection from ", rf"Connection from {_FROM}(?: on (?P<dst_ip>\S+)(?: port [0-9]+)?.*)?",
    K.NETWORK_CONNECTION),
    MessageRule(_SSHD, "Disconnected from user ", rf"Disconnected from user (?P<user>.*) {_FROM}", K.LOG_MESSAGE),
    MessageRule(_SSHD, "Disconnected from ", rf"Disconnected from {_WHO}{_FROM}{_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Disconnecting", rf"Disconnecting(?: {_WHO}{_FROM})?: (?P<reason>.*?){_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "reverse mapping", r"reverse mapping checking getaddrinfo for (?P<rhost>.*) \[(?P<src_ip>\S+)\] failed"
    r"(?P<reason>.*)", K.AUTH_PROBE),
    MessageRule(_SSHD, "Address ", r"Address (?P<src_ip>\S+) maps to (?P<rhost>.*), but this does not map back.*", K.AUTH_PROBE),
    MessageRule(_SSHD, "Did not receive", rf"Did not receive identification string from {_FROM}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Bad protocol", rf"Bad protocol version identification '(?P<reason>.*)' from {_FROM}", K.AUTH_PROBE),
    MessageRule(_SSHD, "banner exchange", rf"banner exchange: Connection from {_FROM}: (?P<reason>.*)", K.AUTH_PROBE),
    MessageRule(_SSHD, "kex_exchange_ident", r"kex_exchange_identification: (?P<reason>.*)", K.AUTH_PROBE),
    MessageRule(_SSHD, "error: kex_exchange_ident", r"error: kex_exchange_identification: (?P<reason>.*)", K.AUTH_PROBE),
    MessageRule(_SSHD, "ssh_dispatch_run_fatal", rf"ssh_dispatch_run_fatal: Connection from {_WHO}{_FROM}: (?P<reason>.*?)"
    rf"{_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Unable to negotiate", rf"Unable to negotiate with {_WHO}{_FROM}: (?P<reason>.*?){_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "fatal: ", rf"fatal: (?P<reason>Timeout before authentication) for (?:connection from )?{_FROM}(?: to .*)?",
    K.AUTH_PROBE),
    MessageRule(_SSHD, "Timeout before", rf"(?P<reason>Timeout before authentication) for (?:connection from )?{_FROM}(?: to .*)?",
    K.AUTH_PROBE),
    MessageRule(_SSHD, "error: maximum", r"error: (?P<reason>maximum authentication attempts exceeded) for "
    rf"(?P<invalid_user>invalid user )?(?P<user>.*) from {_FROM}(?: (?P<protocol>ssh[12]?))?{_PREAUTH}", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "error: PAM", r"error: PAM: (?P<reason>.*) for (?P<invalid_user>illegal user |invalid user )?(?P<user>.*)"
    rf" from {_FROM}", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "User ", rf"User (?P<user>.*) from {_FROM} not allowed because (?P<reason>.*)", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "ROOT LOGIN REFUSED", rf"ROOT LOGIN REFUSED FROM {_FROM}.*", K.AUTH_PROBE, _NO, {"user": "root"}),
    MessageRule(_SSHD, "refused connect", r"refused connect from (?:\S+ \()?(?P<src_ip>[^\s()]+)\)?", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "drop connection", r"drop connection .*from \[(?P<src_ip>[^\]]*)\](?::(?P<port>[0-9]+))?.*", K.AUTH_PROBE),
    MessageRule(_SSHD, "Postponed ", rf"Postponed (?P<method>\S+) for (?P<invalid_user>invalid user )?(?P<user>.*) from {_FROM}"
    rf"(?: (?P<protocol>ssh[12]?))?{_PREAUTH}", K.AUTH_PROBE),
    MessageRule(_SSHD, "Authentication refused", r"Authentication refused: (?P<reason>.*)", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "PAM ", r"PAM (?P<repeat>[0-9]+) more authentication failures?; logname=.* rhost=(?P<src_ip>\S*)"
    r"(?: +user=(?P<user>.*))?", K.AUTH_PROBE, _NO),
    MessageRule(_SSHD, "Starting session", r"Starting session: (?P<reason>.*) for (?P<user>\S+) from (?P<src_ip>\S+) "
    r"port (?P<port>[0-9]+).*", K.LOG_MESSAGE),
    MessageRule(_SSHD, "Close session", r"Close session: user (?P<user>\S+) from (?P<src_ip>\S+) port (?P<port>[0-9]+).*",
    K.LOG_MESSAGE),
    MessageRule(_SSHD, "Server listening", r"Server listening on (?P<dst_ip>\S+) port (?P<port>[0-9]+)\.?", K.SERVICE_START),
    MessageRule(_SSHD, "Received signal", r"Received signal (?P<reason>15; terminating)\.?", K.SERVICE_STOP),
)  # fmt: skip

_OPENED = (
    r"session opened for user (?P<user>.*?)(?:\(uid=(?P<uid>[0-9]+)\))? by (?P<by_user>.*?)\(uid=(?P<by_uid>[0-9]+)\)"
)
_AUTH_FAILED = (
    r"authentication failure; logname=(?P<by_user>\S*) uid=(?P<by_uid>[0-9]+) euid=[0-9]+ tty=(?P<tty>\S*) "
    r"ruser=\S* rhost=(?P<src_ip>\S*)(?: +user=(?P<user>.*))?"
)
_PAM_SHAPES = (
    ("authentication failure", _AUTH_FAILED, K.AUTH_PROBE, _NO),
    ("session opened", _OPENED, K.SESSION_OPEN, _OK),
    ("session closed", r"session closed for user (?P<user>.*)", K.SESSION_CLOSE, None),
    ("check pass", r"check pass; (?P<reason>user unknown)", K.AUTH_PROBE, _NO),
    ("password changed", r"password changed for (?P<target_user>.*)", K.ACCOUNT_CHANGE, _OK),
)
_PAM_RULES = (
    *(MessageRule((), "pam_", _PAM + pattern, kind, outcome) for _, pattern, kind, outcome in _PAM_SHAPES),
    *(MessageRule((), start, pattern, kind, outcome) for start, pattern, kind, outcome in _PAM_SHAPES),

    MessageRule((), "pam_", _PAM + r"requirement \"(?P<reason>.*)\" not met by user \"(?P<user>.*)\"", K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"Consecutive login failures for user (?P<user>.*) account temporarily (?P<reason>locked)",
    K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"(?P<reason>auth could not identify password) for \[(?P<user>.*)\]", K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"account (?P<user>.*) has expired.*", K.AUTH_PROBE, _NO),
)  # fmt: skip

_SUDO_TAIL = (
    r"(?:HOST=\S+ ; )?(?:TTY=(?P<tty>.*?) ; )?(?:CHROOT=.*? ; )?PWD=(?P<pwd>.*?) ; (?:USER=(?P<target_user>.*?) ; )?"
    r"(?:GROUP=(?P<group>.*?) ; )?(?:TSID=\S+ ; )?(?:ENV=.*? ; )?COMMAND=(?P<command_line>.*)"
)
_DENIED = (
    r"user NOT in sudoers|user NOT authorized on host|command not allowed|a password is required|[0-9]+ incorrect "
    r"password attempts?|no tty present and no askpass program specified|sorry, .*?|conversation failed|.*?not allowed.*?"
)
_PRIVILEGE_RULES = (
    MessageRule(("sudo",), "", rf"(?P<user>\S.*?) : {_SUDO_TAIL}", K.PRIVILEGE_USE, _OK),
    MessageRule(("sudo",), "", rf"(?P<user>\S.*?) : (?P<reason>{_DENIED}) ; {_SUDO_TAIL}", K.PRIVILEGE_DENIED, _NO),
    MessageRule(("su",), "", r"\(to (?P<target_user>.*)\) (?P<user>\S+) on (?P<tty>\S+)", K.PRIVILEGE_USE, _OK),
    MessageRule(("su",), "", r"FAILED SU \(to (?P<target_user>.*)\) (?P<user>\S+) on (?P<tty>\S+)", K.PRIVILEGE_DENIED, _NO),
    MessageRule(("su",), "", r"Successful su for (?P<target_user>.*) by (?P<user>\S+)", K.PRIVILEGE_USE, _OK),
    MessageRule(("su",), "", r"FAILED su for (?P<target_user>.*) by (?P<user>\S+)", K.PRIVILEGE_DENIED, _NO),
    # the second line that Debian's old su writes for the same act: the fields, but not another act
    MessageRule(("su",), "", r"[-+] (?P<tty>\S+) (?P<user>[^:]+):(?P<target_user>\S+)", K.LOG_MESSAGE),
    MessageRule(("pkexec",), "", r"(?P<user>\S+): Executing command \[USER=(?P<target_user>[^\]]*)\] \[TTY=(?P<tty>[^\]]*)\] "
    r"\[CWD=(?P<pwd>[^\]]*)\] \[COMMAND=(?P<command_line>.*)\]", K.PRIVILEGE_USE, _OK),
    MessageRule(("pkexec",), "", r"(?P<user>\S+): (?P<reason>Error executing command as another user: .*?) \[USER="
    r"(?P<target_user>[^\]]*)\] \[TTY=(?P<tty>[^\]]*)\] \[CWD=(?P<pwd>[^\]]*)\] \[COMMAND=(?P<command_line>.*)\]",
    K.PRIVILEGE_DENIED, _NO),
    MessageRule(("doas",), "", r"(?P<user>\S+) ran command (?P<command_line>.*) as (?P<target_user>\S+) from (?P<pwd>.*)",
    K.PRIVILEGE_USE, _OK),
    MessageRule(("doas",), "", r"(?:failed|command not permitted) .*for (?P<user>\S+): (?P<command_line>.*)", K.PRIVILEGE_DENIED, _NO),
)  # fmt: skip

_ACCOUNT_RULES = (
    MessageRule(_SHADOW, "", r"new user: name=(?P<target_user>.*?), UID=(?P<uid>[0-9]+), GID=(?P<gid>[0-9]+), home=(?P<home>.*?), "
    r"shell=(?P<shell>.*?)(?:, from=(?P<tty>.*))?", K.ACCOUNT_CREATE, _OK),
    MessageRule(_SHADOW, "", r"failed adding user '(?P<target_user>.*)', (?P<reason>.*)", K.ACCOUNT_CREATE, _NO),
    MessageRule(_SHADOW, "", r"delete user '(?P<target_user>.*)'", K.ACCOUNT_DELETE, _OK),
    MessageRule(_SHADOW, "", r"(?:new group: |group added to \S+: |group changed in \S+ .*)name=(?P<group>[^,]*)(?:, GID=(?P<gid>[0-9]+))?",
    K.GROUP_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"(?P<reason>add|delete) '(?P<target_user>.*)' (?:to|from) (?:shadow )?group '(?P<group>.*)'",
    K.GROUP_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"user (?P<target_user>\S+) (?P<reason>added|removed) by (?P<by_user>\S+) (?:to|from) group (?P<group>\S+)",
    K.GROUP_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"members of group (?P<group>\S+) (?P<reason>set) by (?P<by_user>\S+) to (?P<target_user>.*)",
    K.GROUP_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"removed (?:shadow )?group '(?P<group>[^']*)'(?: owned by '(?P<target_user>[^']*)')?", K.GROUP_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"group '(?P<group>[^']*)' removed(?: from .*)?", K.GROUP_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"change user '(?P<target_user>.*?)' shell from '.*' to '(?P<shell>.*)'", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"change user '(?P<target_user>.*?)' home from '.*' to '(?P<home>.*)'", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"change user '(?P<target_user>.*?)' UID from '[0-9]+' to '(?P<uid>[0-9]+)'", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"change user '(?P<target_user>.*?)' GID from '[0-9]+' to '(?P<gid>[0-9]+)'", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"(?P<reason>change|lock|unlock) user '(?P<target_user>.*?)'.*", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"password for '(?P<target_user>.*)' changed by '(?P<by_user>.*)'", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"changed (?P<reason>password expiry) for (?P<target_user>.*)", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"changed user '(?P<target_user>.*)' shell to '(?P<shell>.*)'", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"changed user '(?P<target_user>.*)' (?P<reason>information)", K.ACCOUNT_CHANGE, _OK),
)  # fmt: skip

_CRON_RULES = (
    _phrase(_CRON, "({user}) CMD ({command_line*})", K.SCHEDULE_RUN),
    MessageRule(_CRON, "(", r"\((?P<user>[^)]*)\) CMD \((?P<command_line>.*)\)", K.SCHEDULE_RUN),
    MessageRule(_CRON, "(", r"\((?P<by_user>[^)]*)\) (?P<reason>REPLACE|DELETE) \((?P<user>[^)]*)\)", K.SCHEDULE_CHANGE),
    MessageRule(_CRON, "(", r"\((?P<by_user>[^)]*)\) (?P<reason>BEGIN EDIT|END EDIT|LIST|RELOAD) \((?P<user>[^)]*)\)", K.LOG_MESSAGE),
    MessageRule(_CRON, "(", r"\(CRON\) (?P<reason>STARTUP) \(.*\)", K.SERVICE_START),
    MessageRule(("anacron",), "", r"Job `(?P<command_line>.*)' started", K.SCHEDULE_RUN),
)  # fmt: skip

_LOGIN_RULES = (
    MessageRule(("systemd-logind",), "", r"New session (?P<session>\S+) of user (?P<user>.*)\.", K.LOG_MESSAGE),
    MessageRule(("systemd-logind",), "", r"(?:Removed session|Session) (?P<session>[^ .]+)(?: logged out.*|\.)",
    K.LOG_MESSAGE),
    MessageRule(("systemd-logind",), "", r"System is (?P<reason>rebooting|powering down|halting).*", K.SYSTEM_SHUTDOWN),
    MessageRule(("login",), "", r"FAILED LOGIN \(?[0-9]+\)? (?:on '(?P<tty>.*)' |FROM (?P<src_ip>\S+) )?FOR '?(?P<user>.*?)'?, "
    r"(?P<reason>.*)", K.AUTH_FAILURE, _NO, {"method": "password"}),
    MessageRule(("login",), "", r"ROOT LOGIN +(?:on|ON) '?(?P<tty>[^' ]*)'?(?: FROM (?P<src_ip>\S+))?", K.AUTH_SUCCESS, _OK,
    {"user": "root"}),
    MessageRule(("login",), "", r"LOGIN ON (?P<tty>\S+) BY (?P<user>\S+)(?: FROM (?P<src_ip>\S+))?", K.AUTH_SUCCESS, _OK),
    MessageRule(("ftpd", "in.ftpd", "telnetd", "in.telnetd", "rshd", "rlogind"), "", r"connect(?:ion)? from (?P<src_ip>\S+)"
    r"(?: \((?P<rhost>[^)]*)\))?.*", K.NETWORK_CONNECTION),
    MessageRule(("ftpd",), "", r"ANONYMOUS FTP LOGIN FROM (?P<src_ip>[^\s,]+),.*", K.AUTH_SUCCESS, _OK, {"user": "anonymous"}),
    MessageRule(("klogind",), "", r"Authentication failed from (?P<rhost>\S+) \((?P<src_ip>[^)]*)\): (?P<reason>.*)", K.AUTH_PROBE, _NO),
    MessageRule(("postfix/smtpd", "postfix/submission/smtpd", "postfix/smtps/smtpd"), "", r"warning: (?P<rhost>[^\[]*)"
    r"\[(?P<src_ip>[^\]]+)\]: SASL (?P<method>\S+) authentication failed: (?P<reason>.*)", K.AUTH_FAILURE, _NO),
)  # fmt: skip

# Texts of Postfix 3.7 (smtpd.c) and Dovecot 2.3 (login-common). What a peer calls itself stands
# before its address in brackets: the last pair of brackets in which only an address fits is the address.
_SMTPD = ("postfix/smtpd", "postfix/submission/smtpd", "postfix/smtps/smtpd")
_PEER = r"(?P<rhost>[^\[\]]*)\[(?P<src_ip>[^\]]+)\]"
_DOVECOT = r"(?:imap|pop3|managesieve|submission)-login: (?:Info: )?"
_MAIL_RULES = (
    MessageRule(_SMTPD, "connect from ", rf"connect from {_PEER}", K.NETWORK_CONNECTION),
    MessageRule(_SMTPD, "NOQUEUE: ", rf"NOQUEUE: (?:reject|warn|hold): \S+ from {_PEER}: (?P<reason>.*)",
    K.LOG_MESSAGE, _NO),
    MessageRule(_SMTPD, "", rf"[0-9A-Za-z]+: client={_PEER}, sasl_method=(?P<method>[^,]+), sasl_username=(?P<user>\S+).*",
    K.AUTH_SUCCESS, _OK, {"service": "smtp"}),
    MessageRule(_SMTPD, "", rf"[0-9A-Za-z]+: client={_PEER}.*", K.NETWORK_CONNECTION),
    MessageRule(("dovecot",), "", rf"{_DOVECOT}Login: user=<(?P<user>.*?)>, method=(?P<method>\S+), rip=(?P<src_ip>[^,\s]+).*",
    K.AUTH_SUCCESS, _OK, {"service": "dovecot"}),
    MessageRule(("dovecot",), "", rf"{_DOVECOT}(?:Disconnected|Aborted login)[^(]*\((?P<reason>[^)]*auth failed[^)]*)\): "
    r"user=<(?P<user>.*?)>,(?: method=(?P<method>[^,]+),)? rip=(?P<src_ip>[^,\s]+).*", K.AUTH_FAILURE, _NO, {"service": "dovecot"}),
    MessageRule(("dovecot",), "", rf"{_DOVECOT}(?P<reason>.*?): user=<.*>,.* rip=(?P<src_ip>[^,\s]+).*", K.AUTH_PROBE),
)  # fmt: skip

_PACKET = (
    r"IN=(?P<in_interface>\S*) (?:OUT=(?P<out_interface>\S*) )?.*SRC=(?P<src_ip>\S+) DST=(?P<dst_ip>\S+) "
    r".*PROTO=(?P<protocol>\S+)(?: SPT=(?P<port>[0-9]+) DPT=(?P<dst_port>[0-9]+))?.*"
)
_UPTIME = r"(?:\[ *[0-9.]+\] ?)?"
_SYSTEM_RULES = (
    MessageRule(("kernel",), "", rf"{_UPTIME}\[UFW (?P<reason>BLOCK|LIMIT BLOCK)\] {_PACKET}", K.FIREWALL_BLOCK, _NO),
    MessageRule(("kernel",), "", rf"{_UPTIME}(?P<reason>[^=\[\]]*(?i:drop|block|reject|denied)[^=]*?) ?{_PACKET}", K.FIREWALL_BLOCK, _NO),
    MessageRule(("kernel",), "", rf"{_UPTIME}(?P<reason>(?:\[UFW [A-Z ]+\]|[^=\[\]]*?)) ?{_PACKET}", K.NETWORK_CONNECTION),
    MessageRule(("kernel",), "", rf"{_UPTIME}(?P<reason>Linux version \S+) .*", K.SYSTEM_BOOT),
    MessageRule(("kernel",), "", rf"{_UPTIME}reboot: (?P<reason>.*)", K.SYSTEM_SHUTDOWN),
    MessageRule(("kernel",), "", r".*", K.KERNEL_MESSAGE),
    MessageRule(("systemd",), "Started ", r"Started (?P<unit>.*?)\.?", K.SERVICE_START, _OK),
    MessageRule(("systemd",), "Stopped ", r"Stopped (?P<unit>.*?)\.?", K.SERVICE_STOP),
    MessageRule(("systemd",), "", r"(?P<unit>\S+): Failed with result '(?P<reason>.*)'\.", K.SERVICE_FAILURE, _NO),
    MessageRule(("systemd",), "Failed to start ", r"Failed to start (?P<unit>.*?)\.?", K.SERVICE_FAILURE, _NO),
    MessageRule(("systemd",), "", r"systemd (?P<reason>\S+) .*running in system mode.*", K.SYSTEM_BOOT),
    MessageRule(("systemd",), "Reached target ", r"Reached target (?P<unit>.*(?i:shutdown|reboot|power-?off|halt).*?)\.?",
    K.SYSTEM_SHUTDOWN),
    MessageRule(("systemd",), "", r"(?P<reason>Time has been changed)", K.SYSTEM_TIME),
    MessageRule(("chronyd",), "", r"System clock was stepped by (?P<reason>.*)", K.SYSTEM_TIME),
    MessageRule(("ntpd", "ntpdate", "sntp"), "", r"(?:step time server|time reset) (?P<reason>.*)", K.SYSTEM_TIME),
    MessageRule(("rsyslogd",), "", r".*\] (?P<reason>start)", K.SERVICE_START),
    MessageRule(("rsyslogd",), "", r".*(?P<reason>exiting on signal 15)\.?", K.SERVICE_STOP),
    MessageRule(("shutdown",), "", r"shutting down for (?P<reason>.*)", K.SYSTEM_SHUTDOWN),
    MessageRule((), "syslogd ", r"syslogd (?P<reason>[0-9][^ ]*): restart.*", K.SERVICE_START),
    MessageRule((), "last message", r"last message repeated (?P<repeat>[0-9]+) times", K.LOG_MESSAGE),
)  # fmt: skip

# The order matters only among rules of one process; those for any process come behind those of a process.
RULES = (
    *_SSHD_PHRASES,
    *_ATTEMPTS_PHRASES,
    *_OTHER_PHRASES,
    *_SSHD_RULES,
    *_PRIVILEGE_RULES,
    *_ACCOUNT_RULES,
    *_CRON_RULES,
    *_LOGIN_RULES,
    *_MAIL_RULES,
    *_SYSTEM_RULES,
    *_PAM_PHRASES,
    *_PAM_RULES,
)
