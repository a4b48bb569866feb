# SPDX-License-Identifier: Apache-2.0
"""The rules of the packet filter as iptables-save and nft print them (live.firewall).

Reads:  /@command/{iptables-save,ip6tables-save,nft-ruleset}*.stdout of a live collection; /etc/iptables/rules.v4 and
        .v6, /etc/sysconfig/iptables and ip6tables, /etc/nftables.conf.
Time:   the start of the command, UTC, where its .json states it; none for a file.
Format: iptables-save(8): ``*table``, ``:chain policy [packets:bytes]``, ``-A chain …``, ``COMMIT``; nft(8) list ruleset.
Limits: rules as text; sets and maps of nft are told line by line, not joined with the rules that name them.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import artifact, captured, row, rows, value
from headwater.examine.parsers._text import Line
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "live.firewall"
VERSION = 2
READS = (
    "/@command/iptables-save*.stdout",
    "/@command/ip6tables-save*.stdout",
    "/@command/nft-*.stdout",
    "/etc/iptables/rules.v4",
    "/etc/iptables/rules.v6",
    "/etc/sysconfig/iptables",
    "/etc/sysconfig/ip6tables",
    "/etc/nftables.conf",
)
_CHAIN = lazy_regex(r":(?P<chain>\S+) (?P<policy>\S+)(?: \[(?P<packets>\d+):(?P<bytes>\d+)\])?\s*")
_RULE = lazy_regex(r"(?:\[(?P<packets>\d+):(?P<bytes>\d+)\] )?-[AI] (?P<chain>\S+)(?P<rule>.*)")
_OPTION = lazy_regex(r"(?:^| )(-s|-d|-p|-i|-o|-j|-g|--dport|--sport|--to-destination|--to-ports?) (\S+)")
_NAMES = {
    "-s": "source_net", "-d": "destination_net", "-p": "protocol", "-i": "in_interface", "-o": "out_interface",
    "-j": "action", "-g": "action", "--dport": "destination_port", "--sport": "source_port",
    "--to-destination": "target", "--to-port": "target", "--to-ports": "target",
}  # fmt: skip
_OPEN = lazy_regex(r"\s*(?P<what>table|chain|set|map|flowtable|ct \w+|counter|limit|quota)(?: (?P<name>.*?))? ?\{\s*")
_POLICY = lazy_regex(
    r"\s*type \w+ hook (?P<hook>\w+) .*?priority (?P<priority>[^;]+);(?:\s*policy (?P<policy>\w+);)?\s*"
)
_ALONE = lazy_regex(
    r"(?:(?:add|insert|replace|delete|destroy|flush|create|include|define|redefine|undefine)\b|rule ).*"
)
_DEEP = 16


def parse(file: File) -> Iterator[Record]:
    when = captured(file)
    table: str | None = None
    blocks: list[tuple[str, str]] = []

    def saved(line: Line, text: str) -> Event | str | None:
        nonlocal table
        if text.startswith("#"):
            return "comment"
        if text.startswith("*"):
            table = text[1:].strip()
            return "table"
        if text.strip() == "COMMIT":
            return "end of a table"
        match = _CHAIN.fullmatch(text) or _RULE.fullmatch(text)
        if match is None:
            return None
        fields: dict[str, Value] = {
            k: value(v) if k in ("packets", "bytes") else v for k, v in match.groupdict().items()
        }
        fields["table"] = table
        fields["rule"] = str(fields.get("rule") or "").strip() or None
        fields |= {_NAMES[k]: v for k, v in _OPTION.findall(str(fields["rule"] or ""))}
        return row(line, when, EventKind.STATE_FIREWALL, fields)

    def nft(line: Line, text: str) -> Event | str | None:
        if text.lstrip().startswith("#"):
            return "comment"
        if match := _OPEN.fullmatch(text):
            if len(blocks) >= _DEEP:
                return None
            blocks.append((match["what"], match["name"] or ""))
            return "a block opens"
        if text.strip() == "}":
            if blocks:
                blocks.pop()
            return "a block closes"
        if not blocks and not _ALONE.fullmatch(text):
            return None
        fields: dict[str, Value] = {what: name for what, name in blocks if what in ("table", "chain", "set", "map")}
        if found := _POLICY.fullmatch(text):
            fields |= {"hook": found["hook"], "policy": found["policy"]}
        fields["rule"] = text.strip()
        return row(line, when, EventKind.STATE_FIREWALL, fields)

    yield from rows(file, nft if artifact(file).startswith("nft") else saved)
