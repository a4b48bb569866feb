# SPDX-License-Identifier: Apache-2.0
"""What an image or archive says of its own making, as fields of the register: named in both languages, dates readable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headwater.model.nouns import Text
from headwater.model.times import SECOND, rfc3339
from headwater.report.data import RegisterField

# the header values of EWF (https://github.com/libyal/libewf/blob/main/documentation/), in the order of the register
_NAMES: dict[str, Text] = {
    "case_number": Text("案件编号（镜像载）", "Case number (image)"),
    "evidence_number": Text("检材编号（镜像载）", "Evidence number (image)"),
    "description": Text("说明（镜像载）", "Description (image)"),
    "examiner_name": Text("采集人（镜像载）", "Examiner (image)"),
    "notes": Text("备注（镜像载）", "Notes (image)"),
    "acquired": Text("采集时间（镜像载）", "Acquired at (image)"),
    "system_date": Text("系统时间（镜像载）", "System date (image)"),
    "software_version": Text("软件版本（镜像载）", "Software version (image)"),
    "operating_system": Text("操作系统（镜像载）", "Operating system (image)"),
    "model": Text("介质型号（镜像载）", "Model of the medium (image)"),
    "serial_number": Text("介质序列号（镜像载）", "Serial number of the medium (image)"),
    "device_label": Text("介质标签（镜像载）", "Label of the medium (image)"),
    "process_id": Text("进程号（镜像载）", "Process id (image)"),
    "entries": Text("目录条目数", "Entries in the folder"),
}
_DATES = {"acquired", "system_date"}
DIGEST_OF = {
    "medium": Text("介质内容", "content of the medium"),
    "file": Text("文件", "the file"),
    "manifest": Text("规范清单", "canonical manifest"),
}


def shown(name: str, value: str) -> str:
    """A value as it is printed: seconds since 1970 as a date, with the figure as it stands."""
    if name in _DATES and value.isdigit() and len(value) <= 11:
        text = rfc3339(int(value) * SECOND)
        if text is not None:
            return f"{text[:19].replace('T', ' ')} UTC ({value})"
    return value


def fields(notes: Mapping[str, str]) -> Iterator[RegisterField]:
    """The fields in the order of the register; what has no name here comes last, under its own."""
    order = {name: at for at, name in enumerate(_NAMES)}
    for name in sorted(notes, key=lambda n: (order.get(n, len(order)), n)):
        label = _NAMES.get(name) or Text(f"{name}（镜像载）", f"{name} (image)")
        yield RegisterField(label, shown(name, notes[name]))
