# SPDX-License-Identifier: Apache-2.0
"""The report's fixed words in Chinese and English: the closed enumerations, and phrases used in many places."""

from __future__ import annotations

from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.nouns import Text
from headwater.report.blocks import Piece
from headwater.report.data import Verdict

NOT_RECORDED = Text("未记载", "not recorded")
NOT_ASSESSED = Text("未评估", "not assessed")
NOT_STATED = Text("容器未声明", "not stated by the container")
NONE = Piece("none", Text("—", "—"))
UNRECORDED = Piece("none", NOT_RECORDED)

DISCLAIMERS = (
    Text(
        "本文件是电子数据检验/分析报告，不是司法鉴定意见，也不构成法律意见。",
        "This is an examination and analysis report on electronic data. It is not a judicial expert opinion "
        "(鉴定意见) and gives no legal advice.",
    ),
    Text(
        "结论只说明所列检材在所用方法下显示了什么；“未查见”不等于“不存在”。",
        "Conclusions say what the listed evidence shows under the methods used; 'not found' does not mean 'not there'.",
    ),
)

LEGEND = Text(
    "方括号内为引证编号，指向其所依据的记录：E 检材，L 保管链，C 时钟，T 时间线，S 步骤，F 发现，H 假设，Q 查找；"
    "“〔检验人陈述〕”为检验人自己的陈述。来自检材的文字照录，不可见字符与方向控制符显示为 U+ 编码。",
    "Brackets hold citations of the records that a sentence rests on: E evidence, L custody ledger, C clocks, "
    "T timeline, S steps, F findings, H hypotheses, Q searches; [examiner's own] marks the examiner's own "
    "statements. Text from evidence is shown as it stands; invisible characters and direction controls "
    "are shown as U+ codes.",
)

OWN = Text("〔检验人陈述〕", "[examiner's own]")

VERDICT: dict[Verdict, tuple[str, Text]] = {
    Verdict.MATCH: ("good", Text("匹配", "match")),
    Verdict.MISMATCH: ("bad", Text("不匹配", "mismatch")),
    Verdict.CANNOT: ("doubt", Text("不可主张", "cannot be claimed")),
}

# what the ledger's entries call an act
ACTIONS: dict[str, str] = {
    "open-case": "立案",
    "settings": "变更设置",
    "authorise": "登记授权",
    "register": "登记检材",
    "list": "列目",
    "examine": "解析",
    "detect": "检测",
    "read-again": "复读校验",
    "report": "出具报告",
    "verify": "核验",
    "mandate": "登记委托",
    "override-mandate": "登记超出授权的理由",
    "outside-mandate": "超出授权，拒绝检验",
    "baseline": "登记基准时间",
    "notamper": "无污损检验",
    "store": "存入对象存储",
    "duty": "登记期限义务",
    "plan": "制定计划",
    "enrol": "登记人员",
    "dismiss": "人员离任",
    "approve": "批准",
    "countersign": "会签",
    "seize": "扣押",
    "seal": "封存",
    "unseal": "启封",
    "receive": "接收",
    "release": "发出",
    "transfer": "移交",
    "checkout": "领用",
    "checkin": "归还",
    "return": "发还",
    "copy": "复制",
    "hold": "诉讼保全",
    "release-hold": "解除保全",
    "retention": "留存期限",
    "destroy": "销毁",
    "export": "导出",
    "anchor": "外部存证",
    "convert": "转换镜像",
    "collect-begin": "开始现场提取",
    "collect-stopped": "现场提取中止",
    "collect-image": "自镜像提取",
    "add": "登记材料",
    "judge": "三性审查",
    "scene-act": "现场操作",
    "capture-begin": "开始抓包",
    "isolate-begin": "开始隔离",
    "memory-begin": "开始提取内存",
    "scene-attempt": "现场操作未成",
    "suppress": "排除发现",
    "unsuppress": "撤销排除",
    "access": "查阅",
    "custody": "保管事件",
    "image": "制作镜像",
    "image-begin": "开始制作镜像",
    "image-stopped": "制作镜像中止",
    "read": "查看内容",
}

HYPOTHESIS: dict[str, tuple[str, Text]] = {
    "supported": ("good", Text("得到支持", "supported")),
    "refuted": ("bad", Text("被否定", "refuted")),
    "open": ("doubt", Text("尚未查明", "open")),
}

BASIS: dict[TimeBasis, Text] = {
    TimeBasis.UTC: Text("记录即为 UTC", "recorded in UTC"),
    TimeBasis.ZONE_GIVEN: Text("记录自带时区", "zone given in the record"),
    TimeBasis.ZONE_ASSUMED: Text("时区为假定", "zone assumed"),
    TimeBasis.YEAR_ASSUMED: Text("年份与时区为假定", "year and zone assumed"),
    TimeBasis.NONE: Text("无时间", "no time"),
}

