# SPDX-License-Identifier: Apache-2.0
"""Indicator lists: plain text, CSV, STIX 2.1 bundles and MISP events, as indicators with their place in the list.

Text: one value per line, ``#`` begins a comment. CSV: with a header that names ``value`` or ``indicator`` (and perhaps
``type``, ``comment`` …), NSRL's ``SHA-256`` columns too, or a first column of values. STIX: https://docs.oasis-open.org/cti/stix/v2.1/
chapter 9, comparisons ``object:path = 'value'`` joined by OR, and by AND where one is enough to name it; what the
pattern says besides is told as not used. MISP: https://www.misp-standard.org/rfc/misp-standard-core.html attributes.
Whose value is of no kind that is looked for is counted, never dropped in silence.
"""

from __future__ import annotations

import csv
import io
import ipaddress
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from headwater.formats.patterns import lazy_regex

LIST_MOST = 256 << 20
COUNT_MOST = 2_000_000
_HASHES = {32: "md5", 40: "sha1", 64: "sha256"}
_DOMAIN = lazy_regex(r"(?=.{4,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\Z")
_FILE = lazy_regex(
    r"[^/\\\s<>|:*?\"]{1,200}\.(?:exe|dll|sys|ps1|bat|vbs|js|jsp|php|aspx?|sh|py|elf|so|jar|war|msi|scr|lnk|encrypted|hta)\Z"
)
_KEY = lazy_regex(r"SHA256:[A-Za-z0-9+/]{43}\Z")
_COMPARISON = lazy_regex(
    r"(?P<what>[a-z0-9-]+:[A-Za-z0-9_.'\"\-\[\]*]+)\s*(?P<how>=|IN|LIKE|MATCHES|!=|<=|>=|<|>|ISSUBSET)\s*'(?P<value>(?:[^'\\]|\\.)*)'"
)
_STIX = {
    "ipv4-addr:value": "address", "ipv6-addr:value": "address", "domain-name:value": "domain", "url:value": "url",
    "file:name": "file", "email-addr:value": "", "file:hashes.md5": "md5", "file:hashes.sha-1": "sha1",
    "file:hashes.sha-256": "sha256", "network-traffic:dst_ref.value": "address", "network-traffic:src_ref.value": "address",
    "file:hashes.sha256": "sha256", "file:hashes.sha1": "sha1",
}  # fmt: skip
_MISP = {
    "ip-src": "address", "ip-dst": "address", "domain": "domain", "hostname": "domain", "url": "url", "uri": "url",
    "md5": "md5", "sha1": "sha1", "sha256": "sha256", "filename": "file", "user-agent": "agent",
}  # fmt: skip
KINDS = ("address", "network", "domain", "url", "md5", "sha1", "sha256", "file", "agent", "key")


@dataclass(frozen=True, slots=True)
class Indicator:
    """A value of a kind (one of :data:`KINDS`), as it is compared; ``place``: line or object of the list; ``about``."""

    kind: str
    value: str
    place: str
    about: str = ""


@dataclass(slots=True)
class IndicatorList:
    """What a list holds, and what of it could not be used, by reason."""

    name: str
    form: str
    indicators: list[Indicator] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)


class BadList(ValueError):
    """No list that can be read; the message says why."""


def read_list(name: str, data: bytes) -> IndicatorList:
    """A list in whichever of the forms it has.

    Raises:
        BadList: broken JSON, JSON of another kind, more than :data:`COUNT_MOST` indicators.
    """
    if len(data) > LIST_MOST:
        raise BadList(f"more than {LIST_MOST >> 20} MiB")
    text = data.decode("utf-8-sig", "replace")
    if text.lstrip()[:1] in ("{", "["):
        try:
            held = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadList(f"JSON: {str(error)[:200]}") from error
        found = _of_json(name, held)
    elif "," in text.lstrip().split("\n", 1)[0] or name.lower().endswith(".csv"):
        found = _of_csv(name, text)
    else:
        found = IndicatorList(name, "text")
        for number, line in enumerate(text.splitlines(), 1):
            value, _, about = line.partition("#")
            _guess(found, value, f"line {number}", about.strip())
    if len(found.indicators) > COUNT_MOST:
        raise BadList(f"more than {COUNT_MOST} indicators")
    return found


def _add(found: IndicatorList, kind: str, value: str, place: str, about: str) -> None:
    value = value.strip()
    if kind in ("address", "network"):
        try:
            network = ipaddress.ip_network(value, strict=False)
        except ValueError:
            found.unused[f"no address: {kind}"] += 1
            return
        single = network.num_addresses == 1
        kind, value = ("address", str(network.network_address)) if single else ("network", str(network))
    elif kind in ("domain", "md5", "sha1", "sha256"):
        value = value.lower().rstrip(".")
        if (kind == "domain" and not _DOMAIN.match(value)) or (kind != "domain" and _HASHES.get(len(value)) != kind):
            found.unused[f"no {kind}"] += 1
            return
    elif kind == "file":
        value = value.replace("\\", "/").rsplit("/", 1)[-1].lower()
    if len(value) < 4:  # it would be found everywhere
        found.unused["too short"] += 1
        return
    found.indicators.append(Indicator(kind, value, place, about[:300]))


