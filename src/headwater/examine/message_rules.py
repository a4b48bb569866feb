# SPDX-License-Identifier: Apache-2.0
"""What the texts of system messages mean: one table of rules, read by :mod:`headwater.examine.messages`.

A rule holds where the process is one of its names (none: any process) and the whole text fits its pattern; the first that
holds wins. Named groups become columns: header columns by their name, the rest own fields; at least one group of a pattern
that has groups takes part in every match. Patterns keep to what both Rust's regex and Python's ``re`` read alike. An
``src_ip`` that is no address is moved to ``rhost``. A name in a message is the peer's choice: it is taken greedily up to the
last place where the rest still fits, so that a user name "root from 1.2.3.4" is not read as an address.

Sources: the messages' own programs: OpenSSH auth.c, packet.c, sshd.c; Linux-PAM pam_unix; sudo logging.c; shadow; cron;
systemd; each text was taken from logs or from the program's message strings.
"""

from __future__ import annotations

from headwater.examine.message_pam import PAM_PHRASES, PAM_RULES
from headwater.examine.message_rule import MessageRule, phrase
from headwater.examine.message_ssh import ATTEMPTS_PHRASES, DROPBEAR_RULES, SFTP_RULES, SSH_PHRASES, SSH_RULES
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome

_OK, _NO = Outcome.SUCCESS, Outcome.FAILURE
_CRON = ("cron", "crond", "anacron", "crontab", "fcron", "cronie")
_SHADOW = (
    *("useradd", "userdel", "usermod", "groupadd", "groupdel", "groupmod", "adduser", "passwd", "chpasswd", "chage"),
    *("chfn", "chsh", "gpasswd", "newusers", "vipw", "groupmems", "newgrp"),
)
_LOGIND_FIRST = (  # since systemd 256; before the phrase that would take it
    MessageRule(("systemd-logind",), "New session '",
    r"New session '(?P<session>[^']*)' of user '(?P<user>.*)' with class '.*' and type '.*'\.",
    K.LOG_MESSAGE),
)  # fmt: skip
_OTHER_PHRASES = (
    phrase(
        ("sudo",), "{user} : TTY={tty} ; PWD={pwd} ; USER={target_user} ; COMMAND={command_line*}", K.PRIVILEGE_USE, _OK
    ),
    phrase(("systemd-logind",), "New session {session} of user {user*}.", K.LOG_MESSAGE),
)
_SUDO_TAIL = (
    r"(?:HOST=\S+ ; )?(?:TTY=(?P<tty>.*?) ; )?(?:CHROOT=.*? ; )?PWD=(?P<pwd>.*?) ; (?:USER=(?P<target_user>.*?) ; )?"
    r"(?:GROUP=(?P<group>.*?) ; )?(?:TSID=\S+ ; )?(?:ENV=.*? ; )?COMMAND=(?P<command_line>.*)"
)
_DENIED = (
    r"user NOT in sudoers|user NOT authorized on host|command not allowed|a password is required|[0-9]+ incorrect "
    r"password attempts?|no tty present and no askpass program specified|sorry, .*?|conversation failed|.*?not allowed.*?"
)
_POLKIT = ("polkitd", "polkitd(authority=local)")
_SUBJECT = r"\S+(?: \[(?P<command_line>.*)\])? \(owned by unix-user:(?P<user>.*)\)"
_PRIVILEGE_RULES = (
    MessageRule(("sudo",), "", rf"(?P<user>\S.*?) : {_SUDO_TAIL}", K.PRIVILEGE_USE, _OK),
    MessageRule(("sudo",), "", rf"(?P<user>\S.*?) : (?P<reason>{_DENIED}) ; {_SUDO_TAIL}", K.PRIVILEGE_DENIED, _NO),
    MessageRule(("su",), "", r"\(to (?P<target_user>.*)\) (?P<user>\S+) on (?P<tty>\S+)", K.PRIVILEGE_USE, _OK),
    MessageRule(("su",), "", r"FAILED SU \(to (?P<target_user>.*)\) (?P<user>\S+) on (?P<tty>\S+)", K.PRIVILEGE_DENIED, _NO),
    MessageRule(("su",), "", r"Successful su for (?P<target_user>.*) by (?P<user>\S+)", K.PRIVILEGE_USE, _OK),
    MessageRule(("su",), "", r"FAILED su for (?P<target_user>.*) by (?P<user>\S+)", K.PRIVILEGE_DENIED, _NO),
    # the second line that Debian's old su writes for the same act: the fields, but not another act
    MessageRule(("su",), "", r"[-+] (?P<tty>\S+) (?P<user>[^:]+):(?P<target_user>\S+)", K.LOG_MESSAGE),
    MessageRule(("pkexec",), "", r"(?P<user>\S+): Executing command \[USER=(?P<target_user>[^\]]*)\] \[TTY=(?P<tty>[^\]]*)\] "
    r"\[CWD=(?P<pwd>[^\]]*)\] \[COMMAND=(?P<command_line>.*)\]", K.PRIVILEGE_USE, _OK),
    MessageRule(("pkexec",), "", r"(?P<user>\S+): (?P<reason>.*?) \[USER="
    r"(?P<target_user>[^\]]*)\] \[TTY=(?P<tty>[^\]]*)\] \[CWD=(?P<pwd>[^\]]*)\] \[COMMAND=(?P<command_line>.*)\]",
    K.PRIVILEGE_DENIED, _NO),
    # polkit: polkitbackendinteractiveauthority.c
    MessageRule(_POLKIT, "Operator of ", r"Operator of \S+ successfully authenticated as unix-user:(?P<target_user>\S+) to gain \S+ "
    rf"authorization for action (?P<reason>\S+) for {_SUBJECT}", K.PRIVILEGE_USE, _OK),
    MessageRule(_POLKIT, "Operator of ", r"Operator of \S+ FAILED to authenticate to gain authorization for action (?P<reason>\S+) for "
    rf"{_SUBJECT}", K.PRIVILEGE_DENIED, _NO),
    MessageRule(("doas",), "", r"(?P<user>\S+) ran command (?P<command_line>.*) as (?P<target_user>\S+) from (?P<pwd>.*)",
    K.PRIVILEGE_USE, _OK),
    MessageRule(("doas",), "", r"(?:failed|command not permitted) .*for (?P<user>\S+): (?P<command_line>.*)", K.PRIVILEGE_DENIED, _NO),
)  # fmt: skip

