# SPDX-License-Identifier: Apache-2.0
"""The closed tables: stages, severities, confidences, event kinds, reasons for a gap."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """The six stages of the seed, in order, and the covering of tracks that accompanies all of them."""

    LOGIN = "abnormal-login"
    EXPLOIT = "exploitation"
    ESCALATE = "privilege-escalation"
    PERSIST = "persistence"
    SPREAD = "lateral-outbound"
    IMPACT = "exfiltration-encryption"
    COVER = "anti-forensics"


STAGE_TEXT: dict[Stage, tuple[str, str]] = {
    Stage.LOGIN: ("异常登录", "Abnormal login"),
    Stage.EXPLOIT: ("漏洞利用", "Exploitation"),
    Stage.ESCALATE: ("提权", "Privilege escalation"),
    Stage.PERSIST: ("持久化", "Persistence"),
    Stage.SPREAD: ("横向/对外攻击", "Lateral and outbound attack"),
    Stage.IMPACT: ("数据外泄/加密", "Exfiltration or encryption"),
    Stage.COVER: ("反取证", "Covering tracks"),
}


class Severity(StrEnum):
    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


SEVERITY_TEXT: dict[Severity, tuple[str, str]] = {
    Severity.INFO: ("提示", "Information"),
    Severity.LOW: ("低", "Low"),
    Severity.MEDIUM: ("中", "Medium"),
    Severity.HIGH: ("高", "High"),
    Severity.CRITICAL: ("严重", "Critical"),
}

SEVERITY_ORDER: dict[Severity, int] = {s: i for i, s in enumerate(Severity)}


class Confidence(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


CONFIDENCE_TEXT: dict[Confidence, tuple[str, str]] = {
    Confidence.LOW: ("可能", "Possible"),
    Confidence.MEDIUM: ("较可能", "Probable"),
    Confidence.HIGH: ("高度可能", "Highly probable"),
}


class TimeBasis(StrEnum):
    """What the recorded time rests on; only ``ZONE_ASSUMED`` and ``YEAR_ASSUMED`` are wall-clock values."""

    UTC = "utc"  # the record is in UTC by its format
    ZONE_GIVEN = "zone-given"  # the record states its offset; t_recorded is already UTC
    ZONE_ASSUMED = "zone-assumed"  # t_recorded is the wall clock, counted as if it were UTC
    YEAR_ASSUMED = "year-assumed"  # as ZONE_ASSUMED, and the year was inferred as well
    NONE = "none"  # the record states no time


class Outcome(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"


class GapReason(StrEnum):
    """Why bytes yielded no event."""

    TRUNCATED = "truncated"
    OVERWRITTEN = "overwritten"  # e.g. zeros where a record stood
    UNREADABLE = "unreadable"  # I/O error, checksum error, missing segment
    NOT_THIS_FORMAT = "not-this-format"
    TOO_LONG = "too-long"  # a line or record over its limit
    LIMIT = "limit"  # a bound on size, depth, records or ratio was reached
    ENCRYPTED = "encrypted"
    UNSUPPORTED = "unsupported"  # a known format or feature that no reader here handles
    NOT_REPLAYED = "journal-not-replayed"  # a dirty volume seen as recorded, its journal not applied
    INCOMPLETE = "incomplete"  # a child ran out of time or memory


GAP_TEXT: dict[GapReason, tuple[str, str]] = {
    GapReason.TRUNCATED: ("数据截断", "truncated"),
    GapReason.OVERWRITTEN: ("被覆写", "overwritten"),
    GapReason.UNREADABLE: ("不可读", "unreadable"),
    GapReason.NOT_THIS_FORMAT: ("不符合本格式", "not this format"),
    GapReason.TOO_LONG: ("超长", "too long"),
    GapReason.LIMIT: ("超出处理上限", "over a limit"),
    GapReason.ENCRYPTED: ("已加密", "encrypted"),
    GapReason.UNSUPPORTED: ("尚不支持", "not supported"),
    GapReason.NOT_REPLAYED: ("文件系统日志未重放", "journal not replayed"),
    GapReason.INCOMPLETE: ("未处理完", "incomplete"),
}


class EventKind(StrEnum):
    """What happened, from one closed table; a log line that says nothing more is ``LOG_MESSAGE``."""

    SESSION_OPEN = "session.open"
    SESSION_CLOSE = "session.close"
    AUTH_SUCCESS = "auth.success"
    AUTH_FAILURE = "auth.failure"
    AUTH_PROBE = "auth.probe"  # a connection that named no password: scans, resets, protocol errors
    PRIVILEGE_USE = "privilege.use"  # sudo, su, pkexec that ran
    PRIVILEGE_DENIED = "privilege.denied"
    ACCOUNT_CREATE = "account.create"
    ACCOUNT_CHANGE = "account.change"
    ACCOUNT_DELETE = "account.delete"
    GROUP_CHANGE = "group.change"
    PROCESS_CREATE = "process.create"
    PROCESS_EXIT = "process.exit"
    SERVICE_START = "service.start"
    SERVICE_INSTALL = "service.install"  # a service was added to the system
    SERVICE_STOP = "service.stop"
    SERVICE_FAILURE = "service.failure"
    SCHEDULE_RUN = "schedule.run"  # cron or a timer ran a command
    SCHEDULE_CHANGE = "schedule.change"  # crontab edited
    PACKAGE_INSTALL = "package.install"
    PACKAGE_UPGRADE = "package.upgrade"
    PACKAGE_REMOVE = "package.remove"
    PACKAGE_STATUS = "package.status"
    WEB_REQUEST = "web.request"
    WEB_ERROR = "web.error"
    BROWSER_VISIT = "browser.visit"  # a page that a browser on this host opened
    BROWSER_DOWNLOAD = "browser.download"
    TRANSFER_JOB = "transfer.job"  # a file that the system was to fetch or send by itself
    SERVICE_ACCESS = "service.access"  # a client's first and last use of a server's role
    FILE_MODIFIED = "file.modified"
    FILE_ACCESSED = "file.accessed"
    FILE_CHANGED = "file.changed"  # inode change (ctime)
    FILE_CREATED = "file.created"
    FILE_DELETED = "file.deleted"
    FILE_RENAMED = "file.renamed"
    FILE_CLOSED = "file.closed"  # closed after changes that stand in records of their own
    SYSTEM_BOOT = "system.boot"
    SYSTEM_SHUTDOWN = "system.shutdown"
    SYSTEM_TIME = "system.time"  # the clock was set
    KERNEL_MESSAGE = "kernel.message"
    NETWORK_CONNECTION = "network.connection"
    NETWORK_USAGE = "network.usage"  # how much a program sent and received in a stretch of time
    FIREWALL_BLOCK = "firewall.block"
    COMMAND_HISTORY = "command.history"  # a shell history line
    LOG_CLEARED = "log.cleared"
    LOG_MESSAGE = "log.message"
    AUDIT_CONFIG = "audit.config"
    STATE_ACCOUNT = "state.account"  # an entry of passwd or shadow as it stands
    STATE_GROUP = "state.group"
    STATE_SUDO = "state.sudo"
    STATE_SCHEDULE = "state.schedule"  # a crontab or timer entry as it stands
    STATE_SERVICE = "state.service"  # a unit, init script or rc.local line as it stands
    STATE_KEY = "state.key"  # an authorized key as it stands
    STATE_HOST_KEY = "state.host_key"  # a host that an account has connected to, as known_hosts keeps it
    STATE_LASTLOG = "state.lastlog"
    STATE_PACKAGE = "state.package"  # a package as its database has it
    STATE_PACKAGE_FILE = "state.package_file"  # a file of a package, with the digest that the database states
    STATE_FILE = "state.file"  # what a file holds as it stands: digests, type, entropy
    STATE_SHADOW = "state.shadow"  # a file as a shadow copy has it, which the volume has not any more, or not so
    STATE_REPLAYED = "state.replayed"  # a file that a volume's blocks and its journal tell differently
    STATE_SECURITY = "state.security"  # owner and access list of files, as a volume keeps them
    STATE_STREAM = "state.stream"  # an alternate data stream of a file as it stands
    STATE_RECOVERED = "state.recovered"  # a file that is not there any more, and what can be claimed of it
    STATE_SETTING = "state.setting"  # a line of a program's configuration as it stands
    STATE_EVENT_TEXT = "state.event_text"  # the text of an event number, as the program that logs it carries it
    STATE_PROCESS = "state.process"  # a process as a command or /proc tells of it
    STATE_SOCKET = "state.socket"  # a socket as a command or /proc/net tells of it
    STATE_MODULE = "state.module"  # a kernel module as loaded
    STATE_MOUNT = "state.mount"
    STATE_MAPPING = "state.mapping"  # a stretch of a process's memory and the file behind it
    STATE_LISTED = "state.listed"  # a file as ls or find lists it, or as a process has it open
    STATE_SESSION = "state.session"  # a login or session as last, who or w tells of it
    STATE_NETWORK = "state.network"  # an interface, address, route or neighbour
    STATE_FIREWALL = "state.firewall"  # a rule of the packet filter
    STATE_CONTAINER = "state.container"
    STATE_HOST = "state.host"  # what a system says of itself: kernel, clock, uptime, space
    REGISTRY_KEY = "registry.key"  # a registry key and when it was last written
    REGISTRY_VALUE = "registry.value"
    REGISTRY_LOG = "registry.log"  # a write that a hive's transaction log keeps
    EXECUTION_TRACE = "execution.trace"  # what Windows keeps of a program that ran or was there
    USER_ACTIVITY = "user.activity"  # what a user opened, typed or connected to, as lists of recent things keep it
    STATE_AUTORUN = "state.autorun"  # what Windows starts by itself, beside services and tasks
    STATE_DEVICE = "state.device"  # a device that was attached
    STATE_SHARE = "state.share"
    STATE_STRING = "state.string"  # a telling string in a new or changed program
    STATE_MEMORY = "state.memory"  # a telling string in the memory of a running system
    STATE_MATCH = "state.match"  # what a YARA rule matches in a file or on a medium
    STATE_PROGRAM = "state.program"  # a Windows program as it stands: header, digest, embedded signature
    STATE_CATALOG = "state.catalog"  # digests of files that a signed catalog lists
    STATE_RIGHT = "state.right"  # what an account may do by the local policy of Windows
    MALWARE_DETECTED = "malware.detected"  # what an antivirus program found, or did with what it found
    STATE_CONTENT = "state.content"  # a suspicious trait of a file's content (web shell, ransom note)
