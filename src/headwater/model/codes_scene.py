# SPDX-License-Identifier: Apache-2.0
"""Error codes of the scene: order and guards, isolation, memory, network capture (HW2150 to HW2199).

Each as (Chinese, English, hint in Chinese, hint in English); :mod:`headwater.model.codes` makes one table of all.
"""

from __future__ import annotations

SCENE: dict[str, tuple[str, str] | tuple[str, str, str, str]] = {
    "HW2150": (
        "违反取证顺序：{act}",
        "out of order: {act}",
        '先完成前面的步骤，或以 --because "理由" 说明；理由作为决定记入台账。',
        'Do what comes first, or give --because "reason": it is recorded as a decision.',
    ),
    "HW2151": (
        "现场保护规则不允许：{act}",
        "the scene's rules forbid it: {act}",
        '先完成所缺各项，或逐项 scene waive … --because "理由"；确已发生的，以 --happened --because 如实登记。',
        "Do what is missing, or waive each by scene waive … --because; what has happened is recorded with --happened --because.",
    ),
    "HW2152": (
        "此类调查要求的人员不足：{what}",
        "this kind of investigation asks for more people: {what}",
        "补上人员，或以 {option} 说明理由。",
        "Name them, or give the reason with {option}.",
    ),
    "HW2154": (
        "人工操作须附截图或导出文件：{where}",
        "an act done by hand needs a screenshot or an export: {where}",
        '用 --attach 文件；确实没有的，用 --unattested "理由"。',
        'Give --attach FILE, or --unattested "reason" where there is none.',
    ),
    "HW2155": (
        "时间无法采用：{what}",
        "the time cannot be used: {what}",
        "写作 RFC 3339，如 2026-03-02T19:22:33+08:00，且不晚于现在。",
        "Write it as RFC 3339, such as 2026-03-02T19:22:33+08:00, and not later than now.",
    ),
    "HW2156": (
        "来源关系无法采用：{what}",
        "the lineage cannot be used: {what}",
        "快照须写明所属卷：--of 快照=卷；一物只能有一个来源。",
        "A snapshot names its volume: --of SNAPSHOT=VOLUME; a thing has one parent.",
    ),
    "HW2160": (
        "服务器上不能设置包过滤：{where}（{what}）",
        "the packet filter of the server cannot be set: {where} ({what})",
        "须以 root 登录，且有 nft 或 iptables；否则请在控制台或交换机隔离，并用 scene record isolate 登记。",
        "Log in as root where nft or iptables is; else isolate at the console or the switch and use scene record isolate.",
    ),
    "HW2162": (
        "隔离未成，规则已撤或将自行撤除：{where}（{what}）；{seconds} 秒后自动回退（0 为已撤）",
        "not isolated, the rules were or will be taken back: {where} ({what}); by itself in {seconds} s, 0: done",
    ),
    "HW2163": (
        "本案未曾由本程序隔离该服务器：{where}",
        "this case holds no isolation of this server by this program: {where}",
    ),
    "HW2164": ("规则未能撤除：{where}（{what}）", "the rules still stand: {where} ({what})"),
    "HW2165": (
        "白名单地址无法采用：{what}",
        "not an address that can be allowed: {what}",
        "写明单个地址或网段；0.0.0.0/0 等于不隔离。",
        "Give an address or a network; 0.0.0.0/0 would isolate nothing.",
    ),
    "HW2166": (
        "本机来自 {what}，不在白名单内，隔离后将无法再登录：{where}",
        "this machine comes from {what}, which is not allowed: it would be locked out of {where}",
        "加上 --allow {what}；确要如此时用 --without-me（仅保留当前会话）。",
        "Add --allow {what}; or --without-me where that is meant: only the present session stays.",
    ),
    "HW2167": (
        "服务器已由本程序隔离：{where}",
        "the server is isolated already: {where}",
        "先以 --rollback 解除。",
        "Lift it with --rollback first.",
    ),
    "HW2169": (
        "读取内存须为 root：{where}（{what}）",
        "reading memory takes root: {where} ({what})",
        "以 root 登录；无法做到时用 scene waive memory 记明理由。",
        "Log in as root; where that cannot be, give the reason with scene waive memory.",
    ),
    "HW2170": (
        "内核锁定（{what}）禁止读取内存：{where}",
        "kernel lockdown ({what}) forbids reading memory: {where}",
        "虚拟机可在宿主机或云平台导出内存，并用 scene record memory 登记；否则 scene waive memory。",
        "Take a virtual machine's memory at its host or cloud and use scene record memory; else scene waive memory.",
    ),
    "HW2171": (
        "该内核没有 /proc/kcore：{where}",
        "this kernel has no /proc/kcore: {where}",
        "虚拟机可在宿主机或云平台导出内存，并用 scene record memory 登记；否则 scene waive memory。",
        "Take a virtual machine's memory at its host or cloud and use scene record memory; else scene waive memory.",
    ),
    "HW2172": (
        "/proc/iomem 未给出物理地址：{where}（{what}）",
        "/proc/iomem tells no physical addresses: {where} ({what})",
        "容器内的 root 看不到；请登录到主机本身。",
        "Root inside a container does not see them; log in to the host itself.",
    ),
    "HW2173": ("/proc/kcore 无法使用：{where}（{what}）", "/proc/kcore cannot be used: {where} ({what})"),
    "HW2174": ("/proc/kcore 未映射任何内存区段：{where}", "/proc/kcore shows none of the RAM: {where}"),
    "HW2175": (
        "空间不足：{where} 需 {need} 字节，可用 {free} 字节",
        "no room: {where} needs {need} bytes, {free} are free",
        "换一个目录：--out。",
        "Name another folder: --out.",
    ),
    "HW2176": ("文件已存在，未作改动：{where}", "the file is there already, nothing was changed: {where}"),
    "HW2180": (
        "服务器上无法抓包：{where}（缺少 {what}）",
        "packets cannot be captured on this server: {where} (lacks {what})",
        "须有 Python 3.6 以上或 tcpdump；否则在交换机镜像端口抓包，用 add 登记。",
        "It takes Python 3.6 or tcpdump there; else capture at a mirror port of the switch and use add.",
    ),
    "HW2181": (
        "过滤条件无法采用：{what}",
        "the filter cannot be used: {what}",
        "例：tcp and port 443 and not host 10.0.0.9",
        "Such as: tcp and port 443 and not host 10.0.0.9",
    ),
    "HW2182": (
        "接口无法监听：{where}（{what}）",
        "the interface cannot be listened to: {where} ({what})",
        "核对接口名，并以 root（或具 CAP_NET_RAW）登录。",
        "Check its name, and log in as root or with CAP_NET_RAW.",
    ),
    "HW2190": (
        "服务器没有按要求应答：{where}（{what}）",
        "the server does not answer as asked: {where} ({what})",
        "该账户的登录 shell 须能运行 sh。",
        "The account's login shell must be able to run sh.",
    ),
}