_ACCOUNT_RULES = (
    MessageRule(_SHADOW, "", r"new user: name=(?P<target_user>.*?), UID=(?P<uid>[0-9]+), GID=(?P<gid>[0-9]+), home=(?P<home>.*?), "
    r"shell=(?P<shell>.*?)(?:, from=(?P<tty>.*))?", K.ACCOUNT_CREATE, _OK),
    MessageRule(_SHADOW, "", r"failed adding user '(?P<target_user>.*)', (?P<reason>.*)", K.ACCOUNT_CREATE, _NO),
    MessageRule(_SHADOW, "", r"delete user '(?P<target_user>.*)'", K.ACCOUNT_DELETE, _OK),
    MessageRule(_SHADOW, "", r"(?:new group: |group added to \S+: |group changed in \S+ .*)name=(?P<group>[^,]*)(?:, GID=(?P<gid>[0-9]+))?",
    K.GROUP_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"(?P<reason>add|delete) '(?P<target_user>.*)' (?:to|from) (?:shadow )?group '(?P<group>.*)'",
    K.GROUP_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"user (?P<target_user>\S+) (?P<reason>added|removed) by (?P<by_user>\S+) (?:to|from) group (?P<group>\S+)",
    K.GROUP_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"members of group (?P<group>\S+) (?P<reason>set) by (?P<by_user>\S+) to (?P<target_user>.*)",
    K.GROUP_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"removed (?:shadow )?group '(?P<group>[^']*)'(?: owned by '(?P<target_user>[^']*)')?", K.GROUP_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"group '(?P<group>[^']*)' removed(?: from .*)?", K.GROUP_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"change user '(?P<target_user>.*?)' shell from '.*' to '(?P<shell>.*)'", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"change user '(?P<target_user>.*?)' home from '.*' to '(?P<home>.*)'", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"change user '(?P<target_user>.*?)' UID from '[0-9]+' to '(?P<uid>[0-9]+)'", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"change user '(?P<target_user>.*?)' GID from '[0-9]+' to '(?P<gid>[0-9]+)'", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"(?P<reason>change|lock|unlock) user '(?P<target_user>.*?)'.*", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"password for '(?P<target_user>.*)' changed by '(?P<by_user>.*)'", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"changed (?P<reason>password expiry) for (?P<target_user>.*)", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"changed user '(?P<target_user>.*)' shell to '(?P<shell>.*)'", K.ACCOUNT_CHANGE, _OK),
    MessageRule(_SHADOW, "", r"changed user '(?P<target_user>.*)' (?P<reason>information)", K.ACCOUNT_CHANGE, _OK),
)  # fmt: skip

