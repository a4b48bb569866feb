# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501, S108 (a table of patterns: one row per trait reads better than wrapped text)
"""The closed table of suspicious command traits: what a command line says by itself.

A *strong* trait has next to no everyday use on a server; a *weak* one is everyday work that an intruder does as well,
and counts only beside a strong one. Techniques are MITRE ATT&CK ids (https://attack.mitre.org/).
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.model.kinds import Stage

# Set by code, not by this pattern: a transfer whose other end is an outside address (commands.py).
_BY_ADDRESS = r"(?!)"
# Set by code: what stands encoded in the command has traits of its own (decoding.py).
_BY_CODE = r"(?!)"
_FETCH = r"(?:curl|wget|fetch|lwp-download)\b"
_SHELL = r"(?:/bin/|/usr/bin/)?(?:ba|da|z|k|a)?sh\b"
_RUNNER = rf"(?:{_SHELL}|python[\d.]*\b|perl\b|php\b)"
_TEMP = r"(?:/tmp/|/var/tmp/|/dev/shm/)"
# Folders in which ordinary tools keep programs: environments of Python, Node, Rust and Ruby, acme.sh, Ansible, editors, process managers.
_TOOLS = r"acme\.sh[\"'/]|ansible/|venv/|virtualenvs?/|tox/|nvm/|npm-global/|yarn/|bun/|deno/|pm2/|pyenv/|poetry/|cargo/|rustup/|rbenv/|rvm/|asdf/|sdkman/|dotnet/|vscode-server/|cursor-server/|jenkins/|m2/|gradle/|oh-my-zsh/|linuxbrew/"
_HIDDEN = rf"(?:/tmp|/var/tmp|/dev/shm|/var/[a-z]+|/usr/(?:local/)?[a-z]+|/usr/local|/usr|/etc|/opt|/srv|/root|/home/[\w.-]+)/(?:[\w.-]+/)*\.(?!ssh/|cache/|config/|local/|npm/|git\b|bash|profile|vim|gnupg/|viminfo|my\.cnf|wget-hsts|X11-unix|ICE-unix|font-unix|XIM-unix|{_TOOLS})[\w.-]+"
_SECURITY_LOG = r"/var/log/(?:(?:auth\.log|secure|wtmp|btmp|audit/audit\.log)(?:\.\d+(?:\.gz)?)?|lastlog|faillog|audit|messages|syslog|journal)(?=[\s;&|'\"/*]|$)"

_DISK = r"/dev/(?:[shv]d[a-z]|xvd[a-z]|nvme\d|mmcblk\d|mapper/|md\d|disk/by-)"
_START = r"(?:^|[;&|(`]\s*|\b(?:do|then|sudo|exec|xargs)\s+(?:-\S{1,20}\s+){0,4}|/s?bin/)"
# What takes a disk's content or its structure away, up to the disk that it names. Gaps are bounded: a hostile line costs its length.
_WIPES = (
    rf"{_START}(?:mkfs(?:\.\w+)?|mke2fs|blkdiscard|wipefs\b[^;&|]{{0,80}}\s(?:-\w*a|--all)|sgdisk\b[^;&|]{{0,80}}\s(?:-\w*[zZ]|--zap)\S*|shred|wipe"
    r"|hdparm\b[^;&|]{0,80}--security-erase\S*|nvme\s+(?:format|sanitize)|cryptsetup\s+(?:-\S+\s+){0,4}(?:luksErase|erase)|badblocks\b[^;&|]{0,80}\s-\w*w\w*"
    r"|dd\b[^;&|]{0,80}\bif=/dev/(?:zero|u?random)\b)(?=\s)[^;&|]{0,120}?"
)
# Chains that container engines, orchestrators and virtual machines fill themselves.
_ENGINE_CHAINS = r"(?![^;&|]{0,80}\s(?:-[ACDIN]|--append|--insert|--check|--delete)\s+(?:DOCKER|KUBE-|CNI|cali-|LIBVIRT_|ISTIO|FLANNEL|NETAVARK|f2b-))"


@dataclass(frozen=True, slots=True)
class Trait:
    name: str
    strong: bool
    stage: Stage
    technique: str
    zh: str
    en: str
    pattern: str


TRAITS: tuple[Trait, ...] = (
    # --- control from outside, tools
    Trait("reverse-shell", True, Stage.SPREAD, "T1059.004", "反弹 shell", "a reverse shell",
          rf"/dev/(?:tcp|udp)/[\w.$-]+/\d+|/inet/(?:tcp|udp)/\d+/[\w.$-]+/\d+|\b(?:nc|ncat|netcat)\b[^|;&]*\s-(?:\w*[ec])\s*{_SHELL}|\b(?:ba|z|)sh\s+-i\b[^;]*[>&|]"
          rf"|mkfifo\b.*\b(?:nc|ncat|netcat|telnet|openssl)\b|\bsocat\b.*\bexec:|\bimport\s+socket\b.*\b(?:pty|subprocess|dup2)\b"
          rf"|\bperl\b.*\bSocket\b.*\bexec\b|\bphp\b.*\bfsockopen\b|\bTCPSocket\b.*\bexec\b"),
    Trait("download-run", True, Stage.EXPLOIT, "T1105", "从网络地址下载并直接执行", "downloads from an address and runs it",
          rf"{_FETCH}[^|;&]*(?:https?|ftp)://(?:\d{{1,3}}\.){{3}}\d{{1,3}}[^|;&]*\|\s*(?:sudo\s+)?{_RUNNER}"
          rf"|{_RUNNER}[^|;&]*(?:<\(|\$\(|`)\s*{_FETCH}[^)`]*(?:\d{{1,3}}\.){{3}}\d{{1,3}}"
          rf"|{_FETCH}.*{_TEMP}.*(?:chmod\s+\S*[x7]|{_SHELL}\s+{_TEMP})"),
    Trait("download-pipe", False, Stage.EXPLOIT, "T1105", "下载内容直接交给解释器执行", "pipes a download into an interpreter",
          rf"{_FETCH}[^|;&]*\|\s*(?:sudo\s+)?{_RUNNER}|{_RUNNER}[^|;&]*(?:<\(|\$\(|`)\s*{_FETCH}"),
    Trait("download-temp", False, Stage.EXPLOIT, "T1105", "下载文件至临时目录", "downloads into a temporary directory",
          rf"{_FETCH}[^|;&]*\s(?:-o|-O|-P|--output|>)\s*{_TEMP}|cd\s+(?:/tmp|/var/tmp|/dev/shm)\b.*{_FETCH}"),
    Trait("encoded-run", True, Stage.EXPLOIT, "T1027", "解码后直接执行", "decodes text and runs it",
          rf"base64\s+(?:-d|-D|--decode)\b[^;&]*\|\s*(?:sudo\s+)?{_RUNNER}|xxd\s+-r\b[^;&]*\|\s*{_RUNNER}"
          rf"|\beval\s+[\"']?\$\(\s*(?:echo|printf)[^)]*\|\s*base64"),
    Trait("encoded-command", True, Stage.EXPLOIT, "T1027.010", "以编码隐藏的可疑命令", "a suspicious command hidden by encoding", _BY_CODE),
    Trait("hidden-run", True, Stage.PERSIST, "T1564.001", "隐藏目录或 /dev/shm 中的程序", "a program in a hidden directory or in /dev/shm",
          rf"(?:^|[;&|(]\s*|\b(?:sudo|nohup|setsid|exec|sh|bash|chmod\s+\S+|python3?|perl)\s+|ExecStart=)(?:-c\s+)?[\"']?(?:{_HIDDEN}|/dev/shm/[\w./-]+)"),
    Trait("trap-run", True, Stage.PERSIST, "T1546.005", "以 shell 信号陷阱运行隐藏位置的程序", "runs a program of a hidden place by a shell's trap",
          rf"(?:^|[;&|]\s*)trap\s+(?:--\s+)?[\"']?(?:{_HIDDEN}|{_TEMP}[\w./-]+)"),
    Trait("temp-run", False, Stage.EXPLOIT, "T1059.004", "临时目录中的程序", "a program in a temporary directory",
          rf"(?:^|[;&|(]\s*|\b(?:sudo|nohup|setsid|exec|sh|bash|chmod\s+\S+|python3?|perl)\s+)[\"']?{_TEMP}[\w./-]+"),
    Trait("memory-run", True, Stage.COVER, "T1620", "从内存文件（memfd、/proc/…/fd）运行程序", "runs a program from memory (memfd, /proc/…/fd)",
          r"\bmemfd_create\s*\(|\bsyscall\s*\(\s*(?:319|279)\s*,"
          r"|(?:^|[;&|(`]\s*|\b(?:sudo|nohup|setsid|exec|ld-linux[\w.-]*)\s+)[\"']?/proc/(?:self|\$\$|\$\{?\w+\}?|\d+)/fd/\d+(?!\d)(?!\s+init\b)"),
    Trait("miner", True, Stage.IMPACT, "T1496", "挖矿程序", "a coin miner",
          r"\b(?:xmrig|minerd|cpuminer|kdevtmpfsi|kinsing|ccminer|cgminer|xmr-stak)\b|stratum\+(?:tcp|ssl)://"),
    Trait("tunnel", True, Stage.SPREAD, "T1572", "隧道或代理工具", "a tunnel or proxy tool",
          r"(?:^|[\s/;&|])(?:frpc|chisel|gost|npc|earthworm|ew_for_linux\w*|iox|venom_agent|stowaway|ngrok|reGeorg)(?=[\s;&|]|$)"),
    Trait("ssh-tunnel", False, Stage.SPREAD, "T1572", "SSH 端口转发", "an SSH tunnel", r"\bssh\b[^;&|]*\s-\w*[RD]\s*[\w.:*]+"),
    Trait("redirect-outside", True, Stage.SPREAD, "T1090", "把连接转发至外部地址", "forwards connections to an outside address", _BY_ADDRESS),
    Trait("port-reuse", True, Stage.SPREAD, "T1205", "按特征把服务端口的连接转至 SSH", "turns connections to another service's port to SSH",
          r"\bip6?tables\b(?=[^;&]{0,160}(?:--dport\s+(?:80|443|3306|8080|8443)\b|-m\s+(?:string|recent|bpf|u32)\b))[^;&]{0,300}REDIRECT\b[^;&]{0,40}--to-ports?\s+22\b"
          r"|\bnft\b[^&]{0,160}\bdport\s+(?:80|443|3306|8080|8443)\b[^&]{0,80}\bredirect\s+to\s+:?22\b"),
    Trait("redirect", False, Stage.SPREAD, "T1090", "转发或重定向连接", "forwards or redirects connections",
          rf"\bip6?tables\b{_ENGINE_CHAINS}[^;&]{{0,300}}\s(?:-j|--jump)\s+(?:REDIRECT|DNAT)\b|\bnft\b(?![^&]{{0,160}}\b(?:DOCKER|KUBE-|netavark|libvirt))[^&]{{0,240}}\b(?:redirect|dnat)\s"
          r"|\bfirewall-cmd\b[^;&|]{0,160}--add-forward-port|\bsocat\b[^;|]{0,80}\blisten:[^;|]{0,80}\s(?:tcp|udp|openssl|ssl)\w{0,12}:"),
    # --- privilege
    Trait("suid-shell", True, Stage.ESCALATE, "T1548.001", "给 shell 或临时文件设置 SUID", "sets SUID on a shell or a temporary file",
          rf"\bchmod\s+(?:[ugoa]*\+\w*s\w*|[2467][0-7]{{3}})\s+\S*(?:{_TEMP}|/(?:ba|da|z|)sh\b|/\.|/find\b|/vim\b|/python)"
          rf"|\bcp\s+(?:-\w+\s+)*\S*/(?:ba|da|z|)sh\s+\S*(?:{_TEMP}|/\.)"),
    Trait("uid0-account", True, Stage.PERSIST, "T1136.001", "建立 UID 0 账户", "makes an account with UID 0",
          r"\b(?:useradd|adduser|usermod)\b[^;&|]{0,300}\s(?:-\w{0,8}o\w{0,8}\b[^;&|]{0,200}-u\s*0\b|-u\s*0\b|-\w{0,8}ou\s*0\b|--uid[ =]0\b)"),
    Trait("account-file", True, Stage.PERSIST, "T1136.001", "直接改写账户文件", "writes into the account files",
          r">>?\s*/etc/(?:passwd|shadow|group|sudoers)(?=[\s;&|'\"]|$)|\btee\s+(?:-a\s+)?/etc/(?:passwd|shadow|sudoers)(?=[\s;&|'\"]|$)|\bsed\s+-i\S*\s.*/etc/(?:passwd|shadow)\b"),
    Trait("sudoers-write", False, Stage.PERSIST, "T1548.003", "写入 sudoers 免密规则", "writes a sudoers rule without password",
          r"NOPASSWD:.*(?:>>?|\btee\b).*/etc/sudoers|/etc/sudoers.*NOPASSWD"),
    Trait("exploit-tool", True, Stage.ESCALATE, "T1068", "提权工具", "a privilege-escalation tool",
          # a CVE in brackets is prose: Debian's init script of Samba says "samba will not start (CVE-2013-4475)"
          r"\b(?:linpeas|linenum|les\.sh|linux-exploit-suggester|dirtycow|dirtypipe|pwnkit|pkexec[-_]?exploit)\b|(?:^|[^(\w])CVE-20\d\d-\d{4,}\b"),
    Trait("account-add", False, Stage.PERSIST, "T1136.001", "建立账户", "makes an account", r"(?:^|[;&|]\s*|\bsudo\s+|/s?bin/)(?:useradd|adduser)\s"),
    Trait("domain-account", False, Stage.PERSIST, "T1136.002", "在域中建立账户", "makes an account in a domain",
          r"\bsamba-tool\s+user\s+(?:create|add)\s|\bipa\s+user-add\s|\bnet\s+(?:ads|rpc)\s+user\s+add\s|\bsmbldap-useradd\s|\bldapadd\s"),
    Trait("group-admin", False, Stage.PERSIST, "T1098", "把账户加入管理员组", "puts an account into an administrators' group",
          r"\b(?:usermod|gpasswd|adduser)\b[^;&|]*\b(?:sudo|wheel|admin|root)\b"),
    # --- persistence
    Trait("preload", True, Stage.PERSIST, "T1574.006", "写入 ld.so.preload", "writes ld.so.preload",
          r"(?:>>?|\btee\b|\b(?:cp|mv|ln|vim?|nano|chattr)\b)[^;&|]*/etc/ld\.so\.preload"),
    Trait("container-escape", True, Stage.ESCALATE, "T1611", "以容器改写主机", "reaches the host by way of a container",
          r"\b(?:docker|podman|nerdctl)\s+run\b[^;&|]*(?:-v|--volume|--mount)[= ]\S*/:/\S*[^;&|]*\bchroot\b|\bnsenter\b[^;&|]*(?:-t\s*1|--target[= ]1)\b"),
    Trait("kernel-module", True, Stage.PERSIST, "T1547.006", "从临时或隐藏目录装载内核模块", "loads a kernel module from a temporary or hidden place",
          rf"\binsmod\s+\S*(?:{_TEMP}|/\.|^\./)\S*|\b(?:insmod|modprobe)\s+\S*(?:diamorphine|reptile|suterusu|kovid|brokepkg|puszek|nurupo)"),
    Trait("chattr-hide", True, Stage.PERSIST, "T1222.002", "锁定后门文件", "locks a backdoor file",
          rf"\bchattr\s+\+\w*[ia]\w*\s+[^;&|]*(?:cron|authorized_keys|ld\.so\.preload|/etc/passwd|/etc/shadow|{_TEMP}|/\.\w)"),
    Trait("no-sleep", False, Stage.PERSIST, "T1653", "禁止系统休眠", "keeps the system from sleeping",
          r"\bsystemctl\s+mask\s+[^;&|]{0,80}\b(?:sleep|suspend|hibernate)\.target|\bsystemd-inhibit\s[^;&|]{0,80}(?:sleep|idle)"),
    Trait("chattr", False, Stage.PERSIST, "T1222.002", "修改文件不可变属性", "changes the immutable attribute", r"\bchattr\s+[+-]\w*[ia]"),
    Trait("cron-write", False, Stage.PERSIST, "T1053.003", "写入计划任务", "writes a scheduled task",
          r"(?:>>?|\btee\b(?:\s+-a)?)\s*\S*/(?:etc/cron[\w.]*|var/spool/cron)\S*|\|\s*crontab\s+-(?=[\s\"']|$)|\bcrontab\s+(?:-u\s+\S+\s+)?[/.\w]+(?=\s*$)"),
    Trait("unit-write", False, Stage.PERSIST, "T1543.002", "写入 systemd 单元或启动脚本", "writes a systemd unit or start-up script",
          r"(?:>>?|\btee\b(?:\s+-a)?|\b(?:cp|mv|install)\b[^;&|]*)\s*/(?:etc|lib|usr/lib)/systemd/system/\S+|(?:>>?|\btee\b(?:\s+-a)?)\s*/etc/(?:rc\.local|init\.d/|profile)"),
    Trait("key-write", False, Stage.PERSIST, "T1098.004", "写入 authorized_keys", "writes authorized_keys",
          r"(?:>>?|\btee\b(?:\s+-a)?)\s*\S*authorized_keys"),
    # --- covering tracks
    Trait("history-off", True, Stage.COVER, "T1070.003", "关闭或清除命令历史", "switches off or clears the shell history",
          r"\bunset\s+HIST(?:FILE|SIZE|ORY)?\b|\bHISTFILE=(?:/dev/null|['\"]{2}|\s|$)|\bHIST(?:FILE)?SIZE=0\b|\bset\s+\+o\s+history\b|\bhistory\s+-[cw]*c"
          r"|\b(?:rm|shred|truncate|unlink)\b[^;&|]*\.(?:bash|zsh|sh)_history|(?:^|[^>])>\s*\S*\.(?:bash|zsh)_history|/dev/null\s+\S*\.(?:bash|zsh)_history|\bsed\s+-i\S*\s[^;&|]*\.(?:bash|zsh)_history"),
    Trait("log-destroy", True, Stage.COVER, "T1070.002", "删除或清空安全日志", "deletes or empties security logs",
          rf"\b(?:rm|shred|truncate|unlink|srm|wipe)\b[^;&|]*{_SECURITY_LOG}|(?:^|[^>])>\s*{_SECURITY_LOG}|\bdd\b[^;&|]*of={_SECURITY_LOG}"
          rf"|\bsed\s+-i\S*\s[^|;&]*{_SECURITY_LOG}|\butmpdump\s+-r\b|\b(?:cp|ln\s+-\w+)\s+/dev/null\s+{_SECURITY_LOG}"
          r"|\brm\s+-\w*[rf]\w*\s+/var/log(?:/\*)?(?=[\s;&|]|$)|\bjournalctl\b[^;&|]*--vacuum-(?:time=\d+(?:s|sec|m|min)\b|size=\d{1,2}[KM]?\b(?!\d|G))"),
    Trait("log-delete", False, Stage.COVER, "T1070.002", "删除或清空日志", "deletes or empties logs",
          r"\b(?:rm|shred|truncate)\b[^;&|]*/var/log/\S+|(?:^|[^>])>\s*/var/log/\S+"),
    Trait("shred", False, Stage.COVER, "T1070.004", "粉碎文件", "shreds files", r"(?:^|[;&|]\s*|\bsudo\s+)(?:shred|srm|wipe)\s"),
    Trait("timestomp", False, Stage.COVER, "T1070.006", "改写文件时间", "sets file times", r"\btouch\s+(?:-\w+\s+)*-\w*[rdt]\w*\s"),
    Trait("defence-off", False, Stage.COVER, "T1562.004", "关闭防火墙或强制访问控制", "switches off a firewall or mandatory access control",
          r"\bsetenforce\s+(?:0|[Pp]ermissive)\b|\bsystemctl\s+(?:stop|disable|mask)\s+(?:--now\s+)?(?:firewalld|ufw|nftables|iptables|apparmor)\b"
          r"|\bservice\s+(?:firewalld|ufw|iptables|apparmor)\s+stop\b|\bufw\s+(?:--force\s+)?disable\b|\biptables\s+(?:-F|--flush)\s*(?=[;&|]|$)"),
    Trait("agent-kill", True, Stage.COVER, "T1562.001", "停用审计、日志或主机防护", "stops auditing, logging or host protection",
          r"\bsystemctl\s+(?:stop|disable|mask)\s+(?:--now\s+)?(?:auditd|rsyslog|syslog|systemd-journald|aegis|falcon-sensor|wazuh-agent)(?:\.service)?\b"
          r"|\bservice\s+(?:auditd|rsyslog|syslog|aegis)\s+stop\b"
          r"|\bauditctl\s+(?:-e\s*0|-D)\b|aegis_?(?:uninstall|quartz)|uninstall\S*(?:aegis|cloudmonitor|qcloud)|\bkillall\s+(?:-9\s+)?(?:AliYunDun|YDService|aegis|auditd|rsyslogd)"),
    # --- credentials, scanning, spreading
    Trait("credentials", True, Stage.SPREAD, "T1003.008", "读取口令散列或私钥", "reads password hashes or private keys",
          r"\b(?:cat|cp|less|more|head|tail|base64|xxd|strings|grep|awk|tar|scp|curl|nc)\b[^;&|]*/etc/(?:g?shadow-?)(?=[\s;&|'\"]|$)|\bunshadow\b|(?:^|[\s/;&|])(?:john|hashcat|mimipenguin|lazagne)(?:\.\w{1,3})?(?=\s|$)"
          r"|\b(?:cat|cp|base64|tar|scp)\s[^;&|]*/\.ssh/id_(?:rsa|dsa|ecdsa|ed25519)(?!\.pub)\b|\b(?:cat|cp|base64)\s[^;&|]*/\.(?:aws/credentials|kube/config|docker/config\.json|pgpass)"),
    Trait("process-memory", True, Stage.SPREAD, "T1003.007", "读取登录进程的内存或输入", "reads the memory or the input of a login process",
          r"\b(?:gcore|gdb|strace|ltrace)\b[^;&]*\b(?:sshd|login|gdm\w*|gnome-keyring\w*)\b"),
    Trait("key-search", False, Stage.SPREAD, "T1552.004", "查找私钥或凭据文件", "looks for private keys or credentials",
          r"\bfind\s[^;&|]*-i?name\s+\S*(?:id_(?:rsa|dsa|ecdsa|ed25519)|\.ppk|credentials|\.kdbx|\.pgpass)"
          r"|169\.254\.169\.254/\S*(?:security-credentials|/token)|100\.100\.100\.200/\S*(?:security-credentials|ram/)"),
    Trait("remote-tool", True, Stage.SPREAD, "T1021.002", "远程执行工具", "a tool for running commands on other hosts",
          r"\bimpacket-\w+|(?:^|[\s/;&|])(?:psexec|wmiexec|smbexec|atexec|secretsdump|crackmapexec|netexec|nxc|evil-winrm)(?:\.py)?(?=[\s;&|]|$)"),
    Trait("scan", True, Stage.SPREAD, "T1046", "扫描网络或猜解口令", "scans a network or guesses passwords",
          r"(?:^|[\s/;&|])(?:masscan|zmap|fscan|hydra|medusa|ncrack|kscan|goby|rustscan|nbtscan)(?=\s|$)|(?:^|[\s/;&|])nmap\b(?![^;&|]*(?:localhost|127\.0\.0\.1|--version))"
          r"|\b(?:nc|ncat|netcat)\b[^;&|]*\s-\w*z\w*\b[^;&|]*\d+-\d+|\bfor\s+\w+\s+in\b[^#]*\b(?:nc|ncat|netcat)\s+-\w*z|\bfor\s+\w+\s+in\b[^;]*(?:\{\d+\.\.\d+\}|seq\b)[^#]*\b(?:ping|nc|ssh|/dev/tcp)\b"),
    Trait("ssh-password", False, Stage.SPREAD, "T1021.004", "命令行口令 SSH", "SSH with a password on the command line", r"\bsshpass\s"),
    Trait("ssh-out", False, Stage.SPREAD, "T1021.004", "SSH 登录其他主机", "SSH to another host",
          r"(?:^|[;&|]\s*|\bsudo\s+)ssh\s+(?:-\w+(?:\s+(?!-)[\w./=@-]+)?\s+)*(?:[\w.-]+@)?[\w][\w.-]*"),
    # --- impact
    Trait("exfiltrate-dns", True, Stage.IMPACT, "T1048.003", "经域名查询外传数据", "sends data out by name queries",
          r"\b(?:while|for)\b.*\b(?:dig|nslookup|host)\s[^;|]{0,80}?\$\{?\w{1,64}\}?\."),
    Trait("exfiltrate", True, Stage.IMPACT, "T1048", "向外部地址传出文件", "sends files to an outside address", _BY_ADDRESS),
    Trait("transfer", False, Stage.IMPACT, "T1048", "向另一主机传出文件", "sends files to another host",
          r"\bcurl\b[^;|]*\s(?:-T|--upload-file|--data-binary\s+@|-d\s+@|-F\s+\S+=@)|\b(?:nc|ncat|netcat)\b[^;|]*<\s*\S+|\|\s*(?:nc|ncat|netcat|ssh|curl)\s"
          r"|\bscp\s[^;|&]*\s(?:[\w.-]+@)?[\w.-]+:\S*\s*$|\brsync\s[^;|&]*\s(?:[\w.-]+@)?[\w.-]+:\S*\s*$|\bwget\b[^;|]*--post-file|\b(?:rclone|megaput|lftp|ftp|tftp)\s"),
    Trait("archive-temp", False, Stage.IMPACT, "T1560.001", "把数据打包到临时或隐藏位置", "packs data into a temporary or hidden place",
          rf"\b(?:tar|zip|7za?|rar)\s[^;&|]*(?:{_TEMP}|/\.\w)[\w./-]*\.(?:t?gz|tar|zip|7z|rar|bz2|xz)\S*|\b(?:mysqldump|pg_dump(?:all)?|mongodump)\b[^;&]*(?:>|-o|--out|-f)\s*\S*(?:{_TEMP}|/\.\w)"),
    Trait("encrypt-files", True, Stage.IMPACT, "T1486", "批量加密或改名文件", "encrypts or renames files in bulk",
          r"\b(?:find|for|while|xargs)\b.*(?:\b(?:openssl\s+(?:enc|aes)|gpg\b[^;|]{0,200}(?:-c|--symmetric|-e|--encrypt))\b|xor\b|crypt)"
          r"|\b(?:find|for)\b.*\bmv\s[^;|&]{0,120}\.(?:encrypted|locked|enc|crypt\w*|lock)\b"),
    Trait("destroy", True, Stage.IMPACT, "T1485", "销毁磁盘或整个系统的数据", "destroys the data of a disk or of the whole system",
          r"\brm\s[^;&|]*--no-preserve-root|\brm\s+-\w*r\w*\s+(?:-\w+\s+)*/\*?(?=[\s;&|'\"]|$)"),
    Trait("destroy-disk", True, Stage.IMPACT, "T1561.002", "破坏系统盘或多块磁盘", "destroys the system's disk or several disks",
          rf"{_WIPES}\s(?:of=)?/dev/(?:[\$\{{]|(?:[sv]d|xvd|nvme)(?:[*?\[{{]|\$|\d{{1,2}}n?[*?])|(?:[shv]da|xvda|nvme0n1)(?=[\s;&|'\"]|$))"
          rf"|{_WIPES}\s{_DISK}\w{{0,12}}\s+{_DISK}|\b(?:for|while)\s[^#]{{0,80}}/dev/(?:[sv]d|xvd|nvme|disk)[^#]{{0,40}}{_WIPES}|\b(?:lsblk|fdisk)\s[^#]{{0,80}}\|[^#]{{0,40}}{_WIPES}"
          r"|(?:^|[^>])>\s{0,4}/dev/(?:[shv]d[a-z]|xvd[a-z]|nvme\d)"),
    Trait("wipe-disk", False, Stage.IMPACT, "T1561.001", "覆写、格式化或清除磁盘", "overwrites, formats or clears a disk",
          rf"{_WIPES}\s(?:of=)?{_DISK}"),
    Trait("drop-database", False, Stage.IMPACT, "T1485", "删除数据库", "drops a database",
          r"(?i:\bmysql\b[^|]*\bdrop\s+database\b|\bpsql\b[^|]*\bdrop\s+database\b|\bdropdb\s|dropDatabase\(\))"),
    Trait("backup-destroy", True, Stage.IMPACT, "T1490", "删除备份", "deletes backups",
          r"\brm\s+-\w*[rf]\w*\s+\S*(?:/backups?|/srv/backup|/var/backups)(?:/\*)?(?=[\s;&|]|$)|\bshred\b[^;&|]*backup|\b(?:lvremove|btrfs\s+subvolume\s+delete|zfs\s+destroy)\b[^;&|]*(?:snap|backup)"),
)  # fmt: skip

# Literals of which at least one stands in every command that any trait matches: the first, cheap sieve.
SIEVE: tuple[str, ...] = (
    "curl", "wget", "fetch", "lwp-", "/dev/tcp", "/dev/udp", "nc ", "ncat", "netcat", "sh -i", "mkfifo", "socat", "socket", "fsockopen", "base64",
    "xxd", "/dev/shm", "/.", "/tmp", "xmr", "miner", "kdevtmpfsi", "kinsing", "stratum", "frpc", "chisel", "gost", "npc", "earthworm", "ew_for",
    "iox", "venom", "stowaway", "ngrok", "regeorg", "ssh", "chmod", "useradd", "adduser", "usermod", "gpasswd", "/etc/passwd", "/etc/shadow", "gshadow",
    "/etc/group", "sudoers", "linpeas", "linenum", "les.sh", "exploit", "dirtycow", "dirtypipe", "pwnkit", "cve-20", "ld.so.preload", "insmod", "chattr",
    "cron", "systemd", "rc.local", "init.d", "/etc/profile", "authorized_keys", "hist", "/var/log", "shred", "srm ", "wipe", "touch", "systemctl",
    "service", "auditctl", "aegis", "cloudmonitor", "qcloud", "killall", "unshadow", "john", "hashcat", "mimipenguin", "lazagne", ".aws", ".kube", ".docker", ".pgpass",
    "masscan", "zmap", "fscan", "hydra", "medusa", "ncrack", "kscan", "goby", "rustscan", "nbtscan", "nmap", "ping", "scp", "rsync", "rclone", "mega",
    "ftp", "openssl", "gpg", "crypt", "xor", ".lock", ".enc", "backup", "snap", "utmpdump", "dump", "vacuum", "gcore", "gdb", "strace", "ltrace", "name ", "169.254.169.254",
    "100.100.100.200", "impacket", "exec", "secretsdump", "nxc", "evil-winrm", "dig ", "nslookup", "host ", "rm ", "dd ", "blkdiscard", "drop", "docker",
    "podman", "nerdctl", "nsenter", "setenforce", "ufw", "iptables", "modprobe", "/inet/", "mkfs", "mke2fs", "sgdisk", "hdparm", "nvme", "cryptsetup", "badblocks", "/dev/sd", "/dev/vd", "/dev/xvd", "ip6tables", "nft ",
    "firewall-cmd", "samba-tool", "ipa ", "net ", "ldap", "memfd", "syscall", "/proc/",
)  # fmt: skip
