# SPDX-License-Identifier: Apache-2.0
"""Error codes HW0001 to HW1018: the command line, the case folder, authority and people; as ``Code`` takes them."""

from __future__ import annotations

USAGE: dict[str, tuple[str, ...]] = {
    "HW0001": ("用法错误：{what}", "usage: {what}", "运行 headwater --help 查看用法。", "See headwater --help."),
    "HW0002": (
        "{where} 不是案件目录",
        "{where} is not a case folder",
        "案件目录由 headwater investigate … --case 建立，内含 ledger.db。",
        "A case folder is made by headwater investigate … --case and holds ledger.db.",
    ),
    "HW0003": (
        "{where} 已存在且不是案件目录，未作任何改动",
        "{where} exists and is not a case folder; nothing was changed",
        "请换一个空目录或新目录。",
        "Name a new or an empty folder.",
    ),
    "HW0004": (
        "案件目录 {where} 已有另一组检材或设置：{what}",
        "the case folder {where} holds other sources or settings: {what}",
        "续作须使用与上次完全相同的命令；新的调查请另建案件目录。",
        "To go on, use the same command as before; for another investigation name another folder.",
    ),
    "HW0005": (
        "找不到 {what}",
        "nothing here is called {what}",
        "编号见 findings、steps、events --json。",
        "Ids are printed by findings, steps and events --json.",
    ),
    "HW0006": (
        "查询条件有误：{what}",
        "the condition cannot be used: {what}",
        "条件是一个 SQL 布尔表达式，如 \"src_ip = '203.0.113.7'\"。",
        "A condition is one SQL boolean expression, such as \"src_ip = '203.0.113.7'\".",
    ),
    "HW0008": (
        "查找的内容无法使用：{what}",
        "what is looked for cannot be used: {what}",
        "正则表达式按 RE2 语法；不带 --regex 时按原文查找。",
        "An expression is in RE2's syntax; without --regex the text is looked for as it stands.",
    ),
    "HW0007": (
        "案件目录正被另一进程使用：{where}",
        "another process is using the case folder {where}",
        "等其结束后再试。",
        "Wait until it has ended.",
    ),
    "HW0009": (
        "案件 {where} 尚未检验完，还没有结果",
        "the case {where} has not been examined to the end; there are no results yet",
        "以原来的 headwater investigate 命令再次运行即可续作。",
        "Give the same headwater investigate command again: it goes on.",
    ),
    "HW0010": (
        "文件 {where} 已存在，或其目录不存在，未写入",
        "the file {where} is there already, or its folder is not; nothing was written",
        "请换一个新文件名。",
        "Name a new file.",
    ),
    "HW1001": (
        "缺少授权：{what}",
        "no authority: {what} is missing",
        "请用 --authority、--authority-no、--authority-by、--authority-scope、--authority-until 说明授权；"
        '确无授权时用 --no-authority "理由"，理由将记入台账并印在报告上。',
        "State it with --authority, --authority-no, --authority-by, --authority-scope, --authority-until; "
        'where there is none, --no-authority "reason" records the reason and stamps the report.',
    ),
    "HW1002": ("授权文件无法读取：{where}（{what}）", "the authority document {where} cannot be read ({what})"),
    "HW1003": ("授权已于 {until} 到期", "the authority ended on {until}", "请取得新的授权。", "Obtain a new one."),
    "HW1004": (
        "时区名称无效：{what}",
        "unknown time zone: {what}",
        "示例：Asia/Shanghai。",
        "For example Asia/Shanghai.",
    ),
    "HW0011": (
        "读写未成：{where}（{what}）",
        "it could not be read or written: {where} ({what})",
        "检查空间、权限与路径后再试；案件目录中已做完的不会丢失。",
        "Check room, rights and the path and try again; what is done in a case folder is kept.",
    ),
    "HW1005": (
        "日期格式有误：{what}",
        "not a date: {what}",
        "请写作 YYYY-MM-DD。",
        "Write it as YYYY-MM-DD.",
    ),
    "HW1010": (
        "案件中没有登记此人：{what}",
        "nobody of this name is enrolled in the case: {what}",
        "先用 headwater case people CASE add 登记其人与公钥。",
        "Enrol the person first: headwater case people CASE add.",
    ),
    "HW1020": (
        "须由已登记的人员签名，未用 --as 指明何人；已登记：{known}",
        "an enrolled person signs this, and --as names nobody; enrolled: {known}",
        "加 --as 姓名；其密钥在别处时用 --key 姓名=文件。",
        "Add --as NAME; where their key lies elsewhere, --key NAME=FILE.",
    ),
    "HW1021": (
        "这是一个人的判断，而未用 --as 指明何人；本案登记的有：{known}",
        "this is one person's judgement, and --as names nobody; those at work on this case: {known}",
        "加 --as 姓名；尚未登记人员时不需要密钥。",
        "Add --as NAME; as long as nobody is enrolled it takes no key.",
    ),
    "HW1011": (
        "{who} 无权办理 {what}，所需角色：{roles}",
        "{who} may not do this: {what}; it takes one of these roles: {roles}",
    ),
    "HW1012": (
        "{what} 须由两人办理，另一人须为 {roles}",
        "{what} takes two persons, the other being one of: {roles}",
        "用 --approver 姓名 由第二人以其本人密钥签名。",
        "Name the second person with --approver; they sign with their own key.",
    ),
    "HW1013": (
        "超出授权范围：{what}",
        "outside the authority: {what}",
        '请取得新的授权；确有理由时用 --override "理由"，理由将记入台账。',
        'Obtain a new authority; where there is a reason, --override "reason" records it.',
    ),
    "HW1015": (
        "以下栏目既无内容也未说明理由：{what}",
        "these fields have neither a value nor a reason for being absent: {what}",
        '每栏用 --field 栏名=内容，或 --absent 栏名="理由"，其余共用 --absent-rest "理由"；headwater add --fields 列出全部栏名。',
        "Give --field NAME=VALUE or --absent NAME=REASON for each, or --absent-rest REASON for all that are left; "
        "headwater add --fields lists all names.",
    ),
    "HW1016": (
        "导出缺少：{what}",
        "the export lacks: {what}",
        "须写明接收机关与依据；出境的还须主管机关的批准文号（国际刑事司法协助法第4条、数据安全法第36条、个人信息保护法第41条）。",
        "State to whom and on what basis; abroad, the number of the competent authority's approval as well.",
    ),
    "HW1018": ("无此取值：{what}；可用：{known}", "no such value: {what}; known: {known}"),
}