_CRON_RULES = (
    phrase(_CRON, "({user}) CMD ({command_line*})", K.SCHEDULE_RUN),
    MessageRule(_CRON, "(", r"\((?P<user>[^)]*)\) CMD \((?P<command_line>.*)\)", K.SCHEDULE_RUN),
    MessageRule(_CRON, "(", r"\((?P<by_user>[^)]*)\) (?P<reason>REPLACE|DELETE) \((?P<user>[^)]*)\)", K.SCHEDULE_CHANGE),
    MessageRule(_CRON, "(", r"\((?P<by_user>[^)]*)\) (?P<reason>BEGIN EDIT|END EDIT|LIST) \((?P<user>[^)]*)\)", K.LOG_MESSAGE),
    # cron has read a table anew because it changed, whoever wrote it: the only trace of one written past crontab(1)
    MessageRule(_CRON, "(", r"\((?P<by_user>[^)]*)\) (?P<reason>RELOAD) \((?P<file_path>[^)]*)\)", K.SCHEDULE_CHANGE),
    MessageRule(_CRON, "(", r"\((?P<by_user>[^)]*)\) (?P<reason>AUTH) \(crontab command not allowed\)", K.SCHEDULE_CHANGE, _NO),
    MessageRule(_CRON, "(", r"\(CRON\) (?P<reason>STARTUP) \(.*\)", K.SERVICE_START),
    MessageRule(("run-parts",), "(", r"\((?P<file_path>[^)]*)\) starting (?P<command_line>.*)", K.SCHEDULE_RUN),
    *(
        MessageRule((f"run-parts({folder})",), "starting ", r"starting (?P<command_line>.*)", K.SCHEDULE_RUN, None, {"file_path": folder})
        for folder in ("/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly")
    ),
    MessageRule(("atd",), "Starting job ", r"Starting job (?P<reason>[0-9]+ \([0-9a-f]+\)) for user '(?P<user>.*)' \((?P<uid>[0-9]+)\)",
    K.SCHEDULE_RUN),
    MessageRule(("anacron",), "", r"Job `(?P<command_line>.*)' started", K.SCHEDULE_RUN),
)  # fmt: skip

_LOGIN_RULES = (
    MessageRule(("systemd-logind",), "", r"New session (?P<session>\S+) of user (?P<user>.*)\.", K.LOG_MESSAGE),
    MessageRule(("systemd-logind",), "", r"(?:Removed session|Session) (?P<session>[^ .]+)(?: logged out.*|\.)",
    K.LOG_MESSAGE),
    MessageRule(("systemd-logind",), "", r"System is (?P<reason>rebooting|powering down|halting).*", K.SYSTEM_SHUTDOWN),
    MessageRule(("login",), "", r"FAILED LOGIN \(?[0-9]+\)? (?:on '(?P<tty>.*)' |FROM (?P<src_ip>\S+) )?FOR '?(?P<user>.*?)'?, "
    r"(?P<reason>.*)", K.AUTH_FAILURE, _NO, {"method": "password"}),
    MessageRule(("login",), "", r"ROOT LOGIN +(?:on|ON) '?(?P<tty>[^' ]*)'?(?: FROM (?P<src_ip>\S+))?", K.AUTH_SUCCESS, _OK,
    {"user": "root"}),
    MessageRule(("login",), "", r"LOGIN ON (?P<tty>\S+) BY (?P<user>\S+)(?: FROM (?P<src_ip>\S+))?", K.AUTH_SUCCESS, _OK),
    MessageRule(("ftpd", "in.ftpd", "telnetd", "in.telnetd", "rshd", "rlogind"), "", r"connect(?:ion)? from (?P<src_ip>\S+)"
    r"(?: \((?P<rhost>[^)]*)\))?.*", K.NETWORK_CONNECTION),
    MessageRule(("ftpd",), "", r"ANONYMOUS FTP LOGIN FROM (?P<src_ip>[^\s,]+),.*", K.AUTH_SUCCESS, _OK, {"user": "anonymous"}),
    MessageRule(("klogind",), "", r"Authentication failed from (?P<rhost>\S+) \((?P<src_ip>[^)]*)\): (?P<reason>.*)", K.AUTH_PROBE, _NO),
    MessageRule(("postfix/smtpd", "postfix/submission/smtpd", "postfix/smtps/smtpd"), "", r"warning: (?P<rhost>[^\[]*)"
    r"\[(?P<src_ip>[^\]]+)\]: SASL (?P<method>\S+) authentication failed: (?P<reason>.*)", K.AUTH_FAILURE, _NO),
)  # fmt: skip