def _guess(found: IndicatorList, value: str, place: str, about: str = "") -> None:
    """A value whose kind follows from its form; brackets that keep it from being clicked are taken off."""
    value = value.strip().strip("\"'").replace("[.]", ".").replace("(.)", ".").replace("hxxp", "http")
    if not value:
        return
    plain = value.lower()
    try:
        ipaddress.ip_network(value, strict=False)
        kind = "address"
    except ValueError:
        if re.fullmatch(r"[0-9a-f]+", plain) and len(plain) in _HASHES:
            kind = _HASHES[len(plain)]
        elif "://" in value:
            kind = "url"
        elif _KEY.match(value):
            kind = "key"
        elif _FILE.match(plain):
            kind = "file"
        elif _DOMAIN.match(plain):
            kind = "domain"
        else:
            found.unused["kind not recognised"] += 1
            return
    _add(found, kind, value, place, about)


_NAMED = {"ip": "address", "ipv4": "address", "ipv6": "address", "cidr": "network", "hostname": "domain", "fqdn": "domain",
          "filename": "file", "user-agent": "agent", "useragent": "agent", "sha-256": "sha256", "sha-1": "sha1", "uri": "url",
          "fingerprint": "key"}  # fmt: skip


def _of_csv(name: str, text: str) -> IndicatorList:
    found = IndicatorList(name, "csv")
    rows = csv.reader(io.StringIO(text))
    head = [cell.strip().lower() for cell in next(rows, [])]
    values = [at for at, cell in enumerate(head) if cell in ("value", "indicator", "ioc")]
    kinds = [at for at, cell in enumerate(head) if cell in ("type", "kind", "indicator_type")]
    hashes = [
        (at, _NAMED.get(cell, cell))
        for at, cell in enumerate(head)
        if _NAMED.get(cell, cell) in ("md5", "sha1", "sha256")
    ]
    abouts = [at for at, cell in enumerate(head) if cell in ("comment", "description", "about", "name", "filename")]
    if not values and not hashes:  # no header: the first line holds a value too
        _guess(found, head[0] if head else "", "line 1")
    try:
        for row in rows:
            place, about = f"line {rows.line_num}", " ".join(row[at] for at in abouts if at < len(row))
            if values and values[0] < len(row):
                said = row[kinds[0]].strip().lower() if kinds and kinds[0] < len(row) else ""
                kind = _NAMED.get(said, _MISP.get(said, said))
                if kind in KINDS:
                    _add(found, kind, row[values[0]], place, about)
                else:
                    _guess(found, row[values[0]], place, about)
            elif hashes:
                for at, kind in hashes:
                    if at < len(row) and row[at]:
                        _add(found, kind, row[at], place, about)
            elif row and not values:
                _guess(found, row[0], place, " ".join(row[1:]))
    except csv.Error as error:
        raise BadList(f"CSV: {error}") from error
    return found


def _of_json(name: str, held: Any) -> IndicatorList:
    if isinstance(held, dict) and held.get("type") == "bundle":
        found = IndicatorList(name, "stix")
        for at, item in enumerate(held.get("objects") or []):
            if isinstance(item, dict) and item.get("type") == "indicator":
                _of_pattern(found, item, str(item.get("id") or f"object {at}"))
        return found
    events = held if isinstance(held, list) else [held]
    if all(isinstance(e, dict) and ("Event" in e or "Attribute" in e or "response" in e) for e in events) and events:
        found = IndicatorList(name, "misp")
        for attribute in _attributes(events):
            kind, value = str(attribute.get("type", "")), str(attribute.get("value", ""))
            place = str(attribute.get("uuid") or attribute.get("id") or "")
            about = str(attribute.get("comment") or attribute.get("category") or "")
            for part, text in zip(kind.split("|"), value.split("|"), strict=False):
                if part in _MISP:
                    _add(found, _MISP[part], text, place, about)
                else:
                    found.unused[f"type {part[:40]}"] += 1
        return found
    raise BadList("JSON that is neither a STIX 2.1 bundle nor a MISP event")


def _attributes(events: list[Any]) -> Iterator[Mapping[str, Any]]:
    """All attributes of MISP events, those of their objects too; iterative, for the nesting is a stranger's."""
    waiting: list[Any] = list(reversed(events))
    while waiting:
        held = waiting.pop()
        if isinstance(held, list):
            waiting.extend(reversed(held))
        elif isinstance(held, dict):
            if "value" in held and "type" in held:
                yield held
            waiting.extend(held[key] for key in ("response", "Event", "Attribute", "Object") if key in held)


def _of_pattern(found: IndicatorList, item: Mapping[str, Any], place: str) -> None:
    pattern = str(item.get("pattern", ""))
    about = str(item.get("name") or item.get("description") or "")
    if item.get("pattern_type", "stix") != "stix":
        found.unused[f"pattern_type {str(item.get('pattern_type'))[:40]}"] += 1
        return
    if item.get("revoked") is True:
        found.unused["revoked"] += 1
        return
    several = re.search(r"\b(?:AND|FOLLOWEDBY|NOT)\b", re.sub(r"'(?:[^'\\]|\\.)*'", "", pattern)) is not None
    used = 0
    for match in _COMPARISON.finditer(pattern):
        what = match["what"].lower().replace("'", "").replace('"', "")
        kind = _STIX.get(what, "")
        if "user-agent" in what:
            kind = "agent"
        if not kind or match["how"] != "=":
            found.unused[f"{what[:60]} {match['how']}"] += 1
            continue
        words = f"{about} (one of several conditions of its pattern)" if several else about
        _add(found, kind, re.sub(r"\\(.)", r"\1", match["value"]), place, words)
        used += 1
    if not used and not _COMPARISON.search(pattern):
        found.unused["pattern without a comparison that is used here"] += 1
