# SPDX-License-Identifier: Apache-2.0
"""What can be collected, as data: one YAML file per artifact, and the profiles that list them.

An artifact names what is taken (``collect``), why, of which platform and category, and how soon it is gone
(``volatility``, after RFC 3227: 1 sockets and processes, 2 what processes hold, 3 the kernel's state, 4 answers of
services, 5 temporary files and listings, 6 logs, 7 settings, 8 what hardly changes). ``secrets``: it holds passwords or
keys and needs an authority. ``touches``: what taking it may change on the server all the same.

One of ``collect`` is: ``command`` (words; ``timeout`` in seconds; ``each: user``), ``files`` (patterns, ``exclude``), ``pseudo``
(files of /proc and /sys), ``process`` (files and ``links`` of every process), ``recover: deleted``, ``raw``.
Patterns: :mod:`headwater.acquire.collector_patterns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from headwater.formats.patterns import lazy_regex
from headwater.model.errors import UsageError
from headwater.model.nouns import Text

PLATFORMS = ("linux", "windows")
NAME = lazy_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_KEYS = frozenset({"name", "title", "why", "category", "platform", "volatility", "secrets", "touches", "collect"})
_COLLECT = ("command", "files", "pseudo", "process", "recover", "raw")


@dataclass(frozen=True, slots=True)
class Artifact:
    """One thing to collect; see the module. ``collect``: as the collector's order has it."""

    name: str
    title: Text
    why: Text
    category: str
    platform: str
    volatility: int
    secrets: bool
    collect: tuple[Mapping[str, Any], ...]
    touches: str = ""
    left_out: tuple[str, ...] = ()  # of a foreign definition: what of it cannot be taken here, and why

    def order(self) -> dict[str, Any]:
        """As the collector is told it."""
        return {"name": self.name, "collect": [dict(c) for c in self.collect]}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a profile comes to. ``withheld``: artifacts that hold secrets and were not to be taken."""

    profile: str
    artifacts: tuple[Artifact, ...]
    withheld: tuple[str, ...] = ()
    left_out: tuple[str, ...] = field(default_factory=tuple)


def artifact_of(raw: Mapping[str, Any], where: str) -> Artifact:
    """An artifact from its YAML.

    Raises:
        UsageError: HW2101, it is not of the form.
    """
    try:
        if set(raw) - _KEYS or not NAME.fullmatch(str(raw["name"])) or raw["platform"] not in PLATFORMS:
            raise ValueError(", ".join(sorted(set(raw) - _KEYS)) or f"{raw['name']} {raw['platform']}")
        collect = tuple(dict(c) for c in raw["collect"])
        for one in collect:
            if sum(k in one for k in _COLLECT) != 1:
                raise ValueError(f"collect: {', '.join(one)}")
        return Artifact(
            str(raw["name"]), Text(raw["title"]["zh"], raw["title"]["en"]), Text(raw["why"]["zh"], raw["why"]["en"]),
            str(raw["category"]), str(raw["platform"]), int(raw["volatility"]), bool(raw["secrets"]), collect,
            str(raw.get("touches", "")),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError("HW2101", where, what=str(error)) from error


@cache
def artifacts() -> Mapping[str, Artifact]:
    """Every artifact of the program, by name."""
    import yaml

    found = {}
    for file in sorted(resources.files("headwater.acquire").joinpath("artifacts").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            made = artifact_of(yaml.safe_load(file.read_text("utf-8")), file.name)
            found[made.name] = made
    return found


@cache
def profiles() -> Mapping[str, tuple[Text, tuple[str, ...]]]:
    """Every profile of the program: its title and the names of its artifacts."""
    import yaml

    found = {}
    for file in resources.files("headwater.acquire").joinpath("profiles").iterdir():
        if file.name.endswith(".yaml"):
            raw = yaml.safe_load(file.read_text("utf-8"))
            found[str(raw["name"])] = (Text(raw["title"]["zh"], raw["title"]["en"]), tuple(raw["artifacts"]))
    return dict(sorted(found.items()))


def choose(
    profile: str,
    platforms: Iterable[str],
    *,
    also: Sequence[str] = (),
    without: Sequence[str] = (),
    secrets: bool,
    foreign: Mapping[str, Sequence[Artifact]] | None = None,
) -> Chosen:
    """The artifacts of a profile (or of names, joined by commas), the most volatile first.

    ``foreign``: further definitions by name, each as what it comes to.

    Raises:
        UsageError: HW2100, no such profile or artifact.
    """
    known, lists, more = artifacts(), profiles(), foreign or {}
    wanted: list[Artifact] = []
    for name in [*profile.split(","), *also]:
        if name in lists:
            wanted += [known[n] for n in lists[name][1]]
        elif name in known:
            wanted.append(known[name])
        elif name in more:
            wanted += more[name]
        else:
            raise UsageError("HW2100", what=name, known=", ".join(lists))
    if unknown := [n for n in without if n not in known and n not in more]:
        raise UsageError("HW2100", what=", ".join(unknown), known=", ".join(lists))
    fit = {(a.name, a.platform): a for a in wanted if a.platform in set(platforms) and a.name not in without}
    taken = [a for a in fit.values() if secrets or not a.secrets]
    withheld = tuple(dict.fromkeys(a.name for a in fit.values() if a.secrets and not secrets))
    left_out = tuple(f"{a.name}: {what}" for a in taken for what in a.left_out)
    taken.sort(key=lambda a: a.volatility)  # stable: the profile's order decides among equals
    return Chosen(profile, tuple(taken), withheld, left_out)
