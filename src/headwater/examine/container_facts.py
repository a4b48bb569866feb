# SPDX-License-Identifier: Apache-2.0
"""What a container engine's own files say of its containers: name, image, host name, zone and named volumes.

Formats: Docker's ``config.v2.json`` (moby's container package), containers/storage's ``containers.json``, and the runtime
specification's ``config.json`` (https://github.com/opencontainers/runtime-spec/blob/main/config.md). What is missing or
of another type is left out; nothing raises.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from headwater.formats.patterns import lazy_regex

_TEXT_MOST = 200  # characters
LISTED_MOST = 1_000
_ID = lazy_regex(r"^[0-9a-f]{64}$")
_VOLUME = lazy_regex(r"/volumes/([^/]+)/_data/?$")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one container; texts are empty where not told.

    ``volumes``: the named volumes by the place in the container where they are mounted; one that begins with ``/`` is the
    folder itself. ``more``: further words by name (namespace, pod, log).
    """

    id: str
    engine: str
    name: str = ""
    image: str = ""
    hostname: str = ""
    zone: str = ""
    volumes: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, str] = field(default_factory=dict)


def parsed(data: bytes) -> Any:
    """JSON; None where it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def part(value: Any, *names: str) -> Any:
    """What a row of names leads to; None where it leads nowhere."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text(value: Any) -> str:
    """A text in one line; empty where it is none."""
    return " ".join(value.split())[:_TEXT_MOST] if isinstance(value, str) else ""


def environment(words: Any, name: str) -> str:
    """A variable of a process's environment, a list of NAME=value."""
    start = name + "="
    given = words[:LISTED_MOST] if isinstance(words, list) else []
    return next((text(w[len(start) :]) for w in given if isinstance(w, str) and w.startswith(start)), "")


def _zone(words: Any) -> str:
    return environment(words, "TZ").removeprefix(":")


def docker_facts(number: str, config: bytes) -> Facts:
    """Of a Docker container by its ``config.v2.json``; the id alone where that is not there or broken."""
    said = parsed(config)
    mounts = part(said, "MountPoints")
    volumes = {
        place: text(part(mount, "Name"))
        for place, mount in list(mounts.items() if isinstance(mounts, dict) else ())[:LISTED_MOST]
        if part(mount, "Type") == "volume" and text(part(mount, "Name"))
    }
    return Facts(
        number, "docker", text(part(said, "Name")).lstrip("/"), text(part(said, "Config", "Image")),
        text(part(said, "Config", "Hostname")), _zone(part(said, "Config", "Env")), volumes,
    )  # fmt: skip


def podman_facts(listed: bytes, config_of: Callable[[str], bytes]) -> Iterator[tuple[str, Facts]]:
    """Each container of ``containers.json`` with its uppermost layer; ``config_of`` gives its runtime configuration."""
    rows = parsed(listed)
    for row in rows[:LISTED_MOST] if isinstance(rows, list) else ():
        number, layer = part(row, "id"), text(part(row, "layer"))
        if not isinstance(number, str) or not _ID.match(number) or not layer:
            continue
        names = part(row, "names")
        more = parsed(_text_of(part(row, "metadata")))
        config = parsed(config_of(number))
        volumes: dict[str, str] = {}
        mounts = part(config, "mounts")
        for mount in mounts[:LISTED_MOST] if isinstance(mounts, list) else ():
            match = _VOLUME.search(text(part(mount, "source")))
            place = part(mount, "destination")
            if match is not None and isinstance(place, str):
                volumes[place] = match.group(1)
        name = text(names[0]) if isinstance(names, list) and names else text(part(more, "name"))
        image = text(part(more, "image-name")) or text(part(row, "image"))
        yield (
            layer,
            Facts(
                number,
                "podman",
                name,
                image,
                text(part(config, "hostname")),
                _zone(part(config, "process", "env")),
                volumes,
            ),
        )


def _text_of(value: Any) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else b""
