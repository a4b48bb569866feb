# SPDX-License-Identifier: Apache-2.0
"""The fields of Linux audit records, which of them are numbers or encoded text, and what each record type means.

Sources: the audit project's field dictionary and record types
(https://github.com/linux-audit/audit-documentation/blob/main/specs/fields/field-dictionary.csv,
.../specs/messages/message-dictionary.csv), Linux ``include/uapi/linux/audit.h``.
"""

from __future__ import annotations

from headwater.model.kinds import EventKind

# Arguments of EXECVE that have columns of their own; later ones are in ``other`` and in the command line.
ARGUMENTS = tuple(f"a{n}" for n in range(16))

# Decimal numbers. A value that is no number stands in ``other`` as it was written.
NUMBERS = (
    *("auid", "uid", "gid", "euid", "suid", "fsuid", "egid", "sgid", "fsgid", "ouid", "ogid", "old-auid", "id"),
    *("ppid", "ses", "old-ses", "argc", "items", "item", "inode", "syscall", "opid", "oauid", "oses", "audit_pid"),
    *("ino", "sauid", "spid", "nargs", "cap_frootid", "lport", "rport"),
)
# Text that the kernel or libaudit writes in quotes, or in hexadecimal where it holds a space, a quote or an odd byte.
ENCODED = (
    *("comm", "exe", "cwd", "name", "proctitle", "cmd", "acct", "path", "dir", "data", "key", "ocomm", "new_group"),
    *("file", "old", "new", "device", "vm", "grp", "unit", "watch"),
)
PLAIN = (
    *("arch", "success", "exit", "tty", "subj", "obj", "res", "op", "grantors", "hostname", "addr", "terminal", "dev"),
    *("mode", "rdev", "nametype", "cap_fp", "cap_fi", "cap_fe", "cap_fver", "scontext", "tcontext", "tclass", "list"),
    *("permissive", "saddr", "sig", "code", "compat", "ip", "fd", "flags", "perm", "perms", "family", "table"),
    *("entries", "kernel", "ver", "format", "reason", "result", "state", "audit_enabled", "audit_failure", "prom"),
    *("old_prom", "old_enforcing", "enforcing", "default-context", "selected-context", "oldlevel"),
    *("audit_backlog_limit", "fp", "kind", "direction", "spid_name", "laddr", "saddr_fam", "proto"),
    *("fam", "sport", "daddr", "dport", "fi", "fe", "pi", "pe", "pp", "cap_pi", "cap_pp", "cap_pe", "model"),
    *("major", "minor", "request", "operation", "profile", "apparmor", "info", "error", "denied_mask", "module"),
    *("requested_mask", "capability", "capname", "new-level", "old-level", "netns", "resp", "per", "bool", "val"),
)
# The enriched form adds names in capitals behind a separator. Columns must differ in more than case: ``UID`` is stored
# as ``uid_name``, and of the call's two forms the name keeps ``SYSCALL``, which public rules ask for.
ENRICHED = (
    *("ARCH", "AUID", "UID", "GID", "EUID", "SUID", "FSUID", "EGID", "SGID", "FSGID", "OUID", "OGID", "OLD-AUID"),
    *("SADDR", "OAUID", "SAUID", "ID"),
)
STORED = {name: name.lower() + "_name" for name in ENRICHED} | {"syscall": "syscall_number", "SYSCALL": "SYSCALL"}

KNOWN = tuple(dict.fromkeys((*NUMBERS, *ENCODED, *PLAIN, *ARGUMENTS, *ENRICHED, "SYSCALL", "pid", "msg")))

# What stands for nothing in these fields.
UNKNOWN = {"key": "(null)", "hostname": "?", "addr": "?", "terminal": "?", "exe": "?", "name": "(null)"}

_CONFIG = (
    *("CONFIG_CHANGE", "DAEMON_START", "DAEMON_END", "DAEMON_ABORT", "DAEMON_CONFIG", "DAEMON_ROTATE"),
    *("DAEMON_RESUME", "DAEMON_RECONFIG", "DAEMON_ACCEPT", "DAEMON_CLOSE", "DAEMON_ERR"),
)
# Record type: kind, and the kind where the record says that it failed (None: the same).
KINDS: dict[str, tuple[EventKind, EventKind | None]] = {
    "USER_AUTH": (EventKind.AUTH_SUCCESS, EventKind.AUTH_FAILURE),
    # the same failure was said by USER_AUTH
    "USER_LOGIN": (EventKind.SESSION_OPEN, EventKind.AUTH_PROBE),
    "USER_START": (EventKind.SESSION_OPEN, None),
    "USER_END": (EventKind.SESSION_CLOSE, None),
    "USER_LOGOUT": (EventKind.SESSION_CLOSE, None),
    "USER_CMD": (EventKind.PRIVILEGE_USE, EventKind.PRIVILEGE_DENIED),
    "ADD_USER": (EventKind.ACCOUNT_CREATE, None),
    "DEL_USER": (EventKind.ACCOUNT_DELETE, None),
    "USER_MGMT": (EventKind.ACCOUNT_CHANGE, None),
    "USER_CHAUTHTOK": (EventKind.ACCOUNT_CHANGE, None),
    "ACCT_LOCK": (EventKind.ACCOUNT_CHANGE, None),
    "ACCT_UNLOCK": (EventKind.ACCOUNT_CHANGE, None),
    "CHUSER_ID": (EventKind.ACCOUNT_CHANGE, None),
    "ADD_GROUP": (EventKind.GROUP_CHANGE, None),
    "DEL_GROUP": (EventKind.GROUP_CHANGE, None),
    "GRP_MGMT": (EventKind.GROUP_CHANGE, None),
    "GRP_CHAUTHTOK": (EventKind.GROUP_CHANGE, None),
    "CHGRP_ID": (EventKind.GROUP_CHANGE, None),
    "SERVICE_START": (EventKind.SERVICE_START, EventKind.SERVICE_FAILURE),
    "SERVICE_STOP": (EventKind.SERVICE_STOP, EventKind.SERVICE_FAILURE),
    "SYSTEM_BOOT": (EventKind.SYSTEM_BOOT, None),
    "SYSTEM_SHUTDOWN": (EventKind.SYSTEM_SHUTDOWN, None),
    "TIME_INJOFFSET": (EventKind.SYSTEM_TIME, None),
    "KERNEL": (EventKind.KERNEL_MESSAGE, None),
    **dict.fromkeys(_CONFIG, (EventKind.AUDIT_CONFIG, None)),
}
# Records about an account other than the one who acted: ``acct`` is the target.
ABOUT_ACCOUNT = tuple(t for t, (kind, _) in KINDS.items() if kind.value.startswith(("account.", "group.")))
# Records whose ``acct`` is who acted.
BY_ACCOUNT = (
    *("USER_AUTH", "USER_LOGIN", "USER_START", "USER_END", "USER_LOGOUT", "USER_ACCT", "USER_ERR"),
    *("CRED_ACQ", "CRED_DISP", "CRED_REFR", "USER_ROLE_CHANGE"),
)
# execve and execveat by AUDIT_ARCH_*: x86_64, aarch64, i386, arm.
EXEC_CALLS = {"c000003e": (59, 322), "c00000b7": (221, 281), "40000003": (11, 358), "40000028": (11, 387)}
