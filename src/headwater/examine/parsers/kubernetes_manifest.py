# SPDX-License-Identifier: Apache-2.0
"""Pods that a kubelet starts by itself from files of its host: images, commands, rights, mounts (kubernetes.manifest).

Reads:  /etc/kubernetes/manifests/*, /etc/kubelet.d/*, pod-manifests of k3s and RKE2, manifests that k3s and RKE2 apply.
Time:   none; the files state no time.
Format: Kubernetes' PodSpec (core/v1) in YAML 1.1 or JSON, documents parted by ``---``; kubelet's staticPodPath.
Limits: the file as it stands, not whether the pod ran; ``risks`` names settings that give a pod rights over its host, it does not
        say that they were used; kinds without a pod are told by kind and name; the first 4 MiB, of
        documents 200 and 1 MiB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from headwater.examine.parsers._whole import whole
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "kubernetes.manifest"
VERSION = 2
READS = (
    "/etc/kubernetes/manifests/*", "/etc/kubelet.d/*", "/agent/pod-manifests/*", "/rancher/k3s/server/manifests/**",
    "/rancher/rke2/server/manifests/**",
)  # fmt: skip
_MOST, _DOCUMENTS, _LISTED, _TEXT = 4 << 20, 200, 100, 8192
_LOADED = 1 << 20  # bytes that are loaded; a file may be longer by its comments
_DEEP = 40  # brackets and levels; a pod has some ten
_PART = lazy_regex(rb"^---(?=[ \t\r\n]|\Z)[^\n]*\n?", 8)  # re.MULTILINE
_CAPABILITIES = frozenset(
    {"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "DAC_READ_SEARCH", "DAC_OVERRIDE", "BPF", "SYS_BOOT"}
)


def parse(file: File) -> Iterator[Record]:
    found = whole(file, _MOST)
    yield from _documents(found.data, file_layer(file.path))
    yield from found.gaps


def _documents(data: bytes, path: str) -> Iterator[Record]:
    left = _LOADED
    cuts = [0, *(m.start() for m in _PART.finditer(data) if m.start()), len(data)]
    for n, (at, end) in enumerate(pairwise(cuts)):
        if n >= _DOCUMENTS:
            yield Gap(at, len(data) - at, GapReason.LIMIT, f"behind {_DOCUMENTS} documents: not looked at")
            return
        left -= end - at
        if left < 0:
            yield Gap(at, len(data) - at, GapReason.LIMIT, f"behind {_LOADED} bytes of documents: not looked at")
            return
        if end > at:
            yield _document(data[at:end], at, path)


def _document(raw: bytes, at: int, path: str) -> Record:
    import yaml

    if not any(line.strip() and not line.lstrip().startswith((b"#", b"---")) for line in raw.split(b"\n")):
        return Skip(at, len(raw), "comments alone")
    if not raw.strip(b"\0"):
        return Gap(at, len(raw), GapReason.OVERWRITTEN, "overwritten with zeros")
    if b"<<" in raw:  # each merge copies what it names, and merges of merges grow without bound
        return Gap(at, len(raw), GapReason.LIMIT, "merge keys are not followed")
    if _too_deep(raw):
        return Gap(at, len(raw), GapReason.LIMIT, f"nested deeper than {_DEEP}")
    try:
        said = yaml.load(raw.decode(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (a safe loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError, OverflowError, TypeError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("kind"), str):
        return Gap(at, len(raw), GapReason.NOT_THIS_FORMAT, "no object of Kubernetes")
    return _event(said, at, len(raw), path)


def _too_deep(raw: bytes) -> bool:
    """Whether brackets or indentation nest deeper than any pod does: the loader recurses."""
    depth = most = 0
    for byte in raw:
        if byte in b"[{":
            depth += 1
            most = max(most, depth)
        elif byte in b"]}":
            depth -= 1
    return most > _DEEP or any(len(n) - len(n.lstrip(b" -")) > 4 * _DEEP for n in raw.split(b"\n"))


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return value[:_LISTED] if isinstance(value, list) else []


def _plain(value: Any) -> str:
    """A scalar as text; a list that aliases fold into itself would grow without bound."""
    return str(value)[:_TEXT] if isinstance(value, (str, int, float)) else "…"


def _word(value: Any) -> str | None:
    return value[:_TEXT] if isinstance(value, str) and value else None


def _pod(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The specification of the pod that an object is or makes."""
    spec = _map(said.get("spec"))
    for name in ("jobTemplate", "template"):
        spec = _map(_map(spec.get(name)).get("spec")) if isinstance(spec.get(name), dict) else spec
    return spec


def _event(said: Mapping[str, Any], at: int, length: int, path: str) -> Event:
    spec, about = _pod(said), _map(said.get("metadata"))
    containers = [_map(c) for name in ("initContainers", "containers") for c in _list(spec.get(name))]
    commands = [
        " ".join(_plain(v) for v in (*_list(c.get("command")), *_list(c.get("args"))))[:_TEXT] for c in containers
    ]
    mounts = [
        _plain(_map(v.get("hostPath")).get("path")) for v in map(_map, _list(spec.get("volumes"))) if v.get("hostPath")
    ]
    fields: dict[str, Value] = {
        "mechanism": "kubernetes",
        "object": _word(said.get("kind")),
        "pod": _word(about.get("name")),
        "namespace": _word(about.get("namespace")),
        "containers": " ".join(_plain(c.get("name")) for c in containers)[:_TEXT] or None,
        "images": " ".join(_plain(c.get("image")) for c in containers if c.get("image"))[:_TEXT] or None,
        "mounts": "\n".join(mounts)[:_TEXT] or None,
        "risks": "\n".join(_risks(spec, containers, mounts))[:_TEXT] or None,
    }
    return Event(
        at, length, EventKind.STATE_SERVICE, command_line="\n".join(c for c in commands if c)[:_TEXT] or None, file_path=path,
        fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip


def _risks(spec: Mapping[str, Any], containers: Sequence[Mapping[str, Any]], mounts: Sequence[str]) -> list[str]:
    """The settings that reach out of a pod, in a fixed order."""
    rights = [_map(c.get("securityContext")) for c in containers]
    found = ["privileged"] if any(r.get("privileged") is True for r in rights) else []
    added = {
        _plain(c).upper().removeprefix("CAP_") for r in rights for c in _list(_map(r.get("capabilities")).get("add"))
    }
    found += [f"cap={c}" for c in sorted(added & _CAPABILITIES)]
    found += [f"{name[4:].lower()}=host" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name) is True]
    return found + [f"mount={m}" for m in dict.fromkeys(mounts)]