AUTHORITY_FIELDS: dict[str, Text] = {
    "number": Text("文号", "Number"),
    "issuer": Text("批准单位", "Issued by"),
    "scope": Text("范围", "Scope"),
    "valid_from": Text("生效", "Valid from"),
    "valid_until": Text("截止", "Valid until"),
    "document": Text("批准文件", "Document"),
    "document_sha256": Text("批准文件 SHA-256", "SHA-256 of the document"),
}

_KINDS = {
    "session.open": "会话开始",
    "session.close": "会话结束",
    "auth.success": "认证成功",
    "auth.failure": "认证失败",
    "auth.probe": "认证试探",
    "privilege.use": "使用特权",
    "privilege.denied": "特权被拒",
    "account.create": "新建账户",
    "account.change": "变更账户",
    "account.delete": "删除账户",
    "group.change": "变更用户组",
    "process.create": "进程创建",
    "process.exit": "进程退出",
    "service.start": "服务启动",
    "service.stop": "服务停止",
    "service.failure": "服务失败",
    "schedule.run": "计划任务执行",
    "schedule.change": "计划任务变更",
    "package.install": "安装软件包",
    "package.upgrade": "升级软件包",
    "package.remove": "卸载软件包",
    "package.status": "软件包状态",
    "command.history": "命令历史",
    "web.request": "网页请求",
    "web.error": "网页错误",
    "file.modified": "文件内容修改",
    "file.accessed": "文件访问",
    "file.changed": "文件元数据变更",
    "file.created": "文件创建",
    "file.deleted": "文件删除",
    "file.renamed": "文件改名或移动",
    "file.closed": "文件关闭",
    "network.connection": "网络连接",
    "network.usage": "程序流量统计",
    "browser.visit": "浏览器访问",
    "browser.download": "浏览器下载",
    "transfer.job": "后台传输任务",
    "service.access": "服务角色访问",
    "system.boot": "系统启动",
    "system.shutdown": "系统关机",
    "system.time": "时钟变更",
    "kernel.message": "内核消息",
    "firewall.block": "防火墙拦截",
    "log.message": "日志消息",
    "log.cleared": "日志清除",
    "audit.config": "审计配置变更",
    "state.account": "账户现状",
    "state.group": "用户组现状",
    "state.sudo": "sudo 授权现状",
    "state.schedule": "计划任务现状",
    "state.service": "服务现状",
    "state.key": "登录公钥现状",
    "state.host_key": "曾连接主机的密钥",
    "state.lastlog": "末次登录记录",
    "service.install": "安装服务",
    "state.setting": "系统设置",
    "state.content": "文件内容特征",
    "state.match": "YARA 规则匹配",
    "state.program": "Windows 程序及其签名",
    "state.catalog": "签名目录所列文件",
    "state.right": "用户权利",
    "malware.detected": "杀毒软件检出",
    "state.string": "程序中的字符串",
    "state.memory": "内存中的字符串",
    "state.event_text": "事件说明文本",
    "state.process": "进程现状",
    "state.socket": "网络套接字现状",
    "state.module": "已加载内核模块",
    "state.mount": "挂载现状",
    "state.mapping": "进程内存映射",
    "state.listed": "命令列出的文件",
    "state.session": "命令列出的登录会话",
    "state.network": "网络配置现状",
    "state.firewall": "防火墙规则现状",
    "state.container": "容器现状",
    "state.host": "系统自述信息",
    "registry.key": "注册表键",
    "registry.value": "注册表值",
    "registry.log": "注册表事务日志",
    "execution.trace": "程序执行痕迹",
    "user.activity": "用户操作痕迹",
    "state.autorun": "自启动项现状",
    "state.device": "外接设备记录",
    "state.share": "共享现状",
    "state.shadow": "卷影副本中的旧文件",
    "state.replayed": "卷上所记与日志回放后不一致的文件",
    "state.security": "文件属主与权限现状",
    "state.stream": "备用数据流",
    "state.recovered": "恢复的已删除文件",
    "state.file": "文件现状",
    "state.package": "软件包现状",
    "state.package_file": "软件包文件与现状的差异",
}


def kind(name: str) -> Text:
    """An event's kind in words; a kind that has none in Chinese yet keeps its name."""
    return Text(_KINDS.get(name, name), name)


def named_kinds() -> frozenset[str]:
    """The kinds that have Chinese words, for the test that none is missing."""
    return frozenset(_KINDS) & {str(k) for k in EventKind}
