# SPDX-License-Identifier: Apache-2.0
"""The table of error codes: one stable number each, with message and hint in Chinese and English."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.model.codes_collect import COLLECT
from headwater.model.codes_scene import SCENE
from headwater.model.codes_usage import USAGE
from headwater.model.codes_vault import VAULT


@dataclass(frozen=True, slots=True)
class Code:
    zh: str
    en: str
    hint_zh: str = ""
    hint_en: str = ""


CODES: dict[str, Code] = {
    "HW2001": Code("检材不存在：{where}", "the source does not exist: {where}"),
    "HW2002": Code("检材为空：{where}", "the source is empty: {where}"),
    "HW2003": Code("检材无法读取：{where}（{what}）", "the source cannot be read: {where} ({what})"),
    "HW2004": Code(
        "E01 分段缺失：{what}",
        "an E01 segment is missing: {what}",
        "请把全部分段放在同一目录。",
        "Put all segments into one folder.",
    ),
    "HW2005": Code("E01 分段不属于同一镜像：{what}", "an E01 segment belongs to another image: {what}"),
    "HW2006": Code("E01 结构损坏：{what}", "the E01 structure is broken: {what}"),
    "HW2007": Code("不支持的检材格式：{where}（{what}）", "this source format is not supported: {where} ({what})"),
    "HW2008": Code(
        "检材在读取期间发生变化：{where}（{what}）", "the source changed while it was read: {where} ({what})"
    ),
    "HW2009": Code(
        "不是完整的磁盘组：{where}（{what}）",
        "this is no whole disk set: {where} ({what})",
        "磁盘组由 headwater set 建立，与各镜像放在同一目录。",
        "A disk set is made by headwater set and lies in the folder of its images.",
    ),
    "HW2020": Code(
        "{where} 已存在，未作任何改动",
        "{where} is already there; nothing was changed",
        "续作请加 --resume；新的镜像请换 --out。",
        "To go on with it add --resume; for another image name another --out.",
    ),
    "HW2021": Code(
        "读取中断：{where}，偏移 {offset}（{what}）",
        "the source was lost: {where} at offset {offset} ({what})",
        "已写部分完好。恢复连接后加 --resume 续作。",
        "What was written is kept. Connect it again and add --resume.",
    ),
    "HW2022": Code(
        "镜像无法写入：{where}（{what}）",
        "the image cannot be written: {where} ({what})",
        "已写部分完好。释放空间或重新连接目标盘后加 --resume 续作。",
        "What was written is kept. Make room or connect the destination again, then add --resume.",
    ),
    "HW2024": Code(
        "回读不符：{where}（{what}）",
        "the image read back is not what was read from the source: {where} ({what})",
        "镜像不得使用；请检查目标盘与内存。",
        "The image must not be used; check the destination and the memory.",
    ),
    "HW2025": Code(
        "无法续作：{where}（{what}）",
        "this image cannot be gone on with: {where} ({what})",
        "须用与上次相同的检材和选项。",
        "The same source and options as before are needed.",
    ),
    "HW2026": Code(
        "目标位于检材所在的磁盘：{where}，检材 {what}",
        "the destination lies on the source itself: {where}, source {what}",
        "请写到另一块磁盘。",
        "Write to another disk.",
    ),
    "HW2027": Code(
        "检材没有写保护：{where}（{what}）",
        "nothing protects the source from writing: {where} ({what})",
        "接入写保护设备并用 --write-blocker 说明，或用 --set-readonly 置内核只读标志；"
        '均不可行时用 --confirm-unprotected "理由"，理由将记入台账。',
        "Use a write blocker and name it with --write-blocker, or --set-readonly for the kernel's flag; "
        'where neither can be, --confirm-unprotected "reason" is recorded.',
    ),
    "HW2029": Code(
        "镜像附件无法使用：{where}（{what}）",
        "the sidecar of the image cannot be used: {where} ({what})",
    ),
    "HW2030": Code(
        "{where} 没有第 {what} 分区（现有：{there}）",
        "{where} has no partition {what} (there are: {there})",
    ),
    "HW2040": Code(
        "{where} 所需的文件不在手边：{what}",
        "{where} needs a file that is not here: {what}",
        "请把它放进镜像所在的目录，或用 --allow-path 指明其所在目录（仅 open 与 convert）。",
        "Put it into the image's folder, or name its folder with --allow-path (open and convert).",
    ),
    "HW2041": Code(
        "{where} 的父镜像不是建立它时的那一个：{what}",
        "the parent of {where} is not the one that it was made over: {what}",
        "请找到原来的父镜像；以另一个父镜像读出的内容不可信。",
        "Find the original parent; what is read over another one cannot be trusted.",
    ),
    "HW2042": Code(
        "虚拟磁盘结构损坏：{where}（{what}）", "the structure of the virtual disk is broken: {where} ({what})"
    ),
    "HW2044": Code(
        "{where} 中没有 {what}",
        "{where} holds nothing called {what}",
        "用 headwater open 镜像 ls 逐级查看；路径写法如 p2!/var/log/auth.log。",
        "Look with headwater open IMAGE ls; a path is written like p2!/var/log/auth.log.",
    ),
    "HW2050": Code(
        "没有一个密钥能解开加密卷：{where}（试过 {what} 个）",
        "no key opens the encrypted volume: {where} ({what} tried)",
        "请核对口令、恢复密钥或密钥文件。",
        "Check the passphrase, recovery key or key file.",
    ),
    "HW2051": Code("不支持该加密方式：{where}（{what}）", "this encryption is not supported: {where} ({what})"),
    "HW2052": Code(
        "加密卷要求的派生开销超出上限：{where}（{what}）",
        "the encrypted volume asks for more work than is given: {where} ({what})",
        "可改用卷主密钥。",
        "Hand over the volume key instead.",
    ),
    "HW2053": Code("加密卷头损坏：{where}（{what}）", "the header of the encrypted volume is broken: {where} ({what})"),
    "HW2060": Code(
        "{where} 正在被写入，拒绝制作镜像：{what}",
        "{where} is being written; imaging is refused: {what}",
        "请先卸载，或用只读锁；确需对运行中的系统制作镜像时加 --live，该决定将记入台账。",
        "Unmount it or use a write blocker; where a running system must be imaged, --live records that decision.",
    ),
    "HW2061": Code(
        "无法设置只读标志：{where}（{what}）",
        "the read-only flag cannot be set: {where} ({what})",
        "需要管理员权限；文件没有此标志。",
        "This needs the administrator's rights; a file has no such flag.",
    ),
    "HW2062": Code(
        "参考时钟的写法不可用：{what}",
        "the reference clock cannot be used as written: {what}",
        "写作 参考时间@本机时间 名称，二者均须带时区，如 2026-11-22T12:00:05+08:00@2026-11-22T04:00:07Z；NTP 服务器写作 主机[:端口]。",
        "Write REFERENCE-TIME@OWN-TIME NAME, each with its offset from UTC; an NTP server is HOST[:PORT].",
    ),
    "HW2063": Code(
        "SSH 地址有误：{what}",
        "not an SSH address: {what}",
        "写作 ssh://用户@主机[:端口]/dev/vda；口令不写在命令行上，需要时会询问。",
        "Write ssh://USER@HOST[:PORT]/dev/vda; a password is asked for and never written there.",
    ),
    "HW2064": Code("无法建立 SSH 连接：{where}（{what}）", "no SSH connection to {where} ({what})"),
    "HW2065": Code(
        "服务器主机密钥未知，已拒绝：{where}，指纹 {what}",
        "the key of the server {where} is not known; refused. Its fingerprint: {what}",
        "请经另一途径核对指纹，再用 --host-key SHA256:… 或 --known-hosts 文件。",
        "Check the fingerprint by another way, then give --host-key SHA256:… or a --known-hosts file.",
    ),
    "HW2066": Code(
        "SSH 登录被拒绝：{user}，{where}",
        "the SSH login of {user} to {where} was refused",
    ),
    "HW2067": Code(
        "服务器上无法读取该检材：{where}（{what}）",
        "the source cannot be read on the server: {where} ({what})",
        "需要能读取该设备的账户，服务器上须有 sh、dd、cat。",
        "An account that may read the device is needed, and sh, dd and cat on the server.",
    ),
    "HW2068": Code(
        "无法得知检材大小：{where}",
        "the size of the source cannot be learnt: {where}",
        "请用 --size 说明字节数。",
        "State it in bytes with --size.",
    ),
    "HW2070": Code(
        "Windows 设备无法打开：{where}（{what}）",
        "the Windows device cannot be opened: {where} ({what})",
        "请以管理员身份运行，并核对设备名。",
        "Run it as administrator and check the device's name.",
    ),
    "HW2071": Code(
        "此系统不提供块设备信息：{where}（{what}）",
        "this system shows no block devices: {where} ({what})",
        "请在 Linux 上运行；Windows 上请直接给出 \\\\.\\PhysicalDriveN。",
        "Run it on Linux; on Windows name \\\\.\\PhysicalDriveN itself.",
    ),
    "HW3001": Code(
        "台账无法写入：{where}（{what}）",
        "the ledger cannot be written: {where} ({what})",
        "检查磁盘空间与权限；释放空间后用同一命令续作。",
        "Check disk space and permissions; then the same command goes on.",
    ),
    "HW3002": Code(
        "台账校验失败：第 {seq} 条，{what}",
        "the ledger does not verify: entry {seq}, {what}",
        "案件目录可能被改动，请立即停止并保护现状。",
        "The case folder may have been altered: stop and preserve it.",
    ),
    "HW3003": Code(
        "校验值不符：{where}，登记 {expected}，现为 {found}",
        "digest mismatch: {where}, registered {expected}, found {found}",
        "检材或案件数据已改变，不得继续使用。",
        "The evidence or case data has changed and must not be used.",
    ),
    "HW3004": Code(
        "磁盘空间不足或写入失败：{where}（{what}）",
        "no space or write failed: {where} ({what})",
        "释放空间后用同一命令续作，已完成的部分不会重做。",
        "Free some space; the same command goes on where it stopped.",
    ),
    "HW3010": Code(
        "个人密钥无法使用：{where}（{what}）",
        "the personal key cannot be used: {where} ({what})",
        "密钥由本人保管，口令只有本人知道；遗失时由管理员停用旧钥并登记新钥。",
        "A key and its passphrase belong to one person; where lost, an administrator dismisses it and enrols a new one.",
    ),
    "HW3011": Code(
        "锚定凭证无法使用：{where}（{what}）",
        "the anchor cannot be used: {where} ({what})",
        "时间戳须附完整证书链；纸面链首形如 HW1 起点 条数 根值。",
        "A timestamp needs its whole certificate chain; a printed head reads HW1 ORIGIN SIZE ROOT.",
    ),
    "HW3012": Code(
        "见证方拒绝签收：{where}（{what}）",
        "the witness refuses: {where} ({what})",
        "若非本人误用旧副本，即表明台账被回退或分叉，请停止操作并保护现状。",
        "Unless an old copy was used by mistake, the ledger was rolled back or forked: stop and preserve it.",
    ),
    "HW3013": Code(
        "时间戳服务不可达：{where}（{what}）",
        "the timestamp authority cannot be reached: {where} ({what})",
        "请求已排队；联网后再运行 headwater anchor，或把 .tsq 文件带到联网机器上取回 .tsr。",
        "The request is queued: run headwater anchor again, or carry the .tsq file to a connected machine and bring back the .tsr.",
    ),
    "HW3014": Code(
        "案件中没有编号为 {what} 的检材",
        "no item of the case is numbered {what}",
        "编号见 headwater register。",
        "The numbers stand in headwater register.",
    ),
    "HW3015": Code(
        "内容存储拒绝：{where}（{what}）",
        "the store of contents refuses: {where} ({what})",
        "已存内容不得改写或删除；新版本请作为新检材登记。",
        "What is stored is never changed or removed; register a new version as a new item.",
    ),
    "HW3016": Code(
        "此保管事件会使保管链中断：{where}，{what}",
        "this event would break the chain of custody: {where}, {what}",
        '核对编号、封条与经手人；确已发生的，用 --override "理由" 如实登记，缺口将列入保管链。',
        'Check number, seal and hands; what did happen is entered with --override "reason" and listed as a gap.',
    ),
    "HW3018": Code(
        "密封容器无法使用：{where}（{what}）",
        "the sealed container cannot be used: {where} ({what})",
        "至少为两名接收人封装密钥；任一接收人的身份文件可打开容器。",
        "The key is wrapped for two recipients at least; the identity of any of them opens it.",
    ),
    "HW3019": Code(
        "对象存储不可用或拒绝：{where}（{what}）",
        "the object store cannot be used or refuses: {where} ({what})",
        "存储桶须在建立时启用 Object Lock，凭据须有写入与读取版本的权限。",
        "The bucket needs Object Lock from its making, and the credentials the right to write and to read versions.",
    ),
    "HW3020": Code(
        "案件包无法使用：{where}（{what}）",
        "the exported case cannot be used: {where} ({what})",
    ),
    "HW4001": Code("隔离子进程无法启动：{what}", "the confined child could not be started: {what}"),
    "HW4002": Code("解析器 {where} 不合规：{what}", "the parser {where} breaks its contract: {what}"),
    "HW4003": Code(
        "无法打开案件检材：{where}（{what}）",
        "the evidence of the case cannot be opened: {where} ({what})",
        "请把检材放回登记时的路径。",
        "Put the evidence back where it was when it was registered.",
    ),
    "HW5001": Code(
        "事件库损坏或缺失：{where}（{what}）",
        "the event store is broken or missing: {where} ({what})",
        "用 headwater verify --rebuild 核对，或以同一命令重做。",
        "Check with headwater verify --rebuild, or run the same command again.",
    ),
    "HW5002": Code(
        "查询引擎内存不足，未答完；查询条件并无错误（{what}）",
        "the query engine ran out of memory before it was done; the condition is not at fault ({what})",
        "以 --feed、--since、--until 或 --limit 缩小范围，分次查询。",
        "Ask for less at a time: --feed, --since, --until or --limit.",
    ),
    "HW5003": Code(
        "查询时文件读写失败；查询条件并无错误（{what}）",
        "a file could not be read or written during the query; the condition is not at fault ({what})",
        "查看案件目录与输出所在磁盘的剩余空间和权限；事件库可用 headwater verify --rebuild 核对。",
        "Look at the free space and rights of the case's and the output's disk; headwater verify --rebuild checks the store.",
    ),
    "HW6001": Code("规则目录不存在：{where}", "the rule folder does not exist: {where}"),
    "HW6012": Code(
        "指标清单无法使用：{where}（{what}）",
        "the indicator list cannot be used: {where} ({what})",
        "可用文本（每行一个）、CSV、STIX 2.1 与 MISP 的 JSON。",
        "Text (one per line), CSV, and JSON of STIX 2.1 and MISP can be used.",
    ),
    "HW6011": Code(
        "YARA 规则不存在或过多：{where}（{what}）",
        "there are no YARA rules here, or too many: {where} ({what})",
    ),
    "HW6002": Code("检测器 {where} 出错：{what}", "the detector {where} failed: {what}"),
    "HW7001": Code("报告无法生成：{what}", "the report cannot be made: {what}"),
    "HW7002": Code("句子缺少引证：{what}", "a sentence cites nothing: {what}"),
}
CODES.update(
    {number: Code(*words) for number, words in (*USAGE.items(), *COLLECT.items(), *SCENE.items(), *VAULT.items())}
)
