# SPDX-License-Identifier: Apache-2.0
"""The acts at a scene: a closed table of what is done to a server and around it, in the order in which it is done.

The order is that of the seeds: capture what lives for seconds, isolate, memory, snapshot or image, credentials, collect,
register (先控场后取证、先保全后清理). An investigation by court order begins with the scene itself: photographs and video.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from headwater.model.nouns import Text


class Stage(IntEnum):
    """The stages, in their order."""

    SCENE = 0
    FIRST = 1
    ISOLATE = 2
    MEMORY = 3
    COPY = 4
    CREDENTIALS = 5
    COLLECT = 6
    REGISTER = 7


STAGES: Mapping[Stage, Text] = {
    Stage.SCENE: Text("现场记录（照片、录像、环境）", "the scene itself: photographs, video, environment"),
    Stage.FIRST: Text("连接与进程的首次快速提取", "the seconds-long capture of sockets and processes"),
    Stage.ISOLATE: Text("隔离", "isolation"),
    Stage.MEMORY: Text("内存提取", "memory"),
    Stage.COPY: Text("快照或镜像", "snapshot or image"),
    Stage.CREDENTIALS: Text("口令、MFA、密钥", "credentials"),
    Stage.COLLECT: Text("取证采集", "collection"),
    Stage.REGISTER: Text("登记造册", "register"),
}


@dataclass(frozen=True, slots=True)
class Act:
    """One act. ``stage``: None where it may be done at any time. ``attested``: done by hand at a console, so that a
    screenshot or export has to be attached. ``ends_memory``: what memory holds is lost by it. ``writes``: what it writes on
    the server's own disk; None for nothing of its own.
    """

    name: str
    text: Text
    stage: Stage | None = None
    attested: bool = False
    ends_memory: bool = False
    writes: Text | None = None


def _act(name: str, zh: str, en: str, stage: Stage | None = None, **more: bool) -> Act:
    return Act(name, Text(zh, en), stage, more.get("attested", False), more.get("ends_memory", False))


_HIBERNATION = Text(
    "休眠把内存写入检材磁盘（hiberfil.sys、交换分区），覆盖该处原有数据",
    "hibernation writes memory onto the evidence's own disk (hiberfil.sys, swap) over what stood there",
)
_CLEANING = Text("清理改变原机上的证据", "cleaning changes the evidence on the original host")

ACTS: Mapping[str, Act] = {
    a.name: a
    for a in (
        _act("photograph", "拍照、录像", "photographs and video", Stage.SCENE),
        _act("first", "首次快速提取", "first capture of sockets and processes", Stage.FIRST),
        _act("isolate", "隔离（仅白名单）", "isolate, allow-list only", Stage.ISOLATE, attested=True),
        _act("memory", "内存提取", "memory image", Stage.MEMORY),
        _act("keys", "固定已解锁的加密卷密钥", "keys of unlocked encrypted volumes", Stage.MEMORY, attested=True),
        _act("snapshot", "创建快照", "snapshot", Stage.COPY, attested=True),
        _act("image", "制作镜像", "image", Stage.COPY),
        _act("export-logs", "导出控制台审计日志", "export of the console's audit logs", Stage.COPY, attested=True),
        _act("password", "修改口令", "passwords changed", Stage.CREDENTIALS, attested=True),
        _act("mfa", "开启 MFA", "MFA turned on", Stage.CREDENTIALS, attested=True),
        _act("rotate-keys", "轮换或禁用密钥", "keys rotated or disabled", Stage.CREDENTIALS, attested=True),
        _act("collect", "取证采集", "collection", Stage.COLLECT),
        _act("register", "登记造册", "register made", Stage.REGISTER),
        _act("stop", "停止实例", "instance stopped", attested=True, ends_memory=True),
        _act("power-off", "关闭电源", "power switched off", ends_memory=True),
        _act("reboot", "重新启动", "restart", ends_memory=True),
        Act("hibernate", Text("休眠", "hibernation"), ends_memory=True, writes=_HIBERNATION),
        _act("sleep", "睡眠（内存保持供电）", "sleep, memory stays powered"),
        Act("clean", Text("在原机清理", "cleaning on the original host"), writes=_CLEANING),
        _act("rebuild", "以干净镜像或备份重建", "rebuilt from a clean image or backup"),
        _act("release", "解除隔离", "isolation lifted"),
        _act("capture", "网络抓包", "network capture"),
        _act("state", "电源与静态状态的决定", "decision on power and static state"),
        _act("escalate", "上报与通报", "escalation"),
        _act("waive", "经决定不做某项", "decided to leave something out"),
    )
}  # fmt: skip
ESCALATES: Mapping[str, Text] = {
    "counsel": Text("法务或律师", "counsel"),
    "response-team": Text("专业应急响应团队", "response team"),
    "police": Text("公安网安部门", "police"),
    "regulator": Text("主管、网信部门", "regulator"),
}
# per stage, what settles it: one act out of each group
NEEDS: Mapping[Stage, tuple[tuple[str, ...], ...]] = {
    Stage.SCENE: (("photograph",),),
    Stage.FIRST: (("first",),),
    Stage.ISOLATE: (("isolate",),),
    Stage.MEMORY: (("memory",),),
    Stage.COPY: (("snapshot", "image"),),
    Stage.CREDENTIALS: (("password",), ("mfa",), ("rotate-keys",)),
    Stage.COLLECT: (("collect",),),
    Stage.REGISTER: (("register",),),
}
WAIVABLE = tuple(dict.fromkeys((*(n for groups in NEEDS.values() for g in groups for n in g), "keys")))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of investigation: its stages, and how many persons must have a hand in each act."""

    name: str
    text: Text
    stages: tuple[Stage, ...]
    persons: int = 1
    witness: bool = False


_ALL = tuple(s for s in Stage if s is not Stage.SCENE)
# two investigators and a witness: Art. 112 of the 2021 interpretation of the Criminal Procedure Law
KINDS: Mapping[str, Kind] = {
    k.name: k
    for k in (
        Kind("response", Text("事件响应", "incident response"), _ALL),
        Kind("judicial", Text("司法调查", "judicial investigation"), tuple(Stage), persons=2, witness=True),
        Kind("audit", Text("合规审计", "compliance audit"), (Stage.COPY, Stage.COLLECT, Stage.REGISTER)),
    )
}
