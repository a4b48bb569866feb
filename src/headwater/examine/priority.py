# SPDX-License-Identifier: Apache-2.0
"""Which files are read first, so that a large image tells of its intruder within a minute.

First come the records of logins, commands and requests, and the places where an intruder stays: small, and most telling.
Logs larger than ``SOON`` wait, since one of them would hold up all the others. What comes first changes no result: every
file is read in the end, and events are told in the order of time and place.
"""

from __future__ import annotations

from headwater.formats.patterns import lazy_regex

SOON = 64 << 20  # bytes of one file; several hundred thousand lines, a few seconds

_FIRST = lazy_regex(
    r"""(?ix) \A (?: .*! )? (?:
        /var/log/ (?: secure | auth | wtmp | btmp | utmp | lastlog | faillog | audit/ | cron | messages | syslog | sudo
            | nginx/ | apache2/ | httpd/ | tomcat | journal/ ) .*
      | /www/wwwlogs/ .* | /www/server/panel/ (?: logs | data ) / .*
      | /etc/ (?: passwd | shadow | group | sudoers | crontab | cron\. | anacrontab | rc | init\.d/ | profile | ssh/
            | ld\.so\.preload | pam\.d/ | systemd/system/ | hosts | localtime ) .*
      | /var/spool/ (?: cron | at ) .* | /usr/local/lib/systemd/ .*
      | (?: /root | /home/[^/]+ ) / \. [^/]+ (?: /authorized_keys | /known_hosts )?
      | /windows/system32/winevt/logs/ (?: security | system | application | microsoft-windows-(?: powershell | taskscheduler
            | terminalservices | windows\ defender | sysmon | winrm | wmi-activity ) | windows\ powershell ) .*
      | /windows/system32/config/ (?: sam | security | software | system ) .* | /windows/system32/tasks/ .*
      | /inetpub/logs/ .* | /users/[^/]+/ntuser\.dat .*
    ) \Z"""
)


def first(path: str, size: int) -> bool:
    """Whether a file of ``size`` bytes at this path (with or without the layers before it) is read before the others."""
    return size <= SOON and _FIRST.match(path) is not None
