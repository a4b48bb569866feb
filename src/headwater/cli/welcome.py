# SPDX-License-Identifier: Apache-2.0
"""The first screen: what a person sees who types ``headwater`` alone; verbs by stage of the work, the usual command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# (heading, verbs); a verb that stands nowhere here is shown under "further verbs", so that none is ever missing
STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("授权立案 · authority and case", ("case", "add", "register")),
    (
        "现场与提取 · scene and acquisition",
        ("scene", "isolate", "memory", "capture", "collect", "disks", "image", "verify-image", "convert", "set"),
    ),
    (
        "固定保全 · preservation",
        (
            "custody",
            "seal",
            "unseal",
            "checkout",
            "return",
            "transfer",
            "hold",
            "anchor",
            "witness",
            "store",
            "verify",
            "trace",
        ),
    ),
    (
        "检验与还原 · examination and reconstruction",
        (
            "investigate",
            "open",
            "clock",
            "summary",
            "findings",
            "steps",
            "events",
            "timeline",
            "find",
            "suppress",
            "notamper",
        ),
    ),
    ("报告 · report", ("report", "defects", "export", "reference")),
)
_USUAL = (
    "headwater investigate web01.E01 --case ./case-042 --authority approval.pdf --authority-no 2026-17 \\",
    '  --authority-by "…" --authority-scope "…" --authority-until 2026-12-31 --examiner A --examiner B --lang both',
)


def grouped(verbs: Iterable[str]) -> list[tuple[str, list[str]]]:
    """The verbs under their headings, in order; empty headings left out."""
    left = list(verbs)
    found = []
    for heading, names in STAGES:
        held = [name for name in names if name in left]
        left = [name for name in left if name not in held]
        if held:
            found.append((heading, held))
    return [*found, ("其他 · further verbs", left)] if left else found


def screen(helps: Mapping[str, str], version: str) -> str:
    """The whole screen; ``helps``: one line of each verb."""
    rows = [
        f"Headwater 溯源 {version}",
        "从被入侵的服务器到法庭可逐字节核验的报告。",
        "From a broken-into server to a report that a court can check down to the byte.",
    ]
    width = max((len(name) for name in helps), default=0)
    for heading, names in grouped(helps):
        rows += ["", heading]
        rows += [f"  {name:<{width}}  {helps[name]}" for name in names]
    rows += ["", "通常的命令 · the usual command", *(f"  {line}" for line in _USUAL)]
    rows += ["", "headwater VERB --help：各命令的说明 · what a verb takes;  docs/tutorial/：入门 · the tutorial"]
    return "\n".join(rows)
