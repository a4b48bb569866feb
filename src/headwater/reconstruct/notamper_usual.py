# SPDX-License-Identifier: Apache-2.0
"""What a running system writes by itself: places by name, and why. Applies only while the system is shown to have run.

A place here explains a time after T0, not a content: that its files are what their programs left is not claimed. Logs
are not here; they are explained only by their own lines (see :mod:`headwater.reconstruct.notamper_logs`). Sources:
file-hierarchy(7), systemd.unit(5), tmpfiles.d(5), logrotate(8), the packages' own manuals.
"""

from __future__ import annotations

from headwater.model.nouns import Text

PLACES: tuple[tuple[str, Text], ...] = (
    (r"^/(?:var/)?(?:run|tmp)(?:/|$)|^/(?:proc|sys|dev)(?:/|$)",
     Text("运行时与临时文件", "run-time and temporary files")),
    (r"^/var/lib/(?:systemd|private/systemd|logrotate|logrotate\.status|misc|urandom|random-seed|alternatives/\.lock)(?:/|$)",
     Text("systemd 与 logrotate 的状态", "state of systemd and logrotate")),
    (r"^/var/lib/(?:NetworkManager|dhcp|dhclient|dhcpcd|chrony|ntp|ntpsec|systemd/timesync)(?:/|$)",
     Text("网络租约与时钟漂移", "leases and clock drift")),
    (r"^/var/lib/(?:apt|dnf|yum|PackageKit|snapd|update-notifier|ubuntu-advantage|unattended-upgrades|command-not-found)(?:/|$)"
     r"|^/var/cache(?:/|$)",
     Text("软件源的定时更新与缓存", "timed refresh of package lists; caches")),
    (r"^/var/lib/(?:mlocate|plocate|man-db|dbus|polkit-1|AccountsService|upower|fwupd|colord)(?:/|$)",
     Text("定时索引与桌面服务", "timed indexes and desktop services")),
    (r"^/var/spool(?:/|$)|^/var/lib/(?:postfix|exim4|rsyslog|fail2ban|sudo|nfs|samba)(?:/|$)",
     Text("队列与服务状态", "queues and state of services")),
    (r"^/var/lib/(?:mysql|mariadb|pgsql|postgresql|redis|mongodb|rabbitmq|elasticsearch|etcd|clickhouse|influxdb|grafana)(?:/|$)",
     Text("数据库自身的写入", "a database's own writes")),
    (r"^/var/lib/(?:docker|containerd|kubelet|containers|lxc|libvirt|cni)(?:/|$)",
     Text("容器与虚拟化运行时", "container and virtualisation run-times")),
    (r"^/var/lib/php/sessions?(?:/|$)|^/var/lib/(?:tomcat\d*|jetty\d*)/(?:work|temp)(?:/|$)",
     Text("应用服务器的会话与工作文件", "sessions and work files of application servers")),
    (r"^/etc/(?:adjtime|mtab|resolv\.conf|\.pwd\.lock|ld\.so\.cache|cni(?:/|$))",
     Text("系统自行维护的 /etc 文件", "files in /etc that the system keeps itself")),
    (r"^/var/log/journal(?:/|$)|^/var/log/(?:lastlog|faillog|tallylog|btmp|wtmp|sa|sysstat|private)(?:/|$)",
     Text("系统日志服务的自身写入", "the logging services' own writes")),
    (r"^/(?:swapfile|swap\.img|lost\+found)$|^/\$OrphanFiles$",
     Text("交换区与文件系统自身", "swap and the file system itself")),
    (r"(?i)^/(?:pagefile|swapfile|hiberfil)\.sys$|^/\$(?:Extend|LogFile|MFT|MFTMirr|Bitmap|Secure|Volume)(?:[:/]|$)",
     Text("Windows 页面文件与 NTFS 元数据", "Windows paging files and NTFS metadata")),
    (r"(?i)^/Windows/(?:System32/(?:winevt/Logs|LogFiles|config|sru|wdi|Tasks|spool)|Prefetch|Temp|SoftwareDistribution"
     r"|ServiceProfiles|Logs|appcompat|ServiceState)(?:/|$)|^/ProgramData/Microsoft(?:/|$)|^/System Volume Information(?:/|$)",
     Text("Windows 自身的日志、注册表与维护", "Windows' own logs, registry and upkeep")),
    (r"(?i)^/Users/[^/]+/(?:NTUSER\.DAT|AppData/Local/Microsoft)",
     Text("用户配置单元与本机缓存", "user hives and local caches")),
)  # fmt: skip
# records whose own lines explain their times; login records among them
LOGS = r"^/var/log/|^/www/wwwlogs/|\.log$|^/var/lib/docker/containers/[^/]+/[^/]+-json\.log$"
ROTATED = r"(?:[.-]\d{1,8}(?:-\d+)?)(?:\.(?:gz|xz|bz2|zst))?$|\.old$|\.1$"
