# SPDX-License-Identifier: Apache-2.0
"""Details that are raised or recorded in English alone, in Chinese as well.

What an error or a verdict states beside its numbered message is a short phrase (``the header is cut off``); many of them
come out of a confined child or of a sealed entry, where one language stands. The tables here say the same in Chinese.
What no form fits is handed on as it is: the words of another program, of a server, of the operating system.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

# the commonest of errno(3), as glibc and Python say them
_SYSTEM = {
    "No such file or directory": "没有这个文件或目录",
    "Permission denied": "没有权限",
    "Is a directory": "是目录",
    "Not a directory": "不是目录",
    "File exists": "文件已存在",
    "No space left on device": "磁盘空间不足",
    "Read-only file system": "文件系统只读",
    "File name too long": "文件名过长",
    "Too many open files": "打开的文件过多",
    "Input/output error": "输入输出错误",
    "Operation not permitted": "操作不被允许",
    "Connection refused": "连接被拒绝",
    "Connection timed out": "连接超时",
    "Device or resource busy": "设备或资源忙",
    "Cannot allocate memory": "内存不足",
}
DETAILS: Mapping[str, str] = {
    **_SYSTEM,
    r"\[Errno \d+\] (.+?): (.+)": "{0}：{1}",
    r"\[Errno \d+\] (.+)": "{0}",
    # sources and images
    r"'utf-8' codec can't decode .*": "不是 UTF-8 文本",
    r"Expecting value: .*": "不是 JSON",
    "not a folder": "不是目录",
    "size or modification time": "大小或修改时间",
    "a folder; look into it directly": "这是目录，请直接查看",
    "a folder is packed into an archive or image first": "目录须先打成归档或做成镜像",
    "it was not listed yet": "尚未列目",
    "it exists already": "已存在",
    "less than 1 GiB is free": "剩余空间不足 1 GiB",
    "not a block device": "不是块设备",
    "not under the /dev of this machine": "不在本机的 /dev 之下",
    "neither a file nor a block device": "既不是文件也不是块设备",
    r"schema is not (.+)": "格式不是 {0}",
    r"sectors of (\d+) bytes; use --format raw": "扇区为 {0} 字节，请用 --format raw",
    "this system is not Windows": "本系统不是 Windows",
    "kcore cannot be read": "kcore 无法读取",
    "its signature does not verify": "其签名不符",
    r"shorter than (\d+) bytes": "不足 {0} 字节",
    "neither nft nor iptables": "nft、iptables 均无",
    "no such interface": "没有这个接口",
    "too long": "过长",
    "neither header of the VHDX can be read": "VHDX 的两个头部均无法读取",
    "the VHDX names no block table or no metadata": "VHDX 未指明块表或元数据",
    "an item of the metadata is missing": "元数据缺少一项",
    "the metadata hold impossible values": "元数据含不可能的值",
    "neither region table of the VHDX can be read": "VHDX 的两个区域表均无法读取",
    "the metadata table of the VHDX cannot be read": "VHDX 的元数据表无法读取",
    "it holds no chunk": "其中没有数据块",
    "the volume section is broken": "volume 段已损坏",
    "the descriptor names no extent": "描述文件未列出区段",
    r"more than (\d+) (parents|files|extents)": "超过 {0} 个",
    "no virtual disk": "不是虚拟磁盘",
    "neither footer of the VHD can be read": "VHD 的首尾两个页脚均无法读取",
    "the dynamic header holds impossible values": "动态头部含不可能的值",
    "the dynamic header of the VHD cannot be read": "VHD 的动态头部无法读取",
    r"the header(?: of the VDI)? is cut off": "头部被截断",
    r"the header(?: of the VDI)? holds impossible values": "头部含不可能的值",
    r"qcow2 with unknown features (.+)": "qcow2 含未知特性 {0}",
    r"clusters of (2\^\d+) bytes": "簇大小为 {0} 字节",
    "the L1 table is not aligned": "L1 表未对齐",
    "no EVF signature at its beginning": "开头没有 EVF 标志",
    "an image without its footer: it is cut off": "镜像缺少页脚，被截断",
    "the extents are larger than any disk": "区段大于任何磁盘",
    r"not in (.+)": "不在 {0} 中",
    r"(\d+) members": "{0} 块磁盘",
    "more files than it names": "文件多于其所列",
    r"the hash (\S+)": "散列算法 {0}",
    r"the key derivation (\S+)": "密钥派生算法 {0}",
    "a volume in the middle of being encrypted with another key": "卷正在换用另一密钥加密",
    "it has no segment": "没有数据段",
    # the vault
    "the ledger is empty": "台账为空",
    "no such file": "没有这个文件",
    "no checkpoint of this case has its size and root": "本案没有与其条数和根相同的检查点",
    "no transfer waits to be received": "没有待接收的移交",
    "no age identity in it": "其中没有 age 身份",
    "not a SHA-256": "不是 SHA-256",
    "an entry's keys are named by the ledger alone": "条目的键名只由台账命名",
    r"an entry of (\d+) bytes": "条目长 {0} 字节",
    "not the key of this ledger": "不是本台账的密钥",
    "a file stands there already": "该处已有文件",
    "an empty passphrase": "口令为空",
    "an empty passphrase protects nothing": "空口令不起保护作用",
    "wrong passphrase, or the file was altered": "口令不对，或文件被改动",
    "its public key is not that of its private key": "公钥与私钥不相配",
    r"not an (\S+) key": "不是 {0} 密钥",
    "no PIN in the URI: it is asked for": "URI 中不得含 PIN，另行询问",
    "no witness lives here": "此处没有见证方",
    "the folder is not empty": "目录不为空",
    r"its own log is broken at line (\d+)": "其自身日志在第 {0} 行损坏",
    "fewer than two recipients": "接收人不足两人",
    r"not a sealed container: (.+)": "不是密封容器：{0}",
    "header or trailer was altered": "头部或尾部被改动",
    "no key in it is wrapped for this identity": "其中没有为此身份封装的密钥",
    r"chunk (\d+) was altered": "第 {0} 块被改动",
    r"non-hexadecimal number found .*": "不是十六进制数",
    r"(.+) is enrolled already; dismiss the old key first": "{0} 已登记，请先停用旧密钥",
    "no passphrase was given: --passphrase-file": "没有给出口令，请用 --passphrase-file",
    "not an http or https address": "不是 http 或 https 地址",
    "larger than such a file may be": "大于此类文件的上限",
    "not an object": "不是 JSON 对象",
    # lists
    "no line states a range and a country": "没有一行写明地址段与国家",
    "too large": "过大",
    # words of the command line
    "witness": "见证人",
}


def in_chinese(words: str, forms: Mapping[str, str]) -> str:
    """The words in Chinese by the first form (a regular expression → Chinese with numbered places) that they fit whole.

    Words that no form fits come back as they are; so do the parts that stand in the places, unless they fit a form.
    """
    if words in forms:
        return forms[words]
    for form, zh in forms.items():
        found = _compiled(form).fullmatch(words)
        if found and found.groups():
            return zh.format(*(_SYSTEM.get(part or "", part) for part in found.groups()))
        if found:
            return zh
    return words


@cache
def _compiled(form: str) -> re.Pattern[str]:
    return re.compile(form)
