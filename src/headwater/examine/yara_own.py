# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 (texts of rules)
"""YARA rules of our own: few, each for what has next to no honest use on a server, with both languages in its description.

They name tools by what their authors write into them (module paths, default keys, messages), and what runs a request or
connects a shell to the network by its code. Their budget is no match in the files of an ordinary installation.
``stage`` and ``technique`` are those of model/kinds and of MITRE ATT&CK (https://attack.mitre.org/).
"""

from __future__ import annotations

OWN_RULES = r"""
rule php_runs_request
{
    meta:
        author = "Headwater"
        description = "PHP 代码执行请求中的内容 · PHP that runs what a request says"
        severity = "high" stage = "persistence" technique = "T1505.003"
    strings:
        $tag = /<\?(php|PHP|=)/
        $run = /\b(eval|assert|system|exec|shell_exec|passthru|popen|proc_open|create_function)\s{0,4}\(\s{0,4}(@?\s{0,2}(base64_decode|str_rot13|gzinflate|gzuncompress|trim|stripslashes|urldecode)\s{0,4}\(\s{0,4}){0,4}@?\$_(POST|GET|REQUEST|COOKIE)\b/ nocase
        $call = /@?\$_(POST|GET|REQUEST|COOKIE)\s{0,4}\[[^\]]{1,40}\]\s{0,4}\(\s{0,4}@?\$_(POST|GET|REQUEST|COOKIE)\b/ nocase
    condition:
        $tag and ($run or $call) and filesize < 2MB
}

rule jsp_runs_request
{
    meta:
        author = "Headwater"
        description = "JSP 代码执行请求中的命令 · JSP that runs the command of a request"
        severity = "high" stage = "persistence" technique = "T1505.003"
    strings:
        $tag = "<%"
        $parameter = /request\s{0,4}\.\s{0,4}get(Parameter|Header)\s{0,4}\(/
        $run = /(getRuntime\s{0,4}\(\s{0,4}\)\s{0,4}\.\s{0,4}exec\s{0,4}\(|new\s{1,4}ProcessBuilder\s{0,4}\()/
    condition:
        $tag and $parameter and $run and filesize < 512KB
}

rule aspx_runs_request
{
    meta:
        author = "Headwater"
        description = "ASP 代码执行请求中的内容 · ASP that runs what a request says"
        severity = "high" stage = "persistence" technique = "T1505.003"
    strings:
        $tag = "<%"
        $run = /\b(eval|execute|executeglobal)\s{0,4}\(?\s{0,4}request\s{0,4}(\.\s{0,2}(item|form|querystring)\b|[(\[]\s{0,2}["'])/ nocase
    condition:
        $tag and $run and filesize < 512KB
}

rule webshell_default_keys
{
    meta:
        author = "Headwater"
        description = "冰蝎或哥斯拉网页后门（默认密钥） · a Behinder or Godzilla web shell with its default key"
        severity = "critical" stage = "persistence" technique = "T1505.003"
    strings:
        $behinder = "e45e329feb5d925b"
        $godzilla = "3c6e0b8a9c15224a"
        $use1 = "openssl_decrypt" nocase
        $use2 = "defineClass"
        $use3 = "AES" fullword
        $use4 = "Assembly" fullword
        $use5 = "eval" fullword
    condition:
        any of ($behinder, $godzilla) and any of ($use*) and filesize < 512KB
}

rule webshell_families
{
    meta:
        author = "Headwater"
        description = "已知网页后门 · a known web shell"
        severity = "high" stage = "persistence" technique = "T1505.003"
    strings:
        $php = "<?php" $asp = "<%@" $short = "<?="
        $a = "FilesMan" fullword $b = "b374k" $c = "c99shell" $d = "r57shell" $e = "Georg says, 'All seems fine'"
        $f = "p0wny" $g = "p0wny@shell" $h = "antSword"
    condition:
        any of ($php, $asp, $short) and any of ($a, $b, $c, $d, $e, $f, $g, $h) and filesize < 1MB
}

rule coin_miner_program
{
    meta:
        author = "Headwater"
        description = "挖矿程序 · a coin miner"
        severity = "high" stage = "exfiltration-encryption" technique = "T1496"
    strings:
        $pool = "stratum+"
        $a = "donate-level" $b = "cryptonight" $c = "randomx" $d = "xmrig" $e = "mining.subscribe" $f = "nicehash"
        $g = "RandomX" $h = "XMRig" $i = "CryptoNight" $j = "kdevtmpfsi"
    condition:
        (uint32be(0) == 0x7f454c46 or uint16be(0) == 0x4d5a) and
        ($j or ($pool and 2 of ($a, $b, $c, $d, $e, $f, $g, $h, $i)))
}

rule coin_miner_config
{
    meta:
        author = "Headwater"
        description = "挖矿程序的配置或启动脚本 · the configuration or start script of a coin miner"
        severity = "high" stage = "exfiltration-encryption" technique = "T1496"
    strings:
        $pool = /stratum\+(tcp|ssl|tls):\/\/[\w.-]{4,80}:\d{2,5}/
        $pools = "\"pools\"" $donate = "\"donate-level\"" $url = "\"url\""
        $option = /--(donate-level|coin|rig-id|algo)[= ]/
    condition:
        filesize < 256KB and uint32be(0) != 0x7f454c46 and (($pools and $donate and $url) or ($pool and $option))
}

rule reverse_shell_script
{
    meta:
        author = "Headwater"
        description = "反弹 shell 脚本 · a script that connects a shell to the network"
        severity = "high" stage = "lateral-outbound" technique = "T1059.004"
    strings:
        $bash = /\b(ba|z|da)?sh\s{1,4}-i\s{0,4}(>|<|[0-9]>)[&>]{0,2}\s{0,4}\/dev\/(tcp|udp)\/[\w.-]{1,80}\/\d{1,5}/
        $fifo = /mkfifo\s[^\n]{1,60}\|\s{0,4}\/bin\/(ba)?sh\s{1,4}-i[^\n]{0,20}\|\s{0,4}(nc|ncat|openssl)\s/
        $nc = /\b(nc|ncat)(\.traditional)?\s[^\n|;]{0,40}-e\s{0,4}\/bin\/(ba)?sh/
        $python1 = "socket.SOCK_STREAM" $python2 = /os\.dup2\(\s{0,2}\w{1,8}\.fileno\(\)\s{0,2},\s{0,2}[012]\s{0,2}\)/ $python3 = /(pty\.spawn|subprocess\.(call|run|Popen))\(\s{0,2}\[?["']\/bin\/(ba)?sh/
        $perl1 = "use Socket" $perl2 = /open\(STDIN,\s{0,2}">&\w{1,4}"\)/ $perl3 = /exec\(?\s{0,2}["'{]+\/bin\/(ba)?sh/
        $php1 = "fsockopen(" $php2 = /(proc_open|shell_exec|exec|popen)\s{0,4}\([^\n]{0,40}\/bin\/(ba)?sh\s-i/
    condition:
        filesize < 256KB and uint32be(0) != 0x7f454c46 and ($bash or $fifo or $nc or all of ($python*) or all of ($perl*) or all of ($php*))
}

rule script_fetches_and_runs
{
    meta:
        author = "Headwater"
        description = "从网络地址下载并执行的脚本 · a script that fetches from an address and runs it"
        severity = "high" stage = "exploitation" technique = "T1105"
    strings:
        $pipe = /\b(curl|wget)\s[^\n|;]{0,120}https?:\/\/\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}[^\n|;]{0,120}\|\s{0,4}(sudo\s{1,4})?(\/bin\/)?(ba|da)?sh\b/
    condition:
        uint16be(0) == 0x2321 and filesize < 256KB and $pipe
}

rule tunnel_or_scanner
{
    meta:
        author = "Headwater"
        description = "隧道、代理、扫描或远控工具 · a tool for tunnels, proxies, scanning or remote control"
        severity = "high" stage = "lateral-outbound" technique = "T1572"
    strings:
        $a = "github.com/fatedier/frp/" $b = "github.com/jpillora/chisel" $c = "github.com/ginuerzh/gost"
        $d = "github.com/go-gost/" $e = "ehang-io/nps" $f = "EddieIvan01/iox" $g = "Dliv3/Venom"
        $h = "ph4ntonn/Stowaway" $i = "zema1/suo5" $j = "shadow1ng/fscan" $k = "lcvvvv/kscan"
        $l = "bishopfox/sliver" $m = "Mob2003/rakshasa" $n = "inconshreveable/ngrok" $o = "esrrhs/pingtunnel"
        $p = "nicocha30/ligolo" $q = "kost/revsocks" $r = "lcx_tran" $s = "metasploit/mettle" $t = "chaitin/xray"
    condition:
        (uint32be(0) == 0x7f454c46 or uint16be(0) == 0x4d5a) and any of them
}

rule hiding_library_or_module
{
    meta:
        author = "Headwater"
        description = "隐藏进程或文件的库或内核模块 · a library or kernel module that hides processes or files"
        severity = "critical" stage = "anti-forensics" technique = "T1014"
    strings:
        $module1 = "diamorphine" nocase $module2 = "khook_" $module3 = "module_hide" $module4 = "hide_pid"
        $sys = "vermagic="
        $lib1 = "/proc/self/fd/%d\x00" $lib2 = "/proc/%s/stat\x00" $lib3 = "readdir" $lib4 = "dlsym"
        $name1 = "libprocesshider" $name2 = "process_to_filter"
    condition:
        uint32be(0) == 0x7f454c46 and filesize < 2MB and
        (($sys and any of ($module*)) or all of ($lib*) or any of ($name*))
}

rule privilege_tool
{
    meta:
        author = "Headwater"
        description = "提权或取口令工具 · a tool for raising privileges or taking passwords"
        severity = "high" stage = "privilege-escalation" technique = "T1068"
    strings:
        $pkexec1 = "GCONV_PATH=." $pkexec2 = "pkexec"
        $peas = "carlospolop/PEASS-ng" nocase
        $suggester = "linux-exploit-suggester" $kernel = "/proc/sys/kernel/osrelease"
        $mimikatz1 = "sekurlsa::" ascii wide $mimikatz2 = "lsadump::" ascii wide
        $penguin = "mimipenguin"
        $lazagne = "lazagne.softwares"
    condition:
        filesize < 32MB and (all of ($pkexec*) or $peas or all of ($mimikatz*) or $penguin or $lazagne or ($suggester and $kernel))
}

rule bot_program
{
    meta:
        author = "Headwater"
        description = "僵尸网络程序 · a program of a botnet"
        severity = "critical" stage = "lateral-outbound" technique = "T1498"
    strings:
        $mirai1 = "/bin/busybox MIRAI" $mirai2 = "TSource Engine Query"
        $tsunami = "NOTICE %s :TSUNAMI <target> <secs>"
        $xorddos = "BB2FA36AAA9541F0"
        $gafgyt1 = "LOLNOGTFO" $gafgyt2 = "BOGOMIPS"
    condition:
        uint32be(0) == 0x7f454c46 and filesize < 8MB and ($mirai1 or $tsunami or $xorddos or all of ($gafgyt*) or all of ($mirai*))
}

rule ransom_note
{
    meta:
        author = "Headwater"
        description = "勒索说明 · a ransom note"
        severity = "critical" stage = "exfiltration-encryption" technique = "T1486"
    strings:
        $said1 = /your\s{1,2}(important\s{1,2})?(files|data|documents|servers?|network)\s{1,2}(have|has|are|were|is)\s{1,2}(been\s{1,2})?(encrypted|locked|stolen)/ nocase ascii wide
        $said2 = /(您|你)(的)?(所有)?(重要)?(文件|数据|服务器)(已|已经)?(被)?(全部)?加密/
        $pay1 = ".onion" ascii wide $pay2 = "bitcoin" nocase ascii wide $pay3 = "btc" nocase fullword ascii wide
        $pay4 = /decrypt(or|er|ion)\s{1,2}(key|tool|software|your|program)/ nocase ascii wide $pay5 = "比特币" $pay6 = "解密"
        $pay7 = /(protonmail|tutanota|onionmail|cock\.li)/ nocase ascii wide
    condition:
        filesize < 64KB and uint32be(0) != 0x7f454c46 and any of ($said*) and any of ($pay*)
}
"""
