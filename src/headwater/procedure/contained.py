# SPDX-License-Identifier: Apache-2.0
"""Findings that concern a container say so: what they cite is seen in that container alone, or is what it printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from headwater.formats.canonical import identify
from headwater.formats.patterns import lazy_regex
from headwater.model.nouns import Finding
from headwater.model.paths import container_of, join, layers
from headwater.procedure.corridor import container_words

# what a container printed is kept by its engine beside the container: Docker's and nerdctl's json-file, podman's and
# CRI-O's log, and under Kubernetes a log for each attempt, by NAMESPACE_POD_UID/CONTAINER/ATTEMPT
_PRINTED = lazy_regex(
    r"/(?:containers/(?:[^/]+/)?([0-9a-f]{64})/\1-json\.log|overlay-containers/([0-9a-f]{64})/userdata/ctr\.log)"
)
_POD_LOG = lazy_regex(r"/pods/([^/]+_[^/]+_[^/]+/[^/]+/[0-9]+\.log)")

Said = Mapping[str, str]


def named(findings: Iterable[Finding], facts: Mapping[int, Mapping[str, Said]]) -> Iterator[Finding]:
    """The findings; the host of one that cites one container alone is that container.

    ``facts``: what the listing found, by item of evidence and view. Where the records name a host of their own that the
    container is not known by, both stand there.
    """
    numbered = {
        (item, said["container"]): view
        for item, views in facts.items()
        for view, said in views.items()
        if "container" in said
    }
    for item, views in facts.items():
        for name, its in views.items():
            log = _POD_LOG.search(its.get("container_log", ""))
            if log is not None:
                numbered[(item, log.group(1))] = name
    for finding in findings:
        spans = [c.span for c in finding.spans] + [g.span for g in finding.gaps]
        places = {(span.evidence, _view(span.path, span.evidence, numbered)) for span in spans}
        item, view = next(iter(places))
        said = facts.get(item, {}).get(view or "", {})
        if len(places) != 1 or view is None or "container" not in said:
            yield finding
            continue
        host = container_words(said)
        if finding.host is not None and finding.host not in (said.get("container_hostname"), said["container"][:12]):
            host = f"{host}: {finding.host}"
        changed: Finding = identify(finding.id.partition("-")[0], replace(finding, host=host, id=""))
        yield changed


def _view(path: str, item: int, numbered: Mapping[tuple[int, str], str]) -> str | None:
    """The view of the container that a path is seen in or that wrote it; None for the host's own."""
    container = container_of(path)
    if container is not None:
        before = layers(path)
        return join(*before[: before.index(container) + 1])
    log = _POD_LOG.search(path)
    if log is not None:
        return numbered.get((item, log.group(1)))
    printed = _PRINTED.search(path)
    return numbered.get((item, printed.group(1) or printed.group(2))) if printed is not None else None
