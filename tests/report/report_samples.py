# SPDX-License-Identifier: Apache-2.0
"""Invented reports for tests: no line, name, address or digest here is from a real case (addresses: RFC 5737)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from headwater.model.kinds import Confidence, GapReason, Severity, Stage, TimeBasis
from headwater.model.nouns import (
    Authority,
    Citation,
    Finding,
    GapCitation,
    Hypothesis,
    Rule,
    Search,
    Sentence,
    Span,
    Step,
    Tally,
    Text,
)
from headwater.model.times import from_rfc3339
from headwater.report.data import (
    Clock,
    CustodyRow,
    DamageFigure,
    Digest,
    EvidenceItem,
    GapRow,
    HashRow,
    Incomplete,
    Ledger,
    Person,
    Plan,
    RegisterField,
    ReportData,
    ScheduleRow,
    Segment,
    SignatureSlot,
    TimelineRow,
    Title,
    Tool,
    Verdict,
    event_id,
)

AUTH = "p2!/var/log/auth.log"
WEB = "p2!/www/wwwlogs/shop.example.com.log"

# What hostile evidence may hold; every one of these must be shown and must do nothing.
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "'\"><svg onload=alert(1)>",
    "</style><style>body{display:none}</style>",
    "</title></head><body onload=alert(1)>",
    "]]><!-- --><iframe src=//203.0.113.9/>",
    "javascript:alert(1)",
    '#import "x.typ": * #panic("owned") $x^2$ *bold* _it_ `raw` @ref <label> \\u{41} // comment /* x */',
    '#read("/etc/passwd") #image("/etc/passwd") #eval("1+1") ][ }{ ]#',
    "= Heading\n- list\n+ enum\n/ term: x",
    "user\u202egnp.exe\u202c end",
    "a\u2066b\u2069c\u200b\u200d\ufeff\u00ad\u2028\u2029",
    "\x00\x01\x07\x1b[31mred\x1b[0m\x7f\x85",
    "lone \udcff\udc80 surrogates \ud800",
    "z\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308a\u0336\u0337\u0338l\u0353\u0354\u0355go",
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd emoji \U0001f600 private \ue000 tag \U000e0041 \ufffe",
    "{{7*7}} ${7*7} %s %n {0} {what}",
    "A" * 9000,
    "很" * 3000,
    "&lt;b&gt; &amp; &#x3c;script&#x3e;",
    "\t tab \r\n new line \u3000 \u00a0 space",
)


def sha(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def at(text: str) -> int:
    return from_rfc3339(text)


def rule(name: str, zh: str, en: str, stage: Stage, severity: Severity, *techniques: str) -> Rule:
    return Rule(name, "1", "Headwater", Text(zh, en), stage, techniques, severity)


def citation(path: str, offset: int, length: int, when: str, **claims: str | int) -> Citation:
    return Citation(Span(1, path, offset, length, ((1_048_576 + offset, length),)), at(when), claims)


def _findings() -> tuple[Finding, ...]:
    guess = Finding(
        rule(
            "ssh.guessing-success",
            "口令猜解后登录成功",
            "Password guessing, then a login",
            Stage.LOGIN,
            Severity.HIGH,
            "T1110.001",
            "T1078",
        ),
        Text(
            "203.0.113.77 对 23 个账户尝试口令 1,284 次，失败 1,283 次，随后以 deploy 登录成功。",
            "203.0.113.77 tried passwords for 23 accounts 1,284 times, failed 1,283 times, then logged in as deploy.",
        ),
        tuple(
            citation(
                AUTH,
                18_200 + 96 * i,
                96,
                f"2026-03-02T03:{i:02d}:07Z",
                src_ip="203.0.113.77",
                user="deploy",
                outcome="failure",
            )
            for i in range(40)
        ),
        Confidence.HIGH,
        Severity.HIGH,
        at("2026-03-02T02:41:09Z"),
        at("2026-03-02T03:39:07Z"),
        "web01",
        "203.0.113.77",
        "deploy",
        tally=Tally({"kind": "auth.failure", "src_ip": "203.0.113.77"}, 1283, sha("tally")),
        facts={"accounts": 23, "failures": 1283},
        id="finding-3f1c5a9e0b7d2468",
    )
    web = Finding(
        rule(
            "web.command",
            "经网页执行命令",
            "Command execution over the web",
            Stage.EXPLOIT,
            Severity.CRITICAL,
            "T1190",
            "T1505.003",
        ),
        Text(
            "198.51.100.23 请求 /uploads/cmd.php?cmd=id，服务器应答 200;同一时刻 www-data 创建了进程，执行由此得到证实。",
            "198.51.100.23 requested /uploads/cmd.php?cmd=id and was answered 200; at that moment www-data created a process, "
            "which confirms the execution.",
        ),
        (
            citation(
                WEB,
                771_204,
                214,
                "2026-03-02T04:02:31Z",
                src_ip="198.51.100.23",
                **{"cs-uri-stem": "/uploads/cmd.php", "sc-status": 200},
            ),
            citation(
                "p2!/var/log/audit/audit.log.1.gz!gz",
                90_112,
                611,
                "2026-03-02T04:02:31.412Z",
                command_line="sh -c id",
                user="www-data",
            ),
        ),
        Confidence.HIGH,
        Severity.CRITICAL,
        at("2026-03-02T04:02:31Z"),
        at("2026-03-02T04:02:31.412Z"),
        "web01",
        "198.51.100.23",
        "www-data",
        id="finding-88d0aa12cc34ee56",
    )
    sudo = Finding(
        rule(
            "sudo.abuse", "滥用 sudo 取得 root", "sudo used to become root", Stage.ESCALATE, Severity.HIGH, "T1548.003"
        ),
        Text(
            "deploy 在登录 4 分钟后以 sudo 运行 /bin/bash。",
            "deploy ran /bin/bash through sudo four minutes after the login.",
        ),
        (citation(AUTH, 24_001, 131, "2026-03-02T03:43:11Z", user="deploy", command_line="/bin/bash"),),
        Confidence.MEDIUM,
        Severity.HIGH,
        at("2026-03-02T03:43:11Z"),
        at("2026-03-02T03:43:11Z"),
        "web01",
        None,
        "deploy",
        id="finding-6071829304a5b6c7",
    )
    key = Finding(
        rule("persistence.key", "新增登录公钥", "A login key was added", Stage.PERSIST, Severity.HIGH, "T1098.004"),
        Text(
            "root 的 authorized_keys 中出现一枚此前备份所无的公钥。",
            "root's authorized_keys holds a key that the earlier backup has not.",
        ),
        (
            citation(
                "p2!/root/.ssh/authorized_keys", 0, 568, "2026-03-02T03:51:40Z", file_path="/root/.ssh/authorized_keys"
            ),
        ),
        Confidence.HIGH,
        Severity.HIGH,
        at("2026-03-02T03:51:40Z"),
        at("2026-03-02T03:51:40Z"),
        "web01",
        None,
        "root",
        id="finding-0123456789abcdef",
    )
    wiped = Finding(
        rule("log.zeroed", "登录记录被清零", "Login records were zeroed", Stage.COVER, Severity.MEDIUM, "T1070.002"),
        Text("wtmp 中有 3 条记录被零覆写。", "Three records of wtmp are overwritten with zeros."),
        (),
        Confidence.MEDIUM,
        Severity.MEDIUM,
        None,
        None,
        "web01",
        gaps=(GapCitation(Span(1, "p2!/var/log/wtmp", 38_400, 1152), "overwritten", "3 × 384 bytes of zeros"),),
        id="finding-fedcba9876543210",
    )
    return guess, web, sudo, key, wiped


def _steps(findings: tuple[Finding, ...]) -> tuple[Step, ...]:
    guess, web, sudo, key, wiped = findings
    spread = Text("自 web01 向 192.0.2.0/24 扫描 22 端口。", "Scanned port 22 of 192.0.2.0/24 from web01.")
    return (
        Step(Stage.LOGIN, "T1110.001", "203.0.113.77", "web01", guess.ts_first, guess.ts_last, Confidence.HIGH,
             Text("猜解口令后以 deploy 登录。", "Guessed a password and logged in as deploy."), (guess.id,), "step-01"),
        Step(Stage.EXPLOIT, "T1190", "198.51.100.23", "web01", web.ts_first, web.ts_last, Confidence.HIGH,
             Text("经上传目录中的脚本执行命令。", "Executed commands through a script in the upload folder."), (web.id,), "step-02"),
        Step(Stage.ESCALATE, "T1548.003", "deploy", "web01", sudo.ts_first, sudo.ts_last, Confidence.MEDIUM,
             Text("以 sudo 取得 root。", "Became root through sudo."), (sudo.id, guess.id), "step-03"),
        Step(Stage.PERSIST, "T1098.004", "root", "web01", key.ts_first, key.ts_last, Confidence.HIGH,
             Text("为 root 加入登录公钥。", "Added a login key for root."), (key.id,), "step-04"),
        Step(Stage.SPREAD, "T1046", None, "web01", at("2026-03-02T05:10:00Z"), at("2026-03-02T05:22:00Z"), Confidence.LOW,
             spread, (sudo.id,), "step-05"),
        Step(Stage.COVER, "T1070.002", None, "web01", None, None, Confidence.MEDIUM,
             Text("清除部分登录记录。", "Zeroed some login records."), (wiped.id,), "step-06"),
    )  # fmt: skip


def _evidence() -> tuple[EvidenceItem, ...]:
    image = EvidenceItem(
        "evidence-1", 1, "web01-系统盘.E01", at("2026-03-03T01:12:44Z"), at("2026-03-03T01:58:03.25Z"),
        "web01（云服务器，华东 2），系统盘 /dev/vda", sha("image"), Text("镜像（只读，全卷）", "image (read-only, full volume)"),
        "喆堃", Text("入侵溯源检验", "tracing the intrusion"), 42_949_672_960, "e01",
        (
            Digest("SHA-256", sha("image"), None, sha("image"), Verdict.MATCH),
            Digest("MD5", None, sha("md5")[:32], sha("md5")[:32], Verdict.MATCH),
            Digest("SHA-1", None, sha("one")[:40], sha("other")[:40], Verdict.MISMATCH,
                   Text("容器声明的值与重新读取的值不同，第 2 段有 1 块校验失败。", "The container states another value; one chunk of segment 2 fails its checksum.")),
        ),
        (Segment("web01-系统盘.E01", 2_147_483_648, sha("E01")), Segment("web01-系统盘.E02", 1_602_224_128, sha("E02"))),
        (
            RegisterField(Text("类别", "Category"), "磁盘镜像"),
            RegisterField(Text("原件或复制件", "Original or copy"), Text("复制件", "copy")),
            RegisterField(Text("未扣押原始介质的理由", "Why the original was not seized"), None, Text("云盘，无实体介质", "cloud disk, no physical medium")),
            RegisterField(Text("存放地点", "Storage place"), None),
            RegisterField(Text("封存编号", "Seal number"), "FC-2026-0031"),
        ),
    )  # fmt: skip
    folder = EvidenceItem(
        "evidence-2", 2, "collected-logs.tar.gz", None, None, None, sha("tar"), None, None, None, 8_812_233, "tar.gz",
        (Digest("SHA-256", None, None, sha("tar"), Verdict.CANNOT, Text("没有采集时的校验值可资比对。", "There is no digest from the time of acquisition to compare with.")),),
    )  # fmt: skip
    return image, folder


def _custody() -> Ledger:
    acts = (
        ("register", "登记检材", ("web01-系统盘.E01",), (f"sha256:{sha('image')}",)),
        ("verify", "重新读取并核对", ("evidence-1",), ("match",)),
        ("examine", "解析", ("evidence-1",), ("events/feed=linux.auth/1-0.parquet", "gaps/1-0.parquet")),
        ("detect", "检测", ("events/",), ("findings.jsonl",)),
    )
    rows = tuple(
        CustodyRow(
            f"ledger-{n}",
            n,
            at(f"2026-03-04T02:0{n}:00Z"),
            "祎玥",
            "headwater 0.1.0",
            action,
            purpose,
            (1,),
            went,
            came,
            sha(f"entry{n}"),
            "ed25519:9f2c…",
        )
        for n, (action, purpose, went, came) in enumerate(acts, 1)
    )
    return Ledger(rows, 4, sha("entry4"), "SHA256:" + sha("key")[:43], ())


def _timeline() -> tuple[TimelineRow, ...]:
    def row(
        path: str, offset: int, when: str, kind: str, summary: str, step: str, recorded: str, basis: TimeBasis
    ) -> TimelineRow:
        return TimelineRow(
            event_id(1, path, offset),
            at(when),
            basis,
            kind,
            "web01",
            "deploy",
            "203.0.113.77",
            summary,
            1,
            path,
            offset,
            96,
            (step,),
            recorded,
        )

    return (
        row(AUTH, 18_200, "2026-03-02T03:00:07Z", "auth.failure", "Failed password for deploy from 203.0.113.77 port 50122 ssh2", "step-01", "Mar  2 11:00:07", TimeBasis.YEAR_ASSUMED),
        row(AUTH, 23_040, "2026-03-02T03:39:07Z", "auth.success", "Accepted password for deploy from 203.0.113.77 port 50981 ssh2", "step-01", "Mar  2 11:39:07", TimeBasis.YEAR_ASSUMED),
        row(WEB, 771_204, "2026-03-02T04:02:31Z", "web.request", 'GET /uploads/cmd.php?cmd=id HTTP/1.1" 200 57 "-" "curl/7.88.1"', "step-02", "02/Mar/2026:12:02:31 +0800", TimeBasis.ZONE_GIVEN),
    )  # fmt: skip


def _said(zh: str, en: str, *cites: str) -> Sentence:
    return Sentence(Text(zh, en), cites, own=not cites)


def _plan() -> Plan:
    return Plan(
        (_said("查明 web01 是否被侵入、经由何处、做了什么。", "Find out whether web01 was broken into, by which way, and what was done."),),
        (_said("检材 E1、E2 中 2026 年 2 月 20 日至 3 月 3 日的数据。", "The data of E1 and E2 from 20 February to 3 March 2026.", "evidence-1", "evidence-2"),),
        (_said("只读打开镜像，解析日志与文件系统时间，以规则检测，逐条引证。", "Open the image read-only, parse logs and file system times, detect by rules, cite every record.", "tools"),),
        (_said("登记并核对检材。", "Register and verify the evidence.", "ledger-1", "ledger-2"), _said("解析与检测。", "Parse and detect.", "ledger-3", "ledger-4")),
        (
            Person("祎玥", Text("主检人", "lead examiner"), "某市电子数据检验中心（虚构）", "电子数据取证分析师"),
            Person("喆堃", Text("检验人、保管人", "examiner, custodian"), None, None),
        ),
        (
            ScheduleRow(Text("提取", "Acquisition"), "2026-03-03", at("2026-03-03T01:12:44Z"), at("2026-03-03T01:58:03Z")),
            ScheduleRow(Text("检验", "Examination"), None, at("2026-03-04T02:00:00Z"), None),
        ),
    )  # fmt: skip


def rich() -> ReportData:
    """An invented case with something in every section."""
    findings = _findings()
    steps = _steps(findings)
    f = [finding.id for finding in findings]
    return ReportData(
        title=Title("溯检〔2026〕第 042 号", "web01 被侵入案（虚构）", "涉嫌非法侵入计算机信息系统", "某电商公司（虚构）", "查明入侵经过", "2026-03-03", None,
                    "GB/T 29360-2023", "Asia/Shanghai", at("2026-03-05T08:30:00Z"), "Headwater 0.1.0", at("2026-03-02T09:00:00Z"), "断网时刻，值班记录"),
        overview=(
            _said("web01 于 2026 年 3 月 2 日被侵入。", "web01 was broken into on 2 March 2026.", steps[0].id, steps[1].id),
            _said("203.0.113.77 猜解口令 1,284 次后以 deploy 登录。", "203.0.113.77 logged in as deploy after guessing passwords 1,284 times.", f[0]),
            _said("另有 198.51.100.23 经 /uploads/cmd.php 执行命令。", "198.51.100.23 executed commands through /uploads/cmd.php.", f[1]),
            _said("入侵者取得 root，并为其加入登录公钥。", "The intruder became root and added a login key for it.", steps[2].id, steps[3].id),
            _said("未查见数据外传或加密。", "No exfiltration or encryption was found.", "search-1"),
            _said("wtmp 有 3 条记录被清零，登录记录因此不完整。", "Three records of wtmp are zeroed, so the record of logins is incomplete.", f[4], "gaps"),
            _said("建议保留原机现状，勿在原机清理。", "The server should be left as it is and not be cleaned."),
        ),
        authority=Authority("网安批〔2026〕17 号", "某市公安局网络安全保卫支队（虚构）", "web01 全部数据", None, "2026-06-30", "approval.pdf", sha("approval")),
        authority_notes=(_said("本次检验在上述授权范围内进行。", "The examination stayed within this authority.", "authority", "ledger-1"),),
        plan=_plan(),
        evidence=_evidence(),
        ledger=_custody(),
        tools=(
            Tool("Headwater", "0.1.0", Text("解析、检测、报告", "parsing, detection, report"), sha("wheel")),
            Tool("The Sleuth Kit(pytsk3)", "20260715", Text("读取 ext4", "reading ext4")),
        ),
        confinement=Text("子进程：资源上限、seccomp、Landlock;无网络", "child processes: resource limits, seccomp, Landlock; no network"),
        clocks=(
            Clock("clock-1", 1, AUTH, TimeBasis.YEAR_ASSUMED, "Asia/Shanghai", 2026, None, Text("时区取自 /etc/localtime，年份由轮转与修改时间推断", "zone from /etc/localtime, year inferred from rotation and mtime")),
            Clock("clock-2", 1, WEB, TimeBasis.ZONE_GIVEN, "+08:00", None, -1_250_000_000, Text("与参考时钟比对测得", "measured against a reference clock")),
        ),
        timeline=_timeline(),
        steps=steps,
        findings=findings,
        hypotheses=(
            Hypothesis(Text("入侵者经弱口令进入。", "The intruder came in by a weak password."), (f[0], steps[0].id), (), (), "supported", "hypothesis-1"),
            Hypothesis(Text("内部人员使用自己的口令登录。", "An insider logged in with their own password."), (), (f[0],), (), "refuted", "hypothesis-2"),
            Hypothesis(Text("两个来源地址属同一人。", "Both addresses are one person's."), (), (), (Text("两地址的工具特征比对", "comparing the tools of both addresses"),), "open", "hypothesis-3"),
        ),
        searches=(
            Search(Text("有无成批改名为 *.encrypted 的文件？", "Were files renamed to *.encrypted in bulk?"), "kind = 'file.modified' AND file_path LIKE '%.encrypted'", 211_804, 9_663_676_416, 1_204_331, 4096, 0, ("fs.macb",), "search-1"),
            Search(Text("有无向外大量传输？", "Was much sent outwards?"), "kind = 'network.connection'", 0, 0, 0, 0, 0, (), "search-2"),
        ),
        gaps=(
            GapRow(1, "p2!/var/log/wtmp", "linux.wtmp", GapReason.OVERWRITTEN, 3, 1152, 38_400, "zeros"),
            GapRow(1, "p3", None, GapReason.ENCRYPTED, 1, 21_474_836_480, 0, "luks2"),
        ),
        incomplete=(Incomplete(1, "p2!/var/log/journal/0f/system.journal", "memory"),),
        limits=(
            _said("云平台日志未提供，控制台操作不在检验之列。", "Cloud logs were not provided; console activity was not examined."),
            _said("p3 为加密卷，未能读取。", "p3 is an encrypted volume and could not be read.", "gaps"),
        ),
        damage=(
            DamageFigure(Text("被控制的计算机信息系统（台）", "Systems controlled"), Text("1", "1"), Text("20 台以上", "20 or more"), (steps[2].id,)),
            DamageFigure(Text("经济损失（元）", "Loss (CNY)"), None, Text("1 万元以上", "10,000 or more")),
        ),
        hashes=(
            HashRow(Text("检材", "evidence"), "web01-系统盘.E01", 42_949_672_960, sha("image")),
            HashRow(Text("分段", "segment"), "web01-系统盘.E02", 1_602_224_128, sha("E02")),
            HashRow(Text("事件文件", "event file"), "events/feed=linux.auth/1-0.parquet", 88_122, sha("parquet")),
            HashRow(Text("规则", "rule"), "ssh.guessing-success 1", None, sha("rule")),
        ),
        signatures=(
            SignatureSlot(Text("主检人", "Lead examiner"), "祎玥"),
            SignatureSlot(Text("检验人", "Examiner"), None, Text("未指派第二名检验人", "no second examiner was assigned")),
        ),
        timeline_left_out=1281,
        unsupported_rules=("proc_creation_win_x.yml: product windows",),
    )  # fmt: skip


def empty() -> ReportData:
    """An invented case that found nothing and was told next to nothing."""
    return ReportData(
        Title(None, None, None, None, None, None, None, None, "UTC", None, "Headwater 0.1.0"),
        (),
        Authority(waiver="应急处置，来不及报批"),
        (),
        Plan((), (), (), (), (), ()),
        (),
        Ledger((), None, None),
        (),
        Text("未记载", "not recorded"),
        (), (), (), (), (), (), (), (), (), (), (), (),
    )  # fmt: skip


def hostile() -> ReportData:
    """The rich case with hostile strings wherever evidence or a person's words can reach."""
    base = rich()
    findings = list(base.findings)
    timeline = []
    for n, bad in enumerate(HOSTILE):
        span = Span(1, f"p2!/tmp/{bad[:300]}", n * 10, 10)
        findings.append(
            replace(
                base.findings[1],
                rule=replace(base.findings[1].rule, author=bad, title=Text("标题" + bad[:200], "Title " + bad[:200])),
                text=Text("引用：" + bad, "quoted: " + bad),
                spans=(Citation(span, 1_772_424_151_000_000_000 + n, {"command_line": bad, bad[:60]: bad[:500]}),),
                user=bad[:200],
                host=bad[:200],
                facts={"x": bad[:100]},
                id=f"finding-hostile-{n}",
            )
        )
        timeline.append(
            replace(
                base.timeline[0], id=event_id(1, bad, n), summary=bad, path=bad, user=bad, recorded=bad[:100], steps=()
            )
        )
    steps = [
        replace(
            base.steps[0],
            id=f"step-hostile-{n}",
            actor=bad,
            asset=bad,
            technique=bad[:40],
            findings=(f"finding-hostile-{n}",),
        )
        for n, bad in enumerate(HOSTILE)
    ]
    return replace(
        base,
        title=replace(base.title, name=HOSTILE[0], case_no=HOSTILE[7], client=HOSTILE[10]),
        authority=Authority(waiver=HOSTILE[1] + HOSTILE[8]),
        findings=tuple(findings),
        timeline=(*base.timeline, *timeline),
        steps=(*base.steps, *steps),
        evidence=(replace(base.evidence[0], name=HOSTILE[10], source=HOSTILE[17]), base.evidence[1]),
        hashes=tuple(HashRow(Text("类别", "kind"), bad, 1, sha(bad)) for bad in HOSTILE),
        incomplete=tuple(Incomplete(1, bad, bad[:80]) for bad in HOSTILE),
        extra_cites=(HOSTILE[2],),
    )
