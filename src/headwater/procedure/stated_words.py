# SPDX-License-Identifier: Apache-2.0
"""What the ledger and the sidecars hold in English alone, in Chinese as well: reasons of verdicts, endings, tests, checks.

The recorded words stay as they are, for they are sealed; a reader is told them through this table. Words of another
program or of the operating system that stand in them are handed on as they are.
"""

from __future__ import annotations

from headwater.model.gap_phrases import gap_told
from headwater.model.nouns import Text
from headwater.model.phrases import in_chinese

_FORMS = {
    # acquire: comparing, imaging
    r"first difference in the (\d+) bytes from offset (\d+)": "首个差异在偏移 {1} 起的 {0} 字节内",
    r"(\d+) blocks instead of (\d+)": "共 {0} 块，应为 {1} 块",
    r"digest only": "仅校验值不同",
    r"the image was not read back, as was asked": "按要求未回读镜像",
    r"the image holds (\d+) bytes, the source had (\d+)": "镜像为 {0} 字节，检材为 {1} 字节",
    r"the source is live: it may change while it is read": "检材正在运行，读取期间可能变化",
    r"the source has ranges that cannot be read": "检材有无法读出的区域",
    r"the source was not read again, as was asked": "按要求未再次读取检材",
    r"the source vanished at offset (\d+)": "读至偏移 {0} 时检材消失",
    r"at offset (\d+) it can no longer be read": "偏移 {0} 处已无法读出",
    r"(\d+) bytes could not be read; they are zeros in the image": "{0} 字节未能读出，在镜像中以零代之",
    # procedure: intake, image_check, memory, capturing, collecting, scene_first
    r"the answer was cut off": "回答中途断开",
    r"(\d+) of (\d+) files differ from what the server stated": "{1} 个文件中有 {0} 个与服务器所称校验值不符",
    r"(\d+) files, SHA-256 and MD5 as the server stated them": "{0} 个文件，SHA-256 与 MD5 同服务器所称",
    r"the collector in sh found nothing there to digest with": "服务器上没有可供 sh 采集器计算校验值的程序",
    r"the stream is not whole or reached its limit": "数据流不完整或已达上限",
    r"(\d+) could not be had; the manifest names them": "{0} 项未取得，见清单",
    r"(\d+) bytes do not fit the container's own checksums": "{0} 字节缺失或与镜像自载的分块校验不符",
    r"(\d+) bytes from (\d+)": "自偏移 {1} 起 {0} 字节",
    r"no reader for this volume \((.+)\)": "没有此卷的读取器（{0}）",
    r"the container states no digest": "容器未自载校验值",
    r"a folder states no digest": "目录不自载校验值",
    r"(\d+) bytes could not be read; they are listed as gaps": "{0} 字节未能读出，列为缺口",
    r"(\d+) entries could not be read": "{0} 项未能读出",
    r"the sidecar's signature does not verify": "附件签名不符",
    r"the sidecar says that the image is not whole": "附件称镜像未完成",
    r"key ([0-9a-f]+)": "公钥 {0}",
    r"memory in use is never twice the same": "使用中的内存每次读取都不相同",
    r"(\d+) pages could not be read": "{0} 页未能读出",
    r"(\d+) bytes of RAM are not shown by kcore": "{0} 字节内存未在 kcore 中给出",
    r"the kernel dropped (\d+) packets": "内核丢弃 {0} 个数据包",
    r"dropped packets were not counted": "未统计丢弃的数据包",
    # how a capture or a collection ended
    r"time": "时限",
    r"bytes": "字节上限",
    r"the interface": "网络接口关闭",
    r"the server did not end it": "服务器未自行结束",
    r"lost: (.+)": "连接中断：{0}",
    r"refused: (.+)": "被拒绝：{0}",
    r"interrupted by whoever collects": "被采集人中断",
    r"more than (\d+) bytes": "超过 {0} 字节",
    r"longer than (\S+) s": "超过 {0} 秒",
    # what an isolation tried, and what came of it
    r"second-connection": "另建连接",
    r"nothing-leaves": "无数据外出",
    r"rules-stood": "规则仍在",
    r"yes": "是",
    r"no": "否",
    r"not tried: this machine is left out": "未试：本机不在白名单",
    r"not tried: no tool to send with": "未试：没有可用的发送工具",
    r"not tried: no route": "未试：没有路由",
    r"gone already: the timer, or somebody": "已不在：定时器或他人已解除",
    r"exactly": "与隔离前完全相同",
    r"other rules stand than before": "与隔离前不同",
    # what of a medium lies in no volume
    r"protective MBR": "保护性 MBR",
    r"GPT header": "GPT 头",
    r"GPT entries": "GPT 分区表项",
    r"backup GPT header": "备份 GPT 头",
    r"backup GPT entries": "备份 GPT 分区表项",
    r"before the first partition": "首个分区之前",
    r"after the last partition": "末个分区之后",
    r"between partitions": "分区之间",
    # what is compared of an image, and what came of it
    r"sidecar": "附件",
    r"sidecar signature": "附件签名",
    r"sidecar state": "附件所载状态",
    r"structure": "结构与分块",
    r"read errors at acquisition": "制作时的读取错误",
    r"digests": "校验值",
    r"files": "镜像文件",
    r"(\w+) \(container\)": "{0}（镜像自载）",
    r"(\w+) \(sidecar\)": "{0}（附件）",
    r"(\w+) \(sidecar, padded\)": "{0}（附件所载，补零后）",
    r"file (.+)": "文件 {0}",
    r"there is none: only what the container states is compared": "没有附件，只比对镜像自载的内容",
    r"(.+), (\d+) bytes, (\d+) files": "{0}，{1} 字节，{2} 个文件",
    r"(\d+) bytes in (\d+) ranges were unreadable when it was made; they are zeros": "制作时有 {1} 处共 {0} 字节无法读出，以零代之",
    r"nothing states a digest to compare with": "没有可供比对的校验值",
    r"(\d+) files have the digests of the sidecar; they were renamed": "{0} 个文件与附件所载校验值相同，文件名已改",
    r"(\d+) files have the digests of the sidecar": "{0} 个文件与附件所载校验值相同",
    r"not listed, found ([0-9a-f]+)": "附件未列出，现为 {0}",
    r"([0-9a-f]+), found nothing": "附件记为 {0}，现无此文件",
    r"([0-9a-f]+), found ([0-9a-f]+)": "记为 {0}，现为 {1}",
}


def told(words: str) -> Text:
    """Recorded words in both languages; each part between ``; `` by itself, and as it stands where no form fits."""
    return Text("；".join(_part(part) for part in words.split("; ")), words) if words else Text("—", "—")


def _part(words: str) -> str:
    """A part by its form; where a file's name stands before it, what is said of that file."""
    zh = _said(words)
    name, colon, rest = words.partition(": ")
    if zh != words or not colon:
        return zh
    said = _said(rest)
    return f"{in_chinese(name, _FORMS)}：{said}" if said != rest else words


def _said(words: str) -> str:
    return gap_told(in_chinese(words, _FORMS)).zh if words else ""
