# SPDX-License-Identifier: Apache-2.0
"""Functions that a MySQL or MariaDB server was told to load from a library, and libraries put into its plugin folder.

Needs:      mysql.general, mysql.binlog, mysql.slow or linux.history for the statements; for the library linux.dpkg_files
            or linux.rpm and fs.content.
Technique:  T1505.001 SQL stored procedures.
Says:       which statement made which function of which library, or wrote a library by way of the server; which library in a plugin
            folder no package brought. It does not say that the server carried it out: its own answer is not logged.
False when: an administrator loaded a function of his own, or the server was unpacked by hand and brought its plugins itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.commands import excerpt
from headwater.detect.frames import state, take
from headwater.detect.package_view import packages
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="database-function",
    version="1",
    author="Headwater",
    title=Text("数据库装载外部函数", "A database was told to load functions from a library"),
    stage=Stage.PERSIST,
    techniques=("T1505.001",),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "statement", "command_line", "user", "src_ip")
LIBRARY = ("kind", "file_path", "hash", "type")
_FEEDS = ("mysql.general", "mysql.binlog", "mysql.slow", "linux.history")
MOST = 100
_SAID = r"(?is)\bsoname\s*['\"]|\binto\s+dumpfile\b.{0,300}\.so\b|\bmysql\.func\b"
_FUNCTION = lazy_regex(
    r"(?is)\bcreate\s+(?:or\s+replace\s+)?(?:aggregate\s+)?function\s+(?:if\s+not\s+exists\s+)?[`\"]?(?P<name>[\w.$]{1,64})[`\"]?\s+returns\s+"
    r"(?:string|integer|int|real|decimal)\s+soname\s*['\"](?P<library>[^'\"]{1,256})"
)
_PLUGIN = lazy_regex(
    r"(?is)\binstall\s+(?:plugin\s+[`\"]?(?P<name>\w{1,64})[`\"]?\s+)?soname\s*['\"](?P<library>[^'\"]{1,256})"
)
_DUMPED = lazy_regex(r"(?is)\binto\s+dumpfile\s*['\"](?P<library>[^'\"]{1,256}\.so)\b")
_TABLE = lazy_regex(r"(?is)\b(?:insert|replace)\s+(?:ignore\s+)?into\s+[`\"]?mysql[`\"]?\.[`\"]?func\b")
# names that run commands (lib_mysqludf_sys and the exploits that follow it)
_SHELLS = lazy_regex(
    r"(?i)^(?:sys_(?:exec|eval|bineval|get|set)|do_system|cmd_?shell|shell|backshell|exec(?:ute)?|system|udf_\w+)$"
)
# libraries of the servers themselves and of Percona's toolkit, as their manuals have them loaded
_OWN = lazy_regex(
    r"(?i)^(?:version_token|locking_service|rewriter|keyring_udf|audit_log|data_masking|openssl_udf|mysql_no_login|auth_\w+|ha_\w+|sql_errlog|"
    r"server_audit|validate_password|semisync_\w+|group_replication|mysql_clone|connection_control|ddl_rewriter|mysqlx|simple_password_check|"
    r"cracklib_password_check|query_response_time|handlersocket|metadata_lock_info|query_cache_info|locales|disks|wsrep_info|"
    r"lib(?:fnv1a|fnv|murmur)_udf|provider_\w+|component_\w+|keyring_\w+|firewall|authentication_\w+|thread_pool|dialog|"
    r"qc_info|feedback|file_key_management|hashicorp_key_management|adt_null|innodb_engine|libmemcached|tokudb\w*|libpluginmecab)(?:\.so|\.dll)?$"
)
_FOLDER = r"/(?:mysql|mariadb)[^/]*/(?:[^/]+/)*plugin/[^/]+\.so$|/lib/plugin/[^/]+\.so$"


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Statements by source, path and place, then libraries in order of their paths."""
    said = pl.coalesce("statement", "command_line").fill_null("")
    rows = take(
        events, kinds=None, feeds=_FEEDS, header=["host", "user", "src_ip", "command_line"], own=["statement"],
        where=said.str.contains(_SAID),
    )  # fmt: skip
    told = 0
    for row in rows.sort("source", "path", "offset", "ordinal").iter_slices(1):
        if told == MOST:
            break
        values = row.to_dicts()[0]
        found = _meant(str(values["statement"] or values["command_line"] or ""))
        if found is None:
            continue
        told += 1
        reason, severity, zh, en = found
        yield state(
            events, RULE, row, CLAIMS, Text(zh + "。", en + "."), severity=severity,
            confidence=Confidence.HIGH if severity is Severity.HIGH else Confidence.MEDIUM, facts={"reason": reason},
        )  # fmt: skip
    yield from _libraries(events)


def _meant(text: str) -> tuple[str, Severity, str, str] | None:
    """Why a statement is told, how grave it is, and what it does in both languages."""
    shown = excerpt(text, 160)
    if match := _FUNCTION.search(text):
        name, library = match["name"].rpartition(".")[2], match["library"].rpartition("/")[2]
        if _OWN.match(library):
            return None
        grave = Severity.HIGH if _SHELLS.match(name) or "udf_sys" in library.lower() else Severity.MEDIUM
        return (
            "function", grave, f"命令数据库从 {library} 装载函数 {name}：{shown}",
            f"The database was told to load the function {name} from {library}: {shown}",
        )  # fmt: skip
    if match := _DUMPED.search(text):
        library = match["library"]
        en = f"The database was told to write the library {library}: {shown}"
        return "written", Severity.HIGH, f"命令数据库写出动态库 {library}：{shown}", en
    if _TABLE.search(text):
        return (
            "table",
            Severity.HIGH,
            f"直接改写 mysql.func 表：{shown}",
            f"The table mysql.func was written to: {shown}",
        )
    match = _PLUGIN.search(text)
    if match is None or _OWN.match(match["library"].rpartition("/")[2]):
        return None
    library = match["library"]
    return (
        "plugin",
        Severity.LOW,
        f"命令数据库装载插件 {library}：{shown}",
        f"The database was told to load the plugin {library}: {shown}",
    )


def _libraries(events: Events) -> Iterator[Finding]:
    """Libraries of plugin folders that no package brought, where the packages brought others beside them."""
    view = packages(events)
    if view is None:
        return
    path = pl.col("file_path")
    folder = path.str.extract(r"^(.*)/[^/]+$", 1)
    brought = view.owned.filter(path.str.contains(_FOLDER)).select("source", "system", folder.alias("folder")).unique()
    odd = (
        view.unowned()
        .filter(path.str.contains(_FOLDER) & (pl.col("type") == "elf"))
        .with_columns(folder.alias("folder"))
    )
    odd = odd.join(brought, on=["source", "system", "folder"], how="semi", maintain_order="left")
    for row in odd.sort("source", "path").head(MOST).iter_slices(1):
        name = str(row["file_path"][0])
        zh = f"{name} 位于数据库插件目录而不属于任何软件包；软件包数据库与文件同盘，不是独立的佐证。"
        en = f"{name} lies in the database's plugin folder and no package brought it; the package database is no independent witness."
        yield state(
            events, RULE, row, LIBRARY, Text(zh, en), severity=Severity.HIGH, confidence=Confidence.MEDIUM,
            facts={"reason": "library", "path": name},
        )  # fmt: skip
