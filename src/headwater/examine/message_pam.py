# SPDX-License-Identifier: Apache-2.0
"""What PAM's modules say in the name of any program; see :mod:`headwater.examine.message_rules`.

Sources: Linux-PAM's pam_unix, pam_faillock, pam_tally2, pam_access, pam_listfile, pam_succeed_if, pam_exec and libpam; pam_sss of SSSD.
"""

from __future__ import annotations

from headwater.examine.message_rule import MessageRule, phrase
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome

_OK, _NO = Outcome.SUCCESS, Outcome.FAILURE
_PAM = r"(?:(?P<pam_module>pam_[a-z0-9_]+)\((?P<service>[^:)]*):[a-z]*\): )?"

_UNIX = "pam_unix"
_SSHD_FAILED = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost="
PAM_PHRASES = (
    phrase((), _SSHD_FAILED + "{src_ip}", K.AUTH_PROBE, _NO, pam_module=_UNIX, service="sshd"),
    phrase((), _SSHD_FAILED + "{src_ip}  user={user*}", K.AUTH_PROBE, _NO, pam_module=_UNIX, service="sshd"),
    phrase((), "pam_unix(sshd:auth): check pass; {reason*}", K.AUTH_PROBE, _NO, pam_module=_UNIX, service="sshd"),
    *(
        one
        for service in ("sshd", "cron", "sudo", "su", "crond", "systemd-user", "login")
        for begin in (f"pam_unix({service}:session): session ",)
        for one in (
            phrase((), begin + "opened for user {user*}(uid={uid#}) by (uid={by_uid#})", K.SESSION_OPEN, _OK,
                pam_module=_UNIX, service=service),
            phrase((), begin + "opened for user {user*}(uid={uid#}) by {by_user}(uid={by_uid#})", K.SESSION_OPEN, _OK,
                pam_module=_UNIX, service=service),
            phrase((), begin + "opened for user {user*} by (uid={by_uid#})", K.SESSION_OPEN, _OK,
                pam_module=_UNIX, service=service),
            phrase((), begin + "opened for user {user*} by {by_user}(uid={by_uid#})", K.SESSION_OPEN, _OK,
                pam_module=_UNIX, service=service),
            phrase((), begin + "closed for user {user*}", K.SESSION_CLOSE, pam_module=_UNIX, service=service),
        )
    ),
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
PAM_RULES = (
    *(MessageRule((), "pam_", _PAM + pattern, kind, outcome) for _, pattern, kind, outcome in _PAM_SHAPES),
    *(MessageRule((), start, pattern, kind, outcome) for start, pattern, kind, outcome in _PAM_SHAPES),

    MessageRule((), "pam_", _PAM + r"requirement \"(?P<reason>.*)\" not met by user \"(?P<user>.*)\"", K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"Consecutive login failures for user (?P<user>.*) account temporarily (?P<reason>locked)",
    K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"(?P<reason>auth could not identify password) for \[(?P<user>.*)\]", K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"account (?P<user>.*) has expired.*", K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"authentication (?P<reason>success); logname=(?P<by_user>\S*) uid=(?P<by_uid>[0-9]+) euid=[0-9]+ "
    r"tty=(?P<tty>\S*) ruser=\S* rhost=(?P<src_ip>\S*)(?: +user=(?P<user>.*))?", K.LOG_MESSAGE, _OK),
    MessageRule((), "pam_", _PAM + r"received for user (?P<user>.*): [0-9]+ \((?P<reason>.*)\)", K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"(?P<reason>access denied) for user `(?P<user>.*)' from `(?P<src_ip>.*)'", K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"(?P<reason>Refused) user (?P<user>.*) for service .*", K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"user (?P<user>.*) \((?P<uid>[0-9]+)\) (?P<reason>tally [0-9]+, deny [0-9]+)", K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"(?P<reason>expired password) for user (?P<user>.*) \(.*\)", K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"(?P<reason>User unknown)", K.AUTH_PROBE, _NO),
    MessageRule((), "pam_", _PAM + r"(?P<command_line>/.*) (?P<reason>failed: .*)", K.LOG_MESSAGE, _NO),
    # the system's own complaint of a module that is listed but cannot be loaded (libpam: pam_handlers.c)
    MessageRule((), "PAM unable to dlopen(", r"PAM (?P<reason>unable to dlopen)\((?P<file_path>[^)]*)\): .*", K.LOG_MESSAGE, _NO),
    MessageRule((), "PAM adding faulty module: ", r"PAM (?P<reason>adding faulty module): (?P<file_path>.*)", K.LOG_MESSAGE, _NO),
)  # fmt: skip
