# SPDX-License-Identifier: Apache-2.0
"""Requests as nginx, Apache and 宝塔 sites logged them (web.access).

Reads:  /var/log/{nginx,apache2,httpd}/*access*, /www/wwwlogs/*; a log that the servers' configuration names; or content
        that looks like access lines, JSON too.
Time:   the time of the log format with its offset, whole seconds; nginx logs when the answer was sent, Apache when asked.
Format: common, combined, vhost_combined, with X-Forwarded-For or more behind (mod_log_config, ngx_http_log_module); else
        what log_format and LogFormat in the image's own configuration say; JSON objects with recognisable keys.
Limits: a format that states no request is a gap, of one without a time the rows have none; lines written before the
        configuration was changed or lost may be gaps; the peer may be a proxy; what a header says is the client's word;
        error documents of a site are not seen.
"""

from __future__ import annotations

from collections.abc import Mapping

from headwater.examine.lines import LineGrammar
from headwater.examine.log_formats import STANDARD, Format, declared, own_fields, shape_of
from headwater.examine.web_json import json_shape, json_share, keys_of
from headwater.examine.web_lines import access_share
from headwater.examine.web_quick import ACCESS_SHAPES
from headwater.examine.web_values import FIELDS, HEADERS
from headwater.model.paths import file_layer
from headwater.model.records import File, own_column

FEED = "web.access"
VERSION = 3
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
CONTEXT = (
    "/etc/nginx/**",
    "/usr/local/etc/nginx/**",
    "/usr/local/nginx/conf/**.conf",
    "/usr/local/openresty/nginx/conf/**.conf",
    "/etc/tengine/**.conf",
    "/www/server/nginx/conf/**.conf",
    "/www/server/panel/vhost/nginx/*.conf",
    "/etc/apache2/**",
    "/etc/httpd/**.conf",
    "/usr/local/apache2/conf/**.conf",
    "/www/server/apache/conf/**.conf",
    "/www/server/panel/vhost/apache/*.conf",
)
GRAMMAR = LineGrammar(shapes=(*ACCESS_SHAPES, json_shape({})), own=FIELDS)


def grammar_for(file: File) -> LineGrammar | None:
    """The grammar of a file by the configuration of its system; None where that states none but the usual formats."""
    if not file.facts.context:
        return None
    stated = declared(file.facts.context)
    forms = [form for form in stated.formats if form.text not in STANDARD]
    if not forms:
        return None
    mine = stated.of(file_layer(file.path))
    if mine in forms:
        forms.remove(mine)
        forms.insert(0, mine)
    shapes = [shape for form in forms if not form.json and (shape := shape_of(form)) is not None]
    # what the configuration says of this very log comes before the usual formats, whose rest it would be
    first = shapes[:1] if mine is not None and forms[0] is mine and not mine.json and shape_of(mine) else []
    keys: dict[str, str] = {}
    for form in reversed([form for form in forms if form.json]):
        keys |= keys_of(form)
    return LineGrammar(shapes=(*first, *ACCESS_SHAPES, json_shape(keys), *shapes[len(first) :]), own=_own(forms))


def _own(forms: list[Format]) -> dict[str, object]:
    own: dict[str, object] = dict(FIELDS)
    for form in forms:
        for name, dtype in own_fields(form).items():
            if name not in HEADERS:
                own.setdefault(own_column(name), dtype)
    return own


def named_by(path: str, context: Mapping[str, str]) -> bool:
    """Whether the configuration of the system names this log."""
    return declared(context).named(path) is not None


def recognise(head: bytes) -> bool:
    return access_share(head) >= 0.6 or json_share(head) >= 0.6
