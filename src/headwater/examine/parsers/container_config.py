# SPDX-License-Identifier: Apache-2.0
"""Docker's containers as they were set up: image, command, rights and mounts (container.config).

Reads:  /var/lib/docker/containers/ID/config.v2.json and hostconfig.json.
Time:   Created, StartedAt and FinishedAt of config.v2.json, UTC; hostconfig.json states none.
Format: one JSON object a file, as moby's container and runconfig packages write it.
Limits: the state at the last write, not a history; ``risks`` names settings that give a container rights over its host,
        it does not say that they were used; environment values are shown by name only, since they hold passwords.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.examine.container_lines import container_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Value
from headwater.model.times import from_rfc3339

FEED = "container.config"
VERSION = 1
READS = ("/containers/*/config.v2.json", "/containers/*/hostconfig.json")
_MOST = 4 << 20  # bytes; such a file has some kilobytes
_LISTED = 100
_TEXT = 8192
_CAPABILITIES = frozenset(
    [
        "ALL",
        "SYS_ADMIN",
        "SYS_PTRACE",
        "SYS_MODULE",
        "SYS_RAWIO",
        "DAC_READ_SEARCH",
        "DAC_OVERRIDE",
        "NET_ADMIN",
        "SYS_BOOT",
        "BPF",
    ]
)
_NOTHING = "0001-01-01"  # Go's zero time: it did not happen
# Host paths whose mount gives a container its host: the root, system folders, the engine's own sockets.
_ESCAPE = lazy_regex(
    r"/(?:(?:etc|root|boot|dev|proc|sys|home|usr|var|lib|run|var/run|var/lib/docker|var/lib/kubelet|var/log"
    r"|var/spool/cron)(?:/?$)|(?:var/)?run/(?:docker|containerd/containerd|crio/crio|podman/podman)\.sock"
    r"|(?:etc|root/\.ssh|var/spool/cron|proc/sys|sys/fs/cgroup)/.*)|/?$"
)


def parse(file: File) -> Iterator[Record]:
    if not file.size:
        return
    found = _object(file)
    if isinstance(found, Gap):
        yield found
        return
    path = file_layer(file.path)
    names: dict[str, Value] = dict(container_of(path))
    yield _host(file, found, names) if path.endswith("hostconfig.json") else _own(file, found, names)


def _object(file: File) -> Mapping[str, Any] | Gap:
    if file.size > _MOST:
        return Gap(0, file.size, GapReason.TOO_LONG, f"a configuration of more than {_MOST} bytes")
    try:
        said = json.loads(file.pread(0, file.size))
    except OSError as error:
        return Gap(0, file.size, GapReason.UNREADABLE, f"input/output error {error.errno}")
    except (ValueError, RecursionError):
        return Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "no JSON object")
    if not isinstance(said, dict):
        return Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "no JSON object")
    return said


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return value[:_LISTED] if isinstance(value, list) else []


def _word(value: Any) -> str | None:
    return value[:_TEXT] if isinstance(value, str) and value else None


def _words(value: Any, joint: str = " ") -> str | None:
    return joint.join(str(v) for v in _list(value))[:_TEXT] or None


def _time(value: Any) -> int | None:
    if not isinstance(value, str) or value.startswith(_NOTHING):
        return None
    try:
        return from_rfc3339(value.replace("Z", "+00:00"))
    except (ValueError, OverflowError):
        return None


def _own(file: File, said: Mapping[str, Any], names: dict[str, Value]) -> Event:
    config, state = _map(said.get("Config")), _map(said.get("State"))
    command = " ".join(str(v) for v in [said.get("Path"), *_list(said.get("Args"))] if isinstance(v, str))
    created = _time(said.get("Created"))
    mounts = [_map(m) for m in _map(said.get("MountPoints")).values()]
    sources = [f"{m.get('Source')}:{m.get('Destination')}" for m in mounts[:_LISTED] if m.get("Source")]
    variables = [str(v).partition("=")[0] for v in _list(config.get("Env"))]
    fields: dict[str, Value] = {
        **names,
        "container": _word(said.get("ID")) or names.get("container"),
        "container_name": (_word(said.get("Name")) or "").removeprefix("/") or None,
        "image": _word(config.get("Image")),
        "image_id": _word(said.get("Image")),
        "container_host": _word(config.get("Hostname")),
        "mounts": "\n".join(sources) or None,
        "variables": " ".join(variables) or None,
        "running": state.get("Running") if isinstance(state.get("Running"), bool) else None,
        "exit_code": state.get("ExitCode") if isinstance(state.get("ExitCode"), int) else None,
        "restarts": said.get("RestartCount") if isinstance(said.get("RestartCount"), int) else None,
        "started": _word(state.get("StartedAt")) if _time(state.get("StartedAt")) is not None else None,
        "finished": _word(state.get("FinishedAt")) if _time(state.get("FinishedAt")) is not None else None,
        "log_path": _word(said.get("LogPath")),
        "mechanism": "docker",
    }
    return Event(
        0, file.size, EventKind.STATE_SERVICE,
        t_recorded=created, t_basis=TimeBasis.NONE if created is None else TimeBasis.UTC, t_kind="created",
        user=_word(config.get("User")), pid=_pid(state.get("Pid")), command_line=command[:_TEXT] or None,
        file_path=file_layer(file.path), fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip


def _pid(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 < value < 1 << 32 else None


def _risks(said: Mapping[str, Any], binds: Sequence[str]) -> list[str]:
    """The settings that reach out of a container, as ``setting`` or ``setting=value``, in a fixed order."""
    found = ["privileged"] if said.get("Privileged") is True else []
    added = {str(c).upper().removeprefix("CAP_") for c in _list(said.get("CapAdd"))}
    found += [f"cap={c}" for c in sorted(added & _CAPABILITIES)]
    found += [
        f"{k[:-4].lower()}=host" for k in ("PidMode", "NetworkMode", "IpcMode", "UTSMode") if said.get(k) == "host"
    ]
    found += ["userns=host"] if said.get("UsernsMode") == "host" else []
    found += [f"mount={b.partition(':')[0]}" for b in binds if _ESCAPE.fullmatch(b.partition(":")[0])]
    found += [f"{o}" for o in map(str, _list(said.get("SecurityOpt"))) if "unconfined" in o or o == "label=disable"]
    found += [f"device={_map(d).get('PathOnHost')}" for d in _list(said.get("Devices")) if _map(d).get("PathOnHost")]
    return found


def _host(file: File, said: Mapping[str, Any], names: dict[str, Value]) -> Event:
    mounts = [_map(m) for m in _list(said.get("Mounts"))]
    binds = [str(b) for b in _list(said.get("Binds"))]
    binds += [f"{m.get('Source')}:{m.get('Target')}" for m in mounts if m.get("Type") == "bind"]
    ports = [
        f"{_map(h).get('HostIp') or '*'}:{_map(h).get('HostPort') or '?'}->{inner}"
        for inner, hosts in list(_map(said.get("PortBindings")).items())[:_LISTED]
        for h in _list(hosts)
    ]
    fields: dict[str, Value] = {
        **names,
        "privileged": said.get("Privileged") if isinstance(said.get("Privileged"), bool) else None,
        "binds": "\n".join(binds)[:_TEXT] or None,
        "capabilities_added": _words(said.get("CapAdd")),
        "capabilities_dropped": _words(said.get("CapDrop")),
        "network_mode": _word(said.get("NetworkMode")),
        "pid_mode": _word(said.get("PidMode")),
        "ipc_mode": _word(said.get("IpcMode")),
        "security_options": _words(said.get("SecurityOpt")),
        "restart_policy": _word(_map(said.get("RestartPolicy")).get("Name")),
        "ports": "\n".join(ports)[:_TEXT] or None,
        "log_driver": _word(_map(said.get("LogConfig")).get("Type")),
        "risks": "\n".join(_risks(said, binds))[:_TEXT] or None,
        "mechanism": "docker",
    }
    return Event(
        0, file.size, EventKind.STATE_SERVICE, file_path=file_layer(file.path),
        fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip
