# SPDX-License-Identifier: Apache-2.0
"""Requests as nginx, Apache and 宝塔 sites logged them (web.access).

Reads:  /var/log/{nginx,apache2,httpd}/*access*, /www/wwwlogs/*; or content that looks like access lines.
Time:   the time of the log format with its offset, whole seconds; nginx logs when the answer was sent, Apache when asked.
Format: common, combined, vhost_combined, with X-Forwarded-For or more behind (mod_log_config, ngx_http_log_module).
Limits: the peer may be a proxy; what a header says is the client's word; error documents of a site are not seen.
"""

from __future__ import annotations

from headwater.examine.web_lines import ACCESS, access_share

FEED = "web.access"
VERSION = 1
READS = (
    "/var/log/nginx/*access*",
    "/var/log/apache2/*access*",
    "/var/log/httpd/*access*",
    "/var/log/lighttpd/*access*",
    "/usr/local/nginx/logs/*access*",
    "/www/wwwlogs/*access*",
    "/www/wwwlogs/*.com.log",
    "/www/wwwlogs/*.cn.log",
    "/www/wwwlogs/*.net.log",
    "/www/wwwlogs/*.org.log",
    "/access.log",
    "/access_log",
)
GRAMMAR = ACCESS


def recognise(head: bytes) -> bool:
    return access_share(head) >= 0.6
