# SPDX-License-Identifier: Apache-2.0
"""Error codes HW1019 and HW2200 to HW2229: keys of people, the gate of authority, the no-tamper examination; as ``Code`` takes them."""

from __future__ import annotations

VAULT: dict[str, tuple[str, ...]] = {
    "HW1019": (
        "密钥 {where} 是{whose}的，不是{what}的",
        "the key {where} is of {whose}, not of {what}",
        "两人各给 --key 姓名=文件。",
        "Give --key NAME=FILE for each person.",
    ),
    "HW2200": (
        "攻击来源主机的检材只能由有权机关依法取得：{what}",
        "evidence of a host that attacks came from is taken in only as a competent authority obtained it: {what}",
        "不得自行登录；由有权机关取得后以 case scope --attack-source 登记机关与文号，采集方式为 obtain（调取）；--override 无效。",
        "Never look into it yourself. Once the authority has it, headwater case scope CASE --attack-source names it; method: obtain. "
        "No --override opens this.",
    ),
    "HW2201": (
        "没有基准时间：{where}",
        "no baseline time: {where}",
        "以 headwater case baseline CASE TIME --source … --uncertainty … 登记扣押、起获或首次可控的时刻，或用本命令的 --baseline。",
        "Record the moment of seizure or first control: headwater case baseline CASE TIME --source … --uncertainty …, or --baseline.",
    ),
    "HW2202": (
        "检材 {where} 尚未检验，没有可分析的时间",
        "the item {where} has not been examined: there are no times to look at",
        "先运行 headwater investigate。",
        "Run headwater investigate first.",
    ),
}
