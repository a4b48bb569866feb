# SPDX-License-Identifier: Apache-2.0
"""What a container engine's own files say of its containers: name, image, host name, zone and named volumes.

Formats: Docker's ``config.v2.json`` (moby's container package), containers/storage's ``containers.json``, and the runtime
specification's ``config.json`` (https://github.com/opencontainers/runtime-spec/blob/main/config.md). What is missing or
of another type is left out; nothing raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TEXT_MOST = 200  # characters
_LISTED_MOST = 1_000
_ID = re.compile(r"^[0-9a-f]{64}$")
_VOLUME = re.compile(r"/volumes/([^/]+)/_data/?$")


@dataclass(frozen=True, slots=True)
class Facts:
    """``volumes``: the named volumes by the place in the container where they are mounted; texts are empty where not told."""

    id: str
    engine: str
    name: str = ""
    image: str = ""
    hostname: str = ""
    zone: str = ""
    volumes: Mapping[str, str] = field(default_factory=dict)


def _object(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _part(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    return " ".join(value.split())[:_TEXT_MOST] if isinstance(value, str) else ""


def _zone(environment: Any) -> str:
    words = environment if isinstance(environment, list) else []
    return next((_text(w[3:]).removeprefix(":") for w in words if isinstance(w, str) and w.startswith("TZ=")), "")


def docker_facts(number: str, config: bytes) -> Facts:
    """Of a Docker container by its ``config.v2.json``; the id alone where that is not there or broken."""
    said = _object(config)
    mounts = _part(said, "MountPoints")
    volumes = {
        place: _text(_part(mount, "Name"))
        for place, mount in list(mounts.items() if isinstance(mounts, dict) else ())[:_LISTED_MOST]
        if _part(mount, "Type") == "volume" and _text(_part(mount, "Name"))
    }
    return Facts(
        number, "docker", _text(_part(said, "Name")).lstrip("/"), _text(_part(said, "Config", "Image")),
        _text(_part(said, "Config", "Hostname")), _zone(_part(said, "Config", "Env")), volumes,
    )  # fmt: skip


def podman_facts(listed: bytes, config_of: Callable[[str], bytes]) -> Iterator[tuple[str, Facts]]:
    """Each container of ``containers.json`` with its uppermost layer; ``config_of`` gives its runtime configuration."""
    rows = _object(listed)
    for row in rows[:_LISTED_MOST] if isinstance(rows, list) else ():
        number, layer = _part(row, "id"), _text(_part(row, "layer"))
        if not isinstance(number, str) or not _ID.match(number) or not layer:
            continue
        names = _part(row, "names")
        more = _object(_text_of(_part(row, "metadata")))
        config = _object(config_of(number))
        volumes: dict[str, str] = {}
        mounts = _part(config, "mounts")
        for mount in mounts[:_LISTED_MOST] if isinstance(mounts, list) else ():
            match = _VOLUME.search(_text(_part(mount, "source")))
            place = _part(mount, "destination")
            if match is not None and isinstance(place, str):
                volumes[place] = match.group(1)
        name = _text(names[0]) if isinstance(names, list) and names else _text(_part(more, "name"))
        image = _text(_part(more, "image-name")) or _text(_part(row, "image"))
        yield (
            layer,
            Facts(
                number,
                "podman",
                name,
                image,
                _text(_part(config, "hostname")),
                _zone(_part(config, "process", "env")),
                volumes,
            ),
        )


def _text_of(value: Any) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else b""
