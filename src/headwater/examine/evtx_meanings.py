# SPDX-License-Identifier: Apache-2.0
"""What well-known Windows events mean: their kind, and which of their fields is the user, the address, the program.

https://learn.microsoft.com/windows/security/threat-protection/auditing/ (Security), the manifest of each provider else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from headwater.model.kinds import EventKind, Outcome

SECURITY = "Microsoft-Windows-Security-Auditing"
SYSMON = "Microsoft-Windows-Sysmon"
_TERMINAL = "Microsoft-Windows-TerminalServices-"
_TASKS = "Microsoft-Windows-TaskScheduler"
_SESSIONS = f"{_TERMINAL}LocalSessionManager"
_CONNECTIONS = f"{_TERMINAL}RemoteConnectionManager"
K = EventKind

_KINDS: Mapping[str, Mapping[EventKind, Sequence[int]]] = {
    SECURITY: {
        K.AUTH_SUCCESS: (4624, 4768, 4776),
        K.AUTH_FAILURE: (4625, 4771, 4772, 4777),
        K.SESSION_OPEN: (4778,),
        K.SESSION_CLOSE: (4634, 4647, 4779),
        K.PRIVILEGE_USE: (4648, 4672, 4673, 4674, 4964),
        K.PROCESS_CREATE: (4688,),
        K.PROCESS_EXIT: (4689,),
        K.SERVICE_INSTALL: (4697,),
        K.SCHEDULE_CHANGE: (4698, 4699, 4700, 4701, 4702),
        K.AUDIT_CONFIG: (4719, 4739, 4902, 4904, 4905, 4906, 4907, 4912),
        K.ACCOUNT_CREATE: (4720, 4741),
        K.ACCOUNT_CHANGE: (4722, 4723, 4724, 4725, 4738, 4740, 4742, 4765, 4766, 4767, 4780, 4781, 4794),
        K.ACCOUNT_DELETE: (4726, 4743),
        K.GROUP_CHANGE: (*range(4727, 4736), 4737, *range(4744, 4765), 4764),
        K.NETWORK_CONNECTION: (5156,),
        K.FIREWALL_BLOCK: (5152, 5157),
        K.SYSTEM_BOOT: (4608,),
        K.SYSTEM_SHUTDOWN: (4609,),
        K.SYSTEM_TIME: (4616,),
    },
    "Microsoft-Windows-Eventlog": {K.LOG_CLEARED: (104, 517, 1102)},
    "Security": {  # before Windows Vista
        K.LOG_CLEARED: (517,),
        K.AUTH_SUCCESS: (528, 540, 672, 680),
        K.AUTH_FAILURE: (*range(529, 538), 539, 675, 676, 681),
        K.SESSION_OPEN: (682,),
        K.SESSION_CLOSE: (538, 551, 683),
        K.PRIVILEGE_USE: (552, 576, 577, 578),
        K.PROCESS_CREATE: (592,),
        K.PROCESS_EXIT: (593,),
        K.SERVICE_INSTALL: (601,),
        K.SCHEDULE_CHANGE: (602,),
        K.AUDIT_CONFIG: (612, 643),
        K.ACCOUNT_CREATE: (624, 645),
        K.ACCOUNT_CHANGE: (626, 627, 628, 629, 642, 644, 646, 671, 685),
        K.ACCOUNT_DELETE: (630, 647),
        K.GROUP_CHANGE: (*range(631, 642), *range(648, 669)),
        K.SYSTEM_BOOT: (512,),
        K.SYSTEM_SHUTDOWN: (513,),
        K.SYSTEM_TIME: (520,),
    },
    "EventLog": {K.SYSTEM_BOOT: (6005,), K.SYSTEM_SHUTDOWN: (6006, 6008)},
    "Microsoft-Windows-Kernel-General": {K.SYSTEM_BOOT: (12,), K.SYSTEM_SHUTDOWN: (13,), K.SYSTEM_TIME: (1,)},
    "User32": {K.SYSTEM_SHUTDOWN: (1074,)},
    "Service Control Manager": {
        K.SERVICE_INSTALL: (7045,),
        K.SERVICE_FAILURE: (7000, 7001, 7009, 7011, 7022, 7023, 7024, 7026, 7031, 7034),
    },
    SYSMON: {
        K.PROCESS_CREATE: (1,),
        K.FILE_MODIFIED: (2,),
        K.NETWORK_CONNECTION: (3,),
        K.PROCESS_EXIT: (5,),
        K.FILE_CREATED: (11,),
        K.AUDIT_CONFIG: (4, 16),
        K.FILE_DELETED: (23, 26),
    },
    _SESSIONS: {K.SESSION_OPEN: (21, 22, 25), K.SESSION_CLOSE: (23, 24)},
    _CONNECTIONS: {K.AUTH_SUCCESS: (1149,)},
    _TASKS: {K.SCHEDULE_CHANGE: (106, 140, 141, 142), K.SCHEDULE_RUN: (100, 129, 200)},
    "MsiInstaller": {K.PACKAGE_INSTALL: (1033, 11707), K.PACKAGE_REMOVE: (1034, 11724)},
}
_KIND_OF = {
    f"{provider}/{number}": kind.value
    for provider, kinds in _KINDS.items()
    for kind, numbers in kinds.items()
    for number in numbers
}
_KIND_OF |= {
    key.replace("Service Control Manager", "Microsoft-Windows-Service Control Manager"): kind
    for key, kind in _KIND_OF.items()
}
_BY_STATUS = (4768, 4776)  # success or failure as the field Status says
_TARGETS = [k.value for k in (K.AUTH_SUCCESS, K.AUTH_FAILURE, K.SESSION_OPEN, K.SESSION_CLOSE, K.ACCOUNT_CREATE,
                              K.ACCOUNT_CHANGE, K.ACCOUNT_DELETE)]  # fmt: skip
_FAILURES = [K.AUTH_FAILURE.value, K.SERVICE_FAILURE.value]
_SUCCESSES = [k.value for k in (K.AUTH_SUCCESS, K.SERVICE_INSTALL, K.LOG_CLEARED, K.ACCOUNT_CREATE, K.ACCOUNT_DELETE)]
_ADDRESS = r"^[0-9]+\.[0-9.]+$|^[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%\w+)?$"


class Fields:
    """The own columns of a frame by their names, as expressions; null where the frame lacks one."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def __call__(self, *names: str) -> pl.Expr:
        """The first of these fields that an event has and that is not a dash."""
        there = [self._names[n.lower()] for n in names if n.lower() in self._names]
        if not there:
            return pl.lit(None, dtype=pl.String)
        found = [pl.when(pl.col(c).is_in(("-", ""))).then(None).otherwise(pl.col(c)) for c in there]
        return found[0] if len(found) == 1 else pl.coalesce(found)

    def has(self, name: str) -> bool:
        return name.lower() in self._names


