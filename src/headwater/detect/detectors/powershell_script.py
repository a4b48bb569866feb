# SPDX-License-Identifier: Apache-2.0
"""Suspicious PowerShell: script blocks that Windows logged, and command lines that start it, decoded and graded.

Needs:      windows.eventlog (4104 script blocks and 4103 pipelines, their parts joined; 400 and 800 HostApplication);
            process.create with command lines.
Technique:  T1059.001 PowerShell, and those of the signs in detect/powershell_signs.py.
Says:       what a script does by its own text, as written and decoded, under which account, when it was compiled or started.
False when: an administrator, an agent or a test of security runs such a script on purpose; a text says what it would do,
            not that it succeeded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from headwater.detect import decoding
from headwater.detect.commands import excerpt, quoted
from headwater.detect.frames import account_zh, names, state, take
from headwater.detect.powershell_signs import LONGEST, OBFUSCATED, SIEVE, Sign, plainly, signs
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="powershell-script",
    version="2",
    author="Headwater",
    title=Text("可疑的 PowerShell", "Suspicious PowerShell"),
    stage=Stage.EXPLOIT,
    techniques=("T1059.001",),
    severity=Severity.HIGH,
)
CLAIMS = (
    "kind",
    "event_code",
    "user",
    "ScriptBlockText",
    "ScriptBlockId",
    "MessageNumber",
    "Payload",
    "HostApplication",
    "CommandLine",
)
_OWN = ("ScriptBlockText", "ScriptBlockId", "MessageNumber", "Payload", "ContextInfo", "HostApplication", "CommandLine")
# Of what 4103 says in ContextInfo the lines' labels are in the host's language, their order is not: the runspace's GUID
# stands above the pipeline's number, and the last number is that of the event among those of its pipeline.
_PIPELINE = r"=[ \t]*([0-9A-Fa-f]{8}-[0-9A-Fa-f-]{27})[ \t]*\r?\n[^=\n]*=[ \t]*([0-9]+)[ \t]*\r?\n"
# What 4103 says of a command and of each of its parameters, as they would be typed: the signs are of what is typed.
_INVOKED, _BOUND = (
    r'CommandInvocation\(([^)]*)\): "[^"]*"',
    r'ParameterBinding\([^)]*\): name="([^"]*)"; value="([^\r\n]*)"',
)
_SEQUENCE = r"(?s).*=[ \t]*([0-9]+)[ \t]*(?:\r?\n|$)"
_HOST = r"(?i)\b(?:powershell|pwsh)(?:_ise)?(?:\.exe)?\b"
_TOLD = 3


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding for each item, account and stage, in that order."""
    texts = [pl.col(n).cast(pl.String) for n in ("ScriptBlockText", "HostApplication", "CommandLine", "Payload")]
    typed = texts[3].str.replace_all(_INVOKED, "${1}").str.replace_all(_BOUND, "-${1} ${2}")
    text = pl.coalesce(texts[0], typed.str.replace_all(r"\r?\n", " "), *texts[1:3], pl.col("command_line"))
    parts = pl.col("MessageTotal").cast(pl.Int64, strict=False).fill_null(1) > 1  # a word may be cut between two parts
    worth = text.str.contains(SIEVE) | text.str.contains(decoding.SIEVE) | parts
    module = pl.col("event_code").eq("4103") & texts[3].is_not_null()
    told = texts[0].is_not_null() | texts[1].is_not_null() | texts[2].str.contains(_HOST) | module
    rows = _taken(events, (told | pl.col("command_line").str.contains(_HOST)) & worth)
    if rows.is_empty():
        return
    rows = _pipelines(events, rows, module).with_columns(text.alias("text"))
    whole = _whole(rows)
    chosen: dict[tuple[int, str, Stage], list[tuple[pl.DataFrame, str, tuple[Sign, ...]]]] = {}
    for part, script in whole:
        found = signs(script)
        stage = _stage(found)
        if stage is not None:
            chosen.setdefault((int(part["source"][0]), str(part["user"][0] or ""), stage), []).append(
                (part, script, found)
            )
    for source, user, stage in sorted(chosen, key=lambda k: (k[0], k[1], list(Stage).index(k[2]))):
        yield _finding(events, user or None, stage, chosen[source, user, stage])


def _taken(events: Events, where: pl.Expr) -> pl.DataFrame:
    kinds = [EventKind.LOG_MESSAGE, EventKind.PROCESS_CREATE, EventKind.SERVICE_START]
    header = ["user", "host", "event_code", "command_line"]
    return take(events, kinds=kinds, header=header, own=(*_OWN, "MessageTotal"), where=where)


