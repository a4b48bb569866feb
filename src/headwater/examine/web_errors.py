# SPDX-License-Identifier: Apache-2.0
"""The lines of web servers' error logs: nginx, Apache 2.2 and 2.4, lighttpd.

Formats: ngx_core error_log (https://nginx.org/en/docs/ngx_core_module.html#error_log, the line as ``ngx_log_error_core``
writes it), Apache ErrorLogFormat (https://httpd.apache.org/docs/2.4/mod/core.html#errorlogformat), lighttpd
as its ``log_buffer_prepare`` writes it (https://redmine.lighttpd.net/projects/lighttpd/wiki/Server_errorlog-file_Details).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from headwater.examine.filled import filled
from headwater.examine.line_blocks import Lines
from headwater.examine.line_time import Times, ctime, iso
from headwater.examine.line_views import Flags
from headwater.examine.lines import Context, Cut, LineGrammar
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, TimeBasis

OWN = {
    **dict.fromkeys(("severity", "message", "module", "error_code", "server", "request"), pl.String),
    **dict.fromkeys(("cs-method", "cs-uri-stem", "cs-uri-query", "cs-version", "cs-host", "cs-referer"), pl.String),
    **dict.fromkeys(("upstream", "client_text", "os_error"), pl.String),
    **dict.fromkeys(("tid", "connection", "port", "errno", "line_number", "clients_named"), pl.Int64),
}
_LEVEL = r"(emerg|alert|crit|error|warn|notice|info|debug|trace[1-8])"
_NGINX = r"(?s)^ \[" + _LEVEL + r"\] ([0-9]{1,10})#([0-9]{1,18}): (?:\*([0-9]{1,18}) )?(.*)$"
_APACHE = (
    r"(?s)^\] \[(?:([A-Za-z0-9_.-]*):)?" + _LEVEL + r"\] (?:\[pid ([0-9]{1,10})(?::tid ([0-9]{1,18}))?\] )?"
    r"(?:\(([0-9]{1,9})\)([^:\[\]]{1,200}): )?(?:\[(?:client|remote) ([^\]\s]{1,80})\] )?"
    r"(?:\(([0-9]{1,9})\)([^:\[\]]{1,200}): )?((?:(AH[0-9]{5}): )?.*)$"
)
_LIGHTTPD = r"(?s)^: \(([A-Za-z0-9_.-]{1,60})\.c\.([0-9]{1,6})\) (.*)$"
_ADDRESS = r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]+)$"
_REQUEST = r'^([A-Z]{1,20}) ([^ ?"]*)(?:\?([^ "]*))?(?: (HTTP/[0-9.]{1,4}))?$'
# where a message names a file, and the line of a PHP script
_FILE = (
    r'(?:open\(\) "|script \'|script not found or unable to stat: |File does not exist: |is forbidden: |'
    r"client denied by server configuration: |Directory index forbidden by Options directive: |Primary script )"
    r"(/[^'\",]*)"
)
_SCRIPT = r" in (/[^ ]+) on line ([0-9]{1,9})"
_SERIOUS = ("emerg", "alert", "crit", "error", "warn")


def _behind(names: str) -> str:
    """The quoted value of one of the details that nginx adds, up to the quote before the next detail or the end."""
    return rf'(?s), {names}: "(.*?)"(?:, (?:request|upstream|host|referrer|login|session): |$)'


def _integer(text: pl.Series) -> pl.Series:
    return text.str.to_integer(strict=False)


def _common(times: Times, fits: Flags, level: pl.Series, message: pl.Series, client: pl.Series) -> dict[str, pl.Series]:
    script = message.str.extract_groups(_SCRIPT).struct.unnest()
    frame = pl.DataFrame(
        {"level": level, "message": message, "client": client, "script": script.to_series(0)},
        schema_overrides=dict.fromkeys(("level", "message", "client", "script"), pl.String),
    )
    made = frame.select(
        kind=pl.when(pl.col("message").str.contains(r"resuming normal operations|^server started \("))
        .then(pl.lit(EventKind.SERVICE_START.value))
        .when(pl.col("message").str.contains(r"caught SIGTERM, shutting down|^server stopped by "))
        .then(pl.lit(EventKind.SERVICE_STOP.value))
        .when(pl.col("level").is_in(_SERIOUS) | pl.col("client").is_not_null())
        .then(pl.lit(EventKind.WEB_ERROR.value))
        .otherwise(pl.lit(EventKind.LOG_MESSAGE.value)),
        src_ip=pl.when(pl.col("client").str.contains(_ADDRESS)).then(
            pl.col("client").str.replace(r"^::ffff:([0-9.]+)$", "${1}")
        ),
        file_path=pl.coalesce("script", pl.col("message").str.extract(_FILE).str.strip_chars_end(" ")),
    )
    return {
        **{name: made[name] for name in made.columns},
        "t_recorded": pl.Series(times.ns[fits]),
        "t_basis": filled(TimeBasis.ZONE_ASSUMED.value, len(message)),
        "severity": level,
        "message": message,
        "client_text": client,
        "line_number": _integer(script.to_series(1)),
    }


def nginx_shape(lines: Lines, context: Context) -> Cut:
    """``2026/03/02 11:22:33 [error] 12#34: *56 text, client: …, server: …, request: "…", upstream: "…", host: "…"``.

    A path in the text and the headers behind it are the client's own words and may hold ``, client: `` too: where that
    stands more than once, no address is taken from the line, and ``clients_named`` says how many there are.
    """
    times = iso(lines.data, lines.start, "/ ")
    if not times.ok.any():
        return Cut.none(lines)
    rest = lines.take(times.ok).column(np.minimum(times.end, lines.end)[times.ok], lines.end[times.ok])
    parts = rest.str.extract_groups(_NGINX).struct.unnest()
    matched = parts.to_series(0).is_not_null()
    fits = times.ok.copy()
    fits[times.ok] = matched.to_numpy()
    if not fits.any():
        return Cut.none(lines)
    level, pid, tid, connection, message = parts.filter(matched).get_columns()
    named = message.str.count_matches(", client: ", literal=True)
    client = message.str.extract(r", client: ([0-9a-fA-F.:]{1,64}|unix:)(?:, server: |$)").set(named != 1, None)
    request = message.str.extract(_behind("request"))
    asked = request.str.extract_groups(_REQUEST).struct.unnest()
    columns = _common(times, fits, level, message, client) | {
        "pid": _integer(pid),
        "process": filled("nginx", len(message)),
        "provider": filled("nginx", len(message)),
        "tid": _integer(tid),
        "connection": _integer(connection),
        "clients_named": named.cast(pl.Int64).set(named < 2, None),
        "server": message.str.extract(r", client: [^,]{1,64}, server: ([^,]{1,255})").set(named != 1, None),
        "request": request,
        "cs-method": asked.to_series(0),
        "cs-uri-stem": asked.to_series(1),
        "cs-uri-query": asked.to_series(2),
        "cs-version": asked.to_series(3),
        "upstream": message.str.extract(_behind("upstream")),
        "cs-host": message.str.extract(_behind("host")),
        "cs-referer": message.str.extract(_behind("referrer")),
        "errno": _integer(message.str.extract(r" failed \(([0-9]{1,9}): ")),
        "os_error": message.str.extract(r" failed \([0-9]{1,9}: ([^)]{1,200})\)"),
    }
    return Cut(fits, columns)


def apache_shape(lines: Lines, context: Context) -> Cut:
    """``[Mon Mar 02 11:22:33.123456 2026] [core:error] [pid 12:tid 34] [client 203.0.113.7:5000] AH00126: text``."""
    starts = (lines.data[lines.start] == 91) & (lines.end > lines.start)
    times = ctime(lines.data, lines.start + 1)
    ok = times.ok & starts
    if not ok.any():
        return Cut.none(lines)
    rest = lines.take(ok).column(np.minimum(times.end, lines.end)[ok], lines.end[ok])
    parts = rest.str.extract_groups(_APACHE).struct.unnest()
    matched = parts.to_series(1).is_not_null()
    fits = ok.copy()
    fits[ok] = matched.to_numpy()
    if not fits.any():
        return Cut.none(lines)
    module, level, pid, tid, number, reason, peer, later, later_reason, message, code = parts.filter(
        matched
    ).get_columns()
    # 2.4 (which states its pid) writes the port behind the address, 2.2 does not
    ported = pid.is_not_null() & peer.str.contains(r":[0-9]{1,5}$").fill_null(False)
    address = peer.str.replace(r":[0-9]{1,5}$", "").zip_with(ported, peer)
    columns = _common(times, fits, level, message, address) | {
        "pid": _integer(pid),
        "process": filled("apache", len(message)),
        "provider": filled("apache", len(message)),
        "tid": _integer(tid),
        "module": module,
        "error_code": code,
        "event_code": code,
        "port": _integer(peer.str.extract(r":([0-9]{1,5})$").set(~ported, None)),
        "errno": _integer(number.zip_with(number.is_not_null(), later)),
        "os_error": reason.zip_with(reason.is_not_null(), later_reason),
        "cs-method": message.str.extract(r" in request ([A-Z]{1,20}) "),
        "cs-uri-stem": message.str.extract(r" in request [A-Z]{1,20} ([^ ?]*)"),
        "cs-referer": message.str.extract(r"(?s), referer: (.*)$"),
        "client_text": peer,
    }
    return Cut(fits, columns)


def lighttpd_shape(lines: Lines, context: Context) -> Cut:
    """``2026-03-02 11:22:33: (mod_auth.c.828) text``; a refused login names user and address at its end."""
    times = iso(lines.data, lines.start, "- ")
    if not times.ok.any():
        return Cut.none(lines)
    rest = lines.take(times.ok).column(np.minimum(times.end, lines.end)[times.ok], lines.end[times.ok])
    parts = rest.str.extract_groups(_LIGHTTPD).struct.unnest()
    matched = parts.to_series(0).is_not_null()
    fits = times.ok.copy()
    fits[times.ok] = matched.to_numpy()
    if not fits.any():
        return Cut.none(lines)
    module, _, message = parts.filter(matched).get_columns()
    level = filled(None, len(message))
    client = message.str.extract(r",? IP: ([0-9a-fA-F.:]{2,64})$")
    columns = _common(times, fits, level, message, client) | {
        "process": filled("lighttpd", len(message)),
        "provider": filled("lighttpd", len(message)),
        "module": module,
        "user": message.str.extract(r" username: (\S{1,255}),? IP: "),
    }
    return Cut(fits, columns)


ERROR = LineGrammar(shapes=(nginx_shape, apache_shape, lighttpd_shape), own=OWN)

_HEAD = lazy_regex(
    rb"(?:[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} \[[a-z]{4,6}\] [0-9]+#[0-9]+: "
    rb"|[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}: \([A-Za-z0-9_-]+\.c\.[0-9]+\) "
    rb"|\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-3][0-9] [0-9:.]{8,15} [0-9]{4}\] \[[A-Za-z0-9_.:-]+\] )"
)


def error_share(head: bytes) -> float:
    """Which share of the lines at a file's beginning look like a web server's errors."""
    lines = [line for line in head.split(b"\n")[:40] if line.strip()]
    if len(lines) > 1 and not head.endswith(b"\n"):
        lines.pop()
    return sum(1 for line in lines if _HEAD.match(line)) / len(lines) if lines else 0.0
