# SPDX-License-Identifier: Apache-2.0
"""The case in lines for people, as ``case show`` prints them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headwater.model.nouns import Text
from headwater.procedure.listing import in_language

NOT_RECORDED = Text("未记载", "not recorded")
_HEAD = {
    "case_no": Text("案件编号", "number"),
    "case_name": Text("案件名称", "name"),
    "cause": Text("案由", "cause"),
    "client": Text("委托单位", "client"),
    "requirement": Text("检验要求", "what is asked"),
}
_AUTHORITY = {
    "number": Text("授权文号", "authority, number"),
    "issuer": Text("签发机关或人", "issuer"),
    "scope": Text("授权范围", "scope"),
    "legal_basis": Text("法律依据", "legal basis"),
    "targets": Text("授权对象", "targets"),
    "valid_from": Text("授权起", "valid from"),
    "valid_until": Text("授权止", "valid until"),
    "document": Text("授权文书", "document"),
    "document_sha256": Text("文书 SHA-256", "SHA-256 of the document"),
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


def case_lines(found: Mapping[str, Any], language: str) -> Iterator[str]:
    """What ``casework.summary`` tells, a line for each thing; what was not recorded is said so."""

    def row(label: Text, value: object) -> str:
        return f"{in_language(label, language)}: {value or in_language(NOT_RECORDED, language)}"

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
            Text("已登记人员", "enrolled"), " · ".join([person["name"], person["organisation"], *person["roles"]])
        )
    baseline = found["baseline"]
    yield row(Text("基准时间 T0", "baseline T0"), baseline and f"{baseline['time']} ({baseline['source']})")
    for item in found["evidence"]:
        yield row(Text("检材", "evidence"), f"E{item['number']}  {item['source']}  SHA-256 {item['sha256']}")
    for name, label in _LEDGER.items():
        yield row(label, found[name])
    for remark in found["remarks"]:
        yield row(Text("台账提示", "remark on the ledger"), in_language(Text(**remark), language))
