# SPDX-License-Identifier: Apache-2.0
"""Errors that nginx, Apache and lighttpd logged, and their starts and stops (web.error).

Reads:  /var/log/{nginx,apache2,httpd,lighttpd}/*error*, /www/wwwlogs/*error*; or content that looks like error lines.
Time:   the server's wall clock without an offset; Apache 2.4 states microseconds.
Format: nginx's error_log; Apache's ErrorLogFormat as 2.2 and 2.4 have it by default; lighttpd's errorlog.
Limits: the further lines of a message of several lines are gaps; paths, requests and headers are the client's words, and
        where these imitate nginx's own ``, client: `` no address is taken; the peer may be a proxy.
"""

from __future__ import annotations

from headwater.examine.web_errors import ERROR, error_share

FEED = "web.error"
VERSION = 2
READS = (
    "/var/log/nginx/*error*",
    "/var/log/apache2/*error*",
    "/var/log/httpd/*error*",
    "/var/log/lighttpd/*error*",
    "/usr/local/nginx/logs/*error*",
    "/www/wwwlogs/*error*",
    "/www/server/nginx/logs/*error*",
    "/www/server/apache/logs/*error*",
)
GRAMMAR = ERROR


def recognise(head: bytes) -> bool:
    return error_share(head) >= 0.6
