# SPDX-License-Identifier: Apache-2.0
"""Definitions of the ForensicArtifacts project as artifacts to collect.

Format: https://artifacts.readthedocs.io/en/latest/sources/Format-specification.html. Files, paths and commands are
taken; what names registry keys, values or WMI queries is said to be left out, because the hives that hold them are
collected whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headwater.acquire.catalogue import NAME, Artifact
from headwater.model.errors import UsageError
from headwater.model.nouns import Text

_SYSTEMS = {"Linux": "linux", "Windows": "windows"}
_GROUPS_MOST = 16  # groups within groups
_FILES_MOST = 16 << 20
_PLACES = {
    "users.homedir": "{home}", "users.userprofile": "/Users/*", "users.appdata": "/Users/*/AppData/Roaming",
    "users.localappdata": "/Users/*/AppData/Local", "users.localappdata_low": "/Users/*/AppData/LocalLow",
    "users.temp": "/Users/*/AppData/Local/Temp", "users.desktop": "/Users/*/Desktop", "users.username": "*", "users.sid": "*",
    "environ_systemroot": "/Windows", "environ_windir": "/Windows", "environ_systemdrive": "", "environ_programfiles": "/Program Files",
    "environ_programfilesx86": "/Program Files (x86)", "environ_programdata": "/ProgramData",
    "environ_allusersappdata": "/ProgramData", "environ_allusersprofile": "/ProgramData", "environ_temp": "/Windows/Temp",
}  # fmt: skip


def definitions(folder: Path, system: str) -> dict[str, list[Artifact]]:
    """Every definition in the YAML files of a folder, by name, for one platform; groups as what they come to.

    Raises:
        UsageError: HW2101, a file that cannot be read or holds no definitions.
    """
    raw = dict(_documents(folder))
    return {name: list(_of(name, raw, system, 0)) for name in raw}


def _documents(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import yaml

    paths = sorted(p for p in folder.rglob("*.yaml") if p.is_file()) if folder.is_dir() else []
    if not paths:
        raise UsageError("HW2101", str(folder), what="no *.yaml")
    for path in paths:
        try:
            if path.stat().st_size > _FILES_MOST:
                raise ValueError("too large")
            text = path.read_text("utf-8")
            try:
                documents = list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
            except yaml.YAMLError:  # libyaml refuses a colon in a flow scalar that YAML 1.1 allows
                documents = list(yaml.safe_load_all(text))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UsageError("HW2101", str(path), what=str(error).split("\n")[0]) from error
        for document in documents:
            if isinstance(document, Mapping) and isinstance(document.get("name"), str):
                yield document["name"], document


def _of(name: str, raw: Mapping[str, Mapping[str, Any]], system: str, depth: int) -> Iterator[Artifact]:
    document = raw[name]
    collect: list[dict[str, Any]] = []
    left_out: list[str] = []
    for source in document.get("sources", ()):
        if not isinstance(source, Mapping) or not _fits(source, document, system):
            continue
        kind, values = str(source.get("type")), source.get("attributes") or {}
        if kind == "ARTIFACT_GROUP":
            for below in values.get("names", ()):
                if below in raw and below != name and depth < _GROUPS_MOST:
                    yield from _of(str(below), raw, system, depth + 1)
        elif kind in ("FILE", "PATH", "DIRECTORY"):
            patterns, strange = _patterns(values)
            left_out += strange
            if patterns:
                collect.append({"files": patterns})
        elif kind == "COMMAND" and system == "linux":
            words = [str(values.get("cmd", "")).rpartition("/")[2], *(str(a) for a in values.get("args", ()))]
            collect.append({"command": words, "timeout": 60})
        else:
            left_out.append(kind)
    if (collect or left_out) and NAME.fullmatch(name):
        about = " ".join(str(document.get("doc", name)).split())[:200]
        yield Artifact(
            name, Text(name, name), Text(about, about), "forensic-artifacts", system, 2 if _commands(collect) else 7, False,
            tuple(collect), left_out=tuple(dict.fromkeys(left_out)),
        )  # fmt: skip


def _commands(collect: Sequence[Mapping[str, Any]]) -> bool:
    return any("command" in c for c in collect)


def _fits(source: Mapping[str, Any], document: Mapping[str, Any], system: str) -> bool:
    stated = source.get("supported_os") or document.get("supported_os") or list(_SYSTEMS)
    return any(_SYSTEMS.get(str(s)) == system for s in stated)


def _patterns(values: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """(patterns in our form, those with a word that has no meaning here)."""
    found, strange = [], []
    separator = str(values.get("separator", "/"))
    for path in values.get("paths", ()):
        text = str(path).replace("\\", "/") if separator == "\\" or "\\" in str(path) else str(path)
        filled = re.sub(r"%%([a-z_.]+)%%", lambda m: _PLACES.get(m.group(1).lower(), "%%"), text, flags=re.IGNORECASE)
        filled = re.sub(r"\*\*\d+", "**", filled)  # a depth of its own: here it is any
        filled = re.sub(r"^[A-Za-z]:", "", filled)
        if "%%" in filled or not filled.startswith(("/", "{home}")):
            strange.append(text)
        else:
            found.append(filled)
    return found, strange
