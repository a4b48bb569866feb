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
    # before the form of any errno
    r"\[Errno \d+\] Connect call failed .*": "连接被拒绝或无法到达",
    r"Multiple exceptions: .*": "连接被拒绝或无法到达（多个地址均已试过）",
    r"\[Errno -\d+\] (?:Name or service not known|No address associated with hostname)": "主机名无法解析",
    r"\[Errno -\d+\] Temporary failure in name resolution": "主机名暂时无法解析",
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
    # the structures of an E01
    "the segment ends without its last section": "分段文件缺少末尾的段",
    "a section descriptor is broken": "段描述符已损坏",
    r"section (\w+) points backwards": "{0} 段指向其自身之前",
    r"section (\w+) reaches beyond the end of the segment": "{0} 段超出分段文件末尾",
    r"more than (\d+) sections": "段多于 {0} 个",
    "the set ends before the medium does": "分段文件未及介质末尾即止",
    "chunks in between cannot be numbered": "其间的数据块无法编号",
    r"segment (\S+) is missing": "缺少分段文件 {0}",
    r"segment (\S+) is cut off": "分段文件 {0} 被截断",
    r"both copies of a table in segment (\S+) are broken": "分段文件 {0} 中某表的两份均已损坏",
    r"the volume section states (\d+) bytes, the chunks hold (\d+)": "volume 段载明 {0} 字节，数据块共 {1} 字节",
    "the head of the segment is broken": "分段文件头部已损坏",
    r"the checksum of section (\w+) does not fit": "{0} 段校验和不符",
    "a volume section is broken": "某 volume 段已损坏",
    "the medium's size follows from the chunks": "介质大小依数据块推得",
    "a read error noted at acquisition": "制作镜像时记录的读取错误",
    "the checksum of an E01 chunk does not fit": "E01 数据块校验和不符",
    # a server that is worked on over SSH, and what its shell says
    r"no answer for (\S+) s": "{0} 秒无应答",
    r"nothing came for (\S+) s": "{0} 秒未收到数据",
    "no answer": "无应答",
    "not connected": "未连接",
    "it answers without end": "应答没有尽头",
    "the command ended without saying how": "命令中止，未报结果",
    r"it ended with exit status (\S+): (.*)": "以退出状态 {0} 结束：{1}",
    "it ended at once": "随即结束",
    "its shell is no POSIX sh": "其 shell 不是 POSIX sh",
    "no POSIX sh": "没有 POSIX sh",
    "permission denied": "没有权限",
    "Connection lost": "连接中断",
    "Connection closed": "连接被对方关闭",
    "Login timeout expired": "登录超时",
    r"No matching (.+?) algorithm found, .*": "双方没有共同的 {0} 算法",
    "key exchange": "密钥交换",
    "encryption": "加密",
    "MAC": "消息认证",
    "compression": "压缩",
    "another medium answers under this name": "以此名应答的是另一介质",
    r"the source ends at (\d+) of (\d+)": "检材共 {1} 字节，读至 {0} 即止",
    r"it ends at (\d+) of (\d+)": "共 {1} 字节，读至 {0} 即止",
    r"dd exit status (\S+)": "dd 退出状态 {0}",
    r"connection lost, (\d+) attempts failed: (.+)": "连接中断，重连 {0} 次未成：{1}",
    # what a Windows machine answers, with its number
    **{
        rf"{en} \((\d+)\)": f"{zh}（{{0}}）"
        for en, zh in {
            "not found": "找不到",
            "access denied: administrator's rights are needed": "拒绝访问：需要管理员权限",
            "not ready": "设备未就绪",
            r"data error \(cyclic redundancy check\)": "数据错误（循环冗余检查）",
            "sector not found": "找不到扇区",
            "read fault": "读取故障",
            "in use by another program": "正由另一程序使用",
            "device no longer exists": "设备已不存在",
            "no such device": "没有这个设备",
            "volume changed": "卷已改变",
            "medium changed": "介质已更换",
            "no medium": "没有介质",
            "I/O device error": "设备输入输出错误",
            "device not connected": "设备未连接",
            "Windows error": "Windows 错误",
        }.items()
    },
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
    "no SHA-256 and no MD5 in it": "其中没有 SHA-256 或 MD5",
    r"(?:JSON of )?more than (\d+) MiB": "超过 {0} MiB",
    r"more than (\d+) indicators": "指标多于 {0} 条",
    "no text": "不是文本",
    "JSON that is neither a STIX 2.1 bundle nor a MISP event": "既不是 STIX 2.1 也不是 MISP 的 JSON",
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
            return zh.format(*(forms.get(part or "", _SYSTEM.get(part or "", part)) for part in found.groups()))
        if found:
            return zh
    return words


@cache
def _compiled(form: str) -> re.Pattern[str]:
    return re.compile(form)