def kinds(provider: pl.Expr, number: pl.Expr, fields: Fields) -> pl.Expr:
    """The kind of each event by its provider and number, and for some by their status."""
    key = pl.concat_str(provider, number.cast(pl.String), separator="/")
    kind = key.replace_strict(_KIND_OF, default=K.LOG_MESSAGE.value, return_dtype=pl.String).fill_null(
        K.LOG_MESSAGE.value
    )
    if fields.has("EventType"):  # a log before Windows Vista: the same number for both outcomes
        refused = (provider == "Security") & number.is_in((672, 680)) & (fields("EventType") == "audit failure")
        kind = pl.when(refused.fill_null(False)).then(pl.lit(K.AUTH_FAILURE.value)).otherwise(kind)
    if not fields.has("Status"):
        return kind
    status = fields("Status").str.to_lowercase()
    failed = (provider == SECURITY) & number.is_in(_BY_STATUS) & ~status.is_in(("0x0", "0x00000000", "0"))
    return pl.when(failed.fill_null(False)).then(pl.lit(K.AUTH_FAILURE.value)).otherwise(kind)


def outcomes(kind: pl.Expr) -> pl.Expr:
    return (
        pl.when(kind.is_in(_FAILURES))
        .then(pl.lit(Outcome.FAILURE.value))
        .when(kind.is_in(_SUCCESSES))
        .then(pl.lit(Outcome.SUCCESS.value))
    )


def _address(text: pl.Expr) -> pl.Expr:
    bare = text.str.strip_prefix("::ffff:").str.strip_prefix("::FFFF:")
    return pl.when(bare.str.contains(_ADDRESS)).then(bare)


def _number(text: pl.Expr) -> pl.Expr:
    """A process number, decimal or as 0x…"""
    hexadecimal = text.str.starts_with("0x")
    return (
        pl.when(hexadecimal)
        .then(text.str.strip_prefix("0x").str.to_integer(base=16, strict=False))
        .otherwise(text.cast(pl.Int64, strict=False))
    )


def header(fields: Fields, provider: pl.Expr, number: pl.Expr, kind: pl.Expr) -> dict[str, pl.Expr]:
    """The header columns that an event's own fields fill."""
    connected = (provider == _CONNECTIONS) & (number == 1149)
    session = provider == _SESSIONS
    named = pl.when(kind.is_in(_TARGETS)).then(fields("TargetUserName", "AccountName", "User"))
    user = named.otherwise(fields("SubjectUserName", "User", "AccountName"))
    source = fields("IpAddress", "SourceIp", "SourceAddress", "ClientAddress")
    source = pl.when(session).then(fields("Address")).otherwise(source)
    if fields.has("Param3"):
        user = pl.when(connected).then(fields("Param1")).otherwise(user)
        source = pl.when(connected).then(fields("Param3")).otherwise(source)
    hashes = fields("Hashes", "Hash")
    return {
        "user": user,
        "src_ip": _address(source),
        "dst_ip": _address(fields("DestinationIp", "DestAddress")),
        "pid": _number(fields("NewProcessId", "ProcessId")),
        "process": fields("NewProcessName", "Image", "ProcessName", "Application"),
        "command_line": fields("CommandLine", "ProcessCommandLine"),
        "file_path": fields("TargetFilename", "ServiceFileName", "ImagePath"),
        "hash": pl.coalesce(
            hashes.str.extract(r"SHA256=([0-9A-Fa-f]{64})"), hashes.str.extract(r"MD5=([0-9A-Fa-f]{32})")
        ).str.to_lowercase(),
    }
