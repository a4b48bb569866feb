# SPDX-License-Identifier: Apache-2.0
"""The lines in which container engines keep what their containers wrote.

Formats: Docker's json-file driver, one object a line with the keys always in the order log, stream, attrs, time (moby
``daemon/logger/jsonfilelog/jsonlog``); the Kubernetes Container Runtime Interface's ``time stream tags text``
(kubernetes/design-proposals ``node/kubelet-cri-logging.md``), which containerd, CRI-O and podman's k8s-file write.
"""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from headwater.examine.batch import printable
from headwater.examine.filled import filled
from headwater.examine.line_blocks import Lines
from headwater.examine.line_time import iso
from headwater.examine.lines import Context, Cut, LineGrammar, groups
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.paths import file_layer

_OBJECT = (
    r'^\{"log":"(?P<message>(?:[^"\\]|\\.)*)"(?:,"stream":"(?P<stream>[a-z]*)")?'
    r'(?:,"attrs":(?P<attrs>\{.*\}))?,"time":"(?P<time>[0-9TZ:.+-]{20,40})"\}$'
)
_CRI = r"^(?P<stream>stdout|stderr) (?P<tags>[FP](?::[^ ]*)?)(?: (?P<message>.*))?$"
_DOCKER = lazy_regex(r"/containers/([0-9a-f]{64})/")
_PODMAN = lazy_regex(r"/overlay-containers/([0-9a-f]{64})/")
_POD = lazy_regex(r"/pods/([^/_]+)_([^/_]+)_([^/_]+)/([^/]+)/[^/]+$")
_LINK = lazy_regex(r"/containers/([^/_]+)_([^/_]+)_(.+)-([0-9a-f]{64})\.log[^/]*$")
NAMES = ("container", "container_name", "pod", "namespace", "pod_uid")


def container_of(path: str) -> dict[str, str]:
    """What the path of a container's log says of it: its id, or its pod, namespace, pod's uid and name."""
    where = file_layer(path)
    if match := _DOCKER.search(where) or _PODMAN.search(where):
        return {"container": match[1]}
    if match := _POD.search(where):
        return {"namespace": match[1], "pod": match[2], "pod_uid": match[3], "container_name": match[4]}
    if match := _LINK.search(where):
        return {"pod": match[1], "namespace": match[2], "container_name": match[3], "container": match[4]}
    return {}


def _named(context: Context, count: int) -> dict[str, pl.Series]:
    kind = filled(EventKind.LOG_MESSAGE.value, count)
    said = container_of(context.file.path)
    return {"kind": kind, **{k: filled(v, count) for k, v in said.items()}}


def _unescaped(text: str | None) -> str | None:
    """The text that a JSON string stands for; one that is no JSON string stays as it stands."""
    if text is None:
        return None
    try:
        return printable(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def object_shape(lines: Lines, context: Context) -> Cut:
    """Docker's object; a text without a line feed at its end is a part of a longer one (``partial``)."""
    fits, got = groups(lines, lines.start, lines.data[lines.start] == 123, _OBJECT)
    if not fits.any():
        return Cut.none(lines)
    mine = lines.take(fits)
    width = got["time"].str.len_bytes().to_numpy().astype(np.int64)
    times = iso(mine.data, mine.end - 2 - width, "-T")
    known = times.ok & times.zoned & (times.end == mine.end - 2)
    raw = got["message"]
    partial = ~raw.str.ends_with("\\n")
    message = raw.str.strip_suffix("\\n").str.strip_suffix("\\r")
    escaped = message.str.contains("\\", literal=True)
    if escaped.any():
        message = pl.Series([_unescaped(t) if e else t for t, e in zip(message, escaped)], dtype=pl.String)
    columns = {
        "t_recorded": pl.Series(times.ns).set(pl.Series(~known), None),
        "t_basis": pl.Series([str(TimeBasis.NONE), str(TimeBasis.UTC)]).gather(pl.Series(known.astype(np.uint32))),
        "time_text": got["time"].set(pl.Series(known), None),
        "message": message,
        "stream": got["stream"],
        "attrs": got["attrs"],
        "partial": partial.set(~partial, None),
    }
    return Cut(fits, columns | _named(context, len(mine)))


def cri_shape(lines: Lines, context: Context) -> Cut:
    """``2026-03-02T11:22:33.123456789+08:00 stdout F text``; the tag P marks a part of a longer text."""
    times = iso(lines.data, lines.start, "-T")
    may = times.ok & times.zoned & (times.end < lines.end) & (lines.data[times.end] == 32)
    fits, got = groups(lines, times.end + 1, may, _CRI)
    if not fits.any():
        return Cut.none(lines)
    partial = got["tags"].str.starts_with("P")
    count = int(fits.sum())
    columns = {
        "t_recorded": pl.Series(times.ns[fits]),
        "t_basis": filled(str(TimeBasis.ZONE_GIVEN), count),
        "message": got["message"].fill_null(""),
        "stream": got["stream"],
        "partial": partial.set(~partial, None),
    }
    return Cut(fits, columns | _named(context, count))


OWN = {
    "message": pl.String,
    "stream": pl.String,
    "partial": pl.Boolean,
    "attrs": pl.String,
    "time_text": pl.String,
    **dict.fromkeys(NAMES, pl.String),
}
DOCKER = LineGrammar(shapes=(object_shape,), own=OWN)
CRI = LineGrammar(shapes=(cri_shape,), own=OWN)