# Texts of Postfix 3.7 (smtpd.c) and Dovecot 2.3 (login-common). What a peer calls itself stands
# before its address in brackets: the last pair of brackets in which only an address fits is the address.
_SMTPD = ("postfix/smtpd", "postfix/submission/smtpd", "postfix/smtps/smtpd")
_PEER = r"(?P<rhost>[^\[\]]*)\[(?P<src_ip>[^\]]+)\]"
_DOVECOT = r"(?:imap|pop3|managesieve|submission)-login: (?:Info: )?"
_MAIL_RULES = (
    MessageRule(_SMTPD, "connect from ", rf"connect from {_PEER}", K.NETWORK_CONNECTION),
    MessageRule(_SMTPD, "NOQUEUE: ", rf"NOQUEUE: (?:reject|warn|hold): \S+ from {_PEER}: (?P<reason>.*)",
    K.LOG_MESSAGE, _NO),
    MessageRule(_SMTPD, "", rf"[0-9A-Za-z]+: client={_PEER}, sasl_method=(?P<method>[^,]+), sasl_username=(?P<user>\S+).*",
    K.AUTH_SUCCESS, _OK, {"service": "smtp"}),
    MessageRule(_SMTPD, "", rf"[0-9A-Za-z]+: client={_PEER}.*", K.NETWORK_CONNECTION),
    MessageRule(("dovecot",), "", rf"{_DOVECOT}Login: user=<(?P<user>.*?)>, method=(?P<method>\S+), rip=(?P<src_ip>[^,\s]+).*",
    K.AUTH_SUCCESS, _OK, {"service": "dovecot"}),
    MessageRule(("dovecot",), "", rf"{_DOVECOT}(?:Disconnected|Aborted login)[^(]*\((?P<reason>[^)]*auth failed[^)]*)\): "
    r"user=<(?P<user>.*?)>,(?: method=(?P<method>[^,]+),)? rip=(?P<src_ip>[^,\s]+).*", K.AUTH_FAILURE, _NO, {"service": "dovecot"}),
    MessageRule(("dovecot",), "", rf"{_DOVECOT}(?P<reason>.*?): user=<.*>,.* rip=(?P<src_ip>[^,\s]+).*", K.AUTH_PROBE),
)  # fmt: skip