def _pipelines(events: Events, rows: pl.DataFrame, module: pl.Expr) -> pl.DataFrame:
    """The rows with ``pipeline``, and with every other event of the pipelines that one of them belongs to."""
    said = pl.col("ContextInfo").cast(pl.String)
    named = said.str.extract(_PIPELINE, 1) + "/" + said.str.extract(_PIPELINE, 2)
    pipeline = pl.when(module).then(named).alias("pipeline")
    rows = rows.with_columns(pipeline)
    wanted = rows["pipeline"].drop_nulls().unique().to_list()
    if not wanted:
        return rows
    parts = _taken(events, module & named.is_in(wanted)).with_columns(pipeline)
    return pl.concat([rows.filter(pl.col("pipeline").is_null()), parts], how="vertical_relaxed")


def _whole(rows: pl.DataFrame) -> list[tuple[pl.DataFrame, str]]:
    """The records of each script or command line, and its text: the parts of a script block or pipeline in order."""
    sequence = pl.when(pl.col("pipeline").is_not_null()).then(
        pl.col("ContextInfo").cast(pl.String).str.extract(_SEQUENCE, 1)
    )
    number = pl.coalesce(sequence, pl.col("MessageNumber").cast(pl.String)).cast(pl.Int64, strict=False).fill_null(0)
    key = pl.coalesce(pl.col("ScriptBlockId").cast(pl.String), pl.col("pipeline"), pl.col("text"))
    rows = rows.with_columns(key.alias("key"), number.alias("at")).sort(
        "source", "path", "key", "at", "offset", "ordinal"
    )
    found = []
    for part in rows.partition_by("source", "path", "user", "key", maintain_order=True):
        blocks = (
            part.unique("at", keep="first", maintain_order=True)
            if part["ScriptBlockId"].null_count() == 0 or part["pipeline"].null_count() == 0
            else part.head(1)
        )
        between = " " if part["pipeline"].null_count() == 0 else ""
        found.append((part, between.join(blocks["text"].to_list())[:LONGEST]))
    return found


def _stage(found: tuple[Sign, ...]) -> Stage | None:
    """The stage that a script belongs to; None for what is everyday work: no strong sign, and fewer than three weak ones."""
    strong = [s for s in found if s.strong and s is not OBFUSCATED]
    if strong:
        return strong[0].stage
    if OBFUSCATED in found or len(found) >= 3:
        return found[0].stage
    return None


def _severity(held: list[tuple[pl.DataFrame, str, tuple[Sign, ...]]]) -> Severity:
    most = max(sum(s.strong for s in found) * 2 + len(found) for _, _, found in held)
    strong = any(s.strong and s is not OBFUSCATED for _, _, found in held for s in found)
    if strong:
        return Severity.HIGH if most >= 4 else Severity.MEDIUM
    return Severity.MEDIUM if most >= 5 else Severity.LOW


def _finding(
    events: Events, user: str | None, stage: Stage, held: list[tuple[pl.DataFrame, str, tuple[Sign, ...]]]
) -> Finding:
    ordered = [s for _, _, found in held for s in sorted(found, key=lambda s: not s.strong)]
    told = list(dict.fromkeys(ordered))
    techniques = tuple(dict.fromkeys(s.technique for s in sorted(told, key=lambda s: not s.strong)))[:6]
    rule = replace(RULE, id=f"{RULE.id}-{stage.value}", stage=stage, techniques=techniques)
    scripts = list(dict.fromkeys(script for _, script, _ in held))
    zh_kinds, en_kinds = (names([getattr(s, n) for s in told[:5]], len(told), n) for n in ("zh", "en"))
    zh = f"{account_zh(user)}的 {len(held)} 段 PowerShell 属于可疑类别“{zh_kinds}”：{quoted(scripts, 'zh', _TOLD)}"
    en = f"{len(held)} pieces of PowerShell of {user or 'an account not recorded'} are of a suspicious kind ({en_kinds}): "
    en += quoted(scripts, "en", _TOLD)
    plain = list(dict.fromkeys(p for script in scripts[:50] if (p := plainly(script))))
    if plain:
        zh += f"；解码后为：{quoted(plain, 'zh', _TOLD, 200)}"
        en += f"; decoded: {quoted(plain, 'en', _TOLD, 200)}"
    facts: dict[str, Value] = {"signs": ",".join(s.name for s in told), "scripts": len(scripts)}
    if plain:
        facts["decoded"] = " ⏎ ".join(excerpt(p, 500) for p in plain[:5])
    rows = pl.concat([part for part, _, _ in held])
    strong = any(s.strong and s is not OBFUSCATED for s in told)
    return state(
        events, rule, rows, CLAIMS, Text(zh + "。", en + "."), severity=_severity(held),
        confidence=Confidence.HIGH if strong else Confidence.MEDIUM, facts=facts, limit=20, user=user,
    )  # fmt: skip
