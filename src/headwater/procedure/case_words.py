# SPDX-License-Identifier: Apache-2.0
"""The case in lines for people, as ``case show`` prints them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headwater.case.mandate import PARTS
from headwater.model.nouns import Text
from headwater.model.voice import Voice

NOT_RECORDED = Text("未记载", "not recorded")
_HEAD = {
    "case_no": Text("案件编号", "number"),
    "case_name": Text("案件名称", "name"),
    "cause": Text("案由", "cause"),
    "client": Text("委托单位", "client"),
    "requirement": Text("检验要求", "what is asked"),
}
_AUTHORITY = {
    "number": PARTS["number"],
    "issuer": PARTS["issuer"],
    "scope": Text("授权范围", "scope"),
    "legal_basis": PARTS["legal_basis"],
    "targets": PARTS["targets"],
    "valid_from": PARTS["valid_from"],
    "valid_until": PARTS["valid_until"],
    "document": Text("授权文书", "document"),
    "document_sha256": PARTS["document_sha256"],
    "waiver": Text("无授权的理由", "why there is none"),
    "attack_source": Text("攻击源主机检材的取得机关", "attack source, obtained by"),
}
_LEDGER = {
    "entries": Text("台账条数", "ledger entries"),
    "head": Text("台账末条哈希", "head"),
    "root": Text("默克尔根", "Merkle root"),
    "settings": Text("设定摘要", "digest of the settings"),
}
_OPTIONAL = {"waiver", "attack_source"}
_REMOTE = {
    "server_location": Text("服务器所在地", "server location"),
    "remote_method": Text("远程取证方法", "method of remote work"),
    "screen_recording": Text("录屏", "screen recording"),
}


def case_lines(found: Mapping[str, Any], voice: Voice) -> Iterator[str]:
    """What ``casework.summary`` tells, a line for each thing; what was not recorded is said so."""

    def row(label: Text, value: object) -> str:
        return f"{voice.label(label.zh, label.en)}{value or voice.word(NOT_RECORDED.zh, NOT_RECORDED.en)}"

    for name, label in _HEAD.items():
        yield row(label, found[name])
    granted = {**found["authority"], **{k: v for k, v in found["mandate"].items() if v}}
    for name, label in _AUTHORITY.items():
        value = granted.get(name)
        if name == "targets":
            value = ", ".join(f"{kind}={what}" for kind, what in value or ())
        if value or name not in _OPTIONAL:
            yield row(label, value)
    for name, value in found["mandate"]["remote"].items():
        yield row(_REMOTE[name], value)
    yield row(Text("承办人", "in charge"), ", ".join(found["actors"]))
    for person in found["people"]:
        yield row(
            Text("已登记人员", "enrolled"),
            " · ".join(filter(None, [person["name"], person["organisation"], *person["roles"]])),
        )
    baseline = found["baseline"]
    yield row(Text("基准时间 T0", "baseline T0"), baseline and f"{baseline['time']} ({baseline['source']})")
    for item in found["evidence"]:
        yield row(Text("检材", "evidence"), f"E{item['number']}  {item['source']}  SHA-256 {item['sha256']}")
    for name, label in _LEDGER.items():
        yield row(label, found[name])
    for remark in found["remarks"]:
        yield row(Text("台账提示", "remark on the ledger"), voice.text(Text(**remark)))