_PACKET = (
    r"IN=(?P<in_interface>\S*) (?:OUT=(?P<out_interface>\S*) )?.*SRC=(?P<src_ip>\S+) DST=(?P<dst_ip>\S+) "
    r".*PROTO=(?P<protocol>\S+)(?: SPT=(?P<port>[0-9]+) DPT=(?P<dst_port>[0-9]+))?.*"
)
_UNIT = r"\S+\.(?:service|timer|socket|mount|automount|swap|scope|slice|path|target|device)"
_UPTIME = r"(?:\[ *[0-9.]+\] ?)?"
_SYSTEM_RULES = (
    MessageRule(("kernel",), "", rf"{_UPTIME}\[UFW (?P<reason>BLOCK|LIMIT BLOCK)\] {_PACKET}", K.FIREWALL_BLOCK, _NO),
    MessageRule(("kernel",), "", rf"{_UPTIME}(?P<reason>[^=\[\]]*(?i:drop|block|reject|denied)[^=]*?) ?{_PACKET}", K.FIREWALL_BLOCK, _NO),
    MessageRule(("kernel",), "", rf"{_UPTIME}(?P<reason>(?:\[UFW [A-Z ]+\]|[^=\[\]]*?)) ?{_PACKET}", K.NETWORK_CONNECTION),
    MessageRule(("kernel",), "", rf"{_UPTIME}(?P<reason>Linux version \S+) .*", K.SYSTEM_BOOT),
    MessageRule(("kernel",), "", rf"{_UPTIME}reboot: (?P<reason>.*)", K.SYSTEM_SHUTDOWN),
    MessageRule(("kernel",), "", r".*", K.KERNEL_MESSAGE),
    # since systemd 249 the unit's name stands before its description
    MessageRule(("systemd",), "Started ", rf"Started (?P<unit>{_UNIT}) - .*", K.SERVICE_START, _OK),
    MessageRule(("systemd",), "Stopped ", rf"Stopped (?P<unit>{_UNIT}) - .*", K.SERVICE_STOP),
    MessageRule(("systemd",), "Failed to start ", rf"Failed to start (?P<unit>{_UNIT}) - .*", K.SERVICE_FAILURE, _NO),
    # what a timer starts mostly runs once and is told by its end
    MessageRule(("systemd",), "Finished ", rf"(?P<reason>Finished) (?P<unit>{_UNIT}) - .*", K.SERVICE_START, _OK),
    MessageRule(("systemd",), "Finished ", r"(?P<reason>Finished) (?P<unit>.*?)\.?", K.SERVICE_START, _OK),
    MessageRule(("systemd",), "Starting ", rf"(?P<reason>Starting) (?P<unit>{_UNIT}) - .*", K.LOG_MESSAGE),
    MessageRule(("systemd",), "Starting ", r"(?P<reason>Starting) (?P<unit>.*?)\.*", K.LOG_MESSAGE),
    MessageRule(("systemd",), "Started ", r"Started (?P<unit>.*?)\.?", K.SERVICE_START, _OK),
    MessageRule(("systemd",), "Stopped ", r"Stopped (?P<unit>.*?)\.?", K.SERVICE_STOP),
    MessageRule(("systemd",), "", r"(?P<unit>\S+): Failed with result '(?P<reason>.*)'\.", K.SERVICE_FAILURE, _NO),
    MessageRule(("systemd",), "Failed to start ", r"Failed to start (?P<unit>.*?)\.?", K.SERVICE_FAILURE, _NO),
    MessageRule(("systemd",), "", rf"(?P<unit>{_UNIT}): (?P<reason>Main process exited, code=.*)", K.SERVICE_FAILURE, _NO),
    MessageRule(("systemd",), "", rf"(?P<unit>{_UNIT}): (?P<reason>Succeeded|Deactivated successfully)\.", K.LOG_MESSAGE),
    MessageRule(("systemd",), "", r"systemd (?P<reason>\S+) .*running in system mode.*", K.SYSTEM_BOOT),
    MessageRule(("systemd",), "Reached target ", r"Reached target (?P<unit>.*(?i:shutdown|reboot|power-?off|halt).*?)\.?",
    K.SYSTEM_SHUTDOWN),
    MessageRule(("systemd",), "", r"(?P<reason>Time has been changed)", K.SYSTEM_TIME),
    MessageRule(("systemd-timedated",), "Changed ", r"Changed (?P<reason>(?:time zone|local time) to .*)", K.SYSTEM_TIME),
    MessageRule(("chronyd",), "", r"System clock was stepped by (?P<reason>.*)", K.SYSTEM_TIME),
    MessageRule(("ntpd", "ntpdate", "sntp"), "", r"(?:step time server|time reset) (?P<reason>.*)", K.SYSTEM_TIME),
    MessageRule(("rsyslogd",), "", r".*\] (?P<reason>start)", K.SERVICE_START),
    MessageRule(("rsyslogd",), "", r".*(?P<reason>exiting on signal 15)\.?", K.SERVICE_STOP),
    MessageRule(("shutdown",), "", r"shutting down for (?P<reason>.*)", K.SYSTEM_SHUTDOWN),
    MessageRule((), "syslogd ", r"syslogd (?P<reason>[0-9][^ ]*): restart.*", K.SERVICE_START),
    MessageRule((), "last message", r"last message repeated (?P<repeat>[0-9]+) times", K.LOG_MESSAGE),
)  # fmt: skip

# The order matters only among rules of one process; those for any process come behind those of a process.
RULES = (
    *SSH_PHRASES,
    *ATTEMPTS_PHRASES,
    *_LOGIND_FIRST,
    *_OTHER_PHRASES,
    *SSH_RULES,
    *SFTP_RULES,
    *DROPBEAR_RULES,
    *_PRIVILEGE_RULES,
    *_ACCOUNT_RULES,
    *_CRON_RULES,
    *_LOGIN_RULES,
    *_MAIL_RULES,
    *_SYSTEM_RULES,
    *PAM_PHRASES,
    *PAM_RULES,
)
