# SPDX-License-Identifier: Apache-2.0
"""The collector for a server without Python, in POSIX sh with find, stat, head, dd and cat; busybox's will do.

It answers the same stream with less in it: digests are made on the server where it has sha256sum, md5sum and a tee that
reaches a pipe by its number in /proc (of what /proc itself holds never; they are made here, of what arrived), access times
are not kept, holes arrive as zeros, a file that two artifacts name may come twice, and a pattern with ``**`` behind a
wildcard may take more than it says. Lengths are exact whatever happens to a file meanwhile: what is lacking is padding, and
said to be.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from headwater.acquire.collector_patterns import WILD, fixed, homes, parts_of

_HEAD = r"""LC_ALL=C; export LC_ALL; unset LD_PRELOAD LD_LIBRARY_PATH ENV; umask 077
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin; export PATH
M=@MARKER@; export M
now() { date +%s%N 2>/dev/null | { read -r n; case $n in *N|*%*|'') date +%s000000000 ;; *) echo "$n" ;; esac; }; }
r() { printf '%s %s %d %d\n%s' "$M" "$1" "${#2}" "${3:-0}" "$2"; }
W='
r() { printf "%s %s %d %d\n%s" "$M" "$1" "${#2}" "${3:-0}" "$2"; }
q() { printf "%s" "$1" | sed "s/%/%25/g; s/ /%20/g" | tr "\n\t" "__"; }
ns() { case $1 in *.*) N=${1%.*}${1#*.} ;; *) N=${1}000000000 ;; esac; }
facts() {
  set -- $(stat -c "%f %u %g %s %i %d %h $Y" "$1" 2>/dev/null)
  [ $# -ge 10 ] || return
  s=$4
  H="mode=$((0x$1))
uid=$2
gid=$3
size=$4
inode=$5
dev=$6
links=$7
"
  ns "$8"; H="${H}modified=$N
"; ns "$9"; H="${H}accessed=$N
"; ns "${10}"; H="${H}changed=$N
"
}
for f in "$@"; do
  H=; s=
  facts "$f"
  h="artifact=$A
atime=may-change
$H"
  if [ -L "$f" ]; then
    t=$(readlink "$f"; printf x); t=${t%?x}
    r F "kind=link
${h}status=success
target=${#t}
path=$f$t"
  elif [ -d "$f" ]; then r F "kind=dir
${h}status=success
path=$f"
  elif [ -f "$f" ]; then
    [ -n "$s" ] || s=$(wc -c < "$f" 2>/dev/null | tr -d " ")
    if ! [ -r "$f" ] || [ -z "$s" ]; then r F "kind=file
${h}status=failed
why=permission%20denied
path=$f"; continue; fi
    if [ "$s" = 0 ]; then r F "kind=file
${h}status=empty
path=$f"; continue; fi
    r B "kind=file
${h}path=$f"
    r D "" "$s"
    if [ -n "$T" ]; then
      said=$( { { { head -c "$s" < "$f" || echo bad >&3; cat /dev/zero; } 2>/dev/null | head -c "$s" |
        tee /proc/self/fd/5 /proc/self/fd/7 | sha256sum >&3; } 7>&1 | md5sum >&3; } 3>&1 )
    else
      said=$( { { { head -c "$s" < "$f" || echo bad >&3; cat /dev/zero; } 2>/dev/null | head -c "$s" >&4; } 3>&1; } 4>&5 )
    fi
    bad=; g=
    for w in $said; do
      case ${#w} in 64) g="${g}sha256=$w
" ;; 32) g="${g}md5=$w
" ;; 3) bad=1 ;; esac
    done
    e=$(wc -c < "$f" 2>/dev/null | tr -d " "); e=${e:-0}
    if [ -n "$bad" ]; then r E "status=failed
why=read%20error
"
    elif [ "$e" -lt "$s" ]; then r E "status=success
changed_while_read=shrank
pad=$((s - e))
"
    elif [ "$e" -gt "$s" ]; then r E "status=success
changed_while_read=grew
$g"
    else r E "status=success
$g"; fi
  else
    k=other; [ -p "$f" ] && k=fifo; [ -S "$f" ] && k=socket; [ -b "$f" ] && k=block; [ -c "$f" ] && k=char
    r F "kind=$k
${h}status=listed
path=$f"
  fi
done 5>&1'
Y='%Y %X %Z'; case $(stat -c %.9Y / 2>/dev/null) in *[0-9].[0-9]*) Y='%.9Y %.9X %.9Z' ;; esac
# what a tee writes for two digesters and the line at once; without all three of them none are stated
T=; if command -v sha256sum >/dev/null 2>&1 && command -v md5sum >/dev/null 2>&1 &&
  [ "$( { { echo x | tee /proc/self/fd/7 >/dev/null; } 7>&1 | cat; } 2>/dev/null )" = x ]; then T=1; fi
export W Y T
dg() { printf '%s' "$2" | "$1" | { read -r a b; printf '%s' "$a"; }; }
# walk ARTIFACT FOLDER REST [find's words]: the folder's links are gone through, and told
walk() {
  A=$1; export A; d=$2; rest=$3; shift 3
  [ -L "$d" ] && sh -c "$W" sh "$d"
  e=$(cd -P "$d" 2>/dev/null && pwd -P && printf x) || { miss "$A" "$d$rest"; return; }
  e=${e%?x}; [ "$e" = / ] && e=
  P=$e$rest
  eval "find \"\${e:-/}\" $1 -exec sh -c \"\$W\" sh {} +" 2>/dev/null | cat
}
one() {
  A=$1; export A
  if [ -L "$2" ]; then
    sh -c "$W" sh "$2"; t=$(readlink -f "$2" 2>/dev/null; printf x); t=${t%?x}; [ -f "$t" ] && sh -c "$W" sh "$t" | cat
  elif [ -e "$2" ]; then sh -c "$W" sh "$2" | cat
  else miss "$1" "$2"; fi
}
miss() { r M "artifact=$1
status=missing
path=$2"; }
pseudo() {
  n=$(dd if="$2" bs=65536 count=512 2>/dev/null | wc -c | tr -d ' ')
  h="artifact=$1
kind=file
pseudo=1
at=$(now)
"
  if ! [ -e "$2" ]; then r F "${h}status=missing
path=$2"; return; fi
  if ! [ -r "$2" ]; then r F "${h}status=failed
why=permission%20denied
path=$2"; return; fi
  [ "${n:-0}" = 0 ] && { r F "${h}status=empty
path=$2"; return; }
  r F "${h}status=success
path=$2" "$n"
  { dd if="$2" bs=65536 count=512; cat /dev/zero; } 2>/dev/null | head -c "$n"
}
plink() {
  [ -L "$2" ] || return
  t=$(readlink "$2" 2>/dev/null; printf x); t=${t%?x}
  r F "artifact=$1
kind=link
pseudo=1
at=$(now)
status=success
target=${#t}
path=$2$t"
}
# ask NAME SECONDS LINE WORDS…: a command to its end or its time; its errors come behind a mark of their own
ask() {
  name=$1; sec=$2; line=$3; art=$4; shift 4
  w=$(command -v "$1" 2>/dev/null)
  h="kind=command
artifact=$art
line=$line
"
  if [ -z "$w" ]; then r M "${h}status=missing
why=no%20such%20tool
path=$name"; return; fi
  g=; [ -n "$T" ] && [ -f "$w" ] && g="tool_sha256=$(sha256sum < "$w" 2>/dev/null | { read -r a b; echo "$a"; })
"
  h="${h}tool=$w
${g}start=$(now)
timeout=$sec
"
  o=$( {
    e=$( {
      "$@" </dev/null & p=$!
      { sleep "$sec"; kill -9 "$p"; } >/dev/null 2>&1 & k=$!
      wait "$p" 2>/dev/null; x=$?
      kill "$k" 2>/dev/null
      printf 'x%s' "$x" >&2
    } 2>&1 1>&3 3>&- )
  } 3>&1; printf '%s%sx' "$M" "$e" )
  o=${o%x}; e=${o##*"$M"}; o=${o%"$M"*}; x=${e##*x}; e=${e%x*}
  s=success; [ "$x" = 137 ] && s=timeout; [ -z "$o" ] && { s=empty; [ "$x" = 0 ] || s=failed; }; [ "$x" = 137 ] && s=timeout
  r B "${h}path=$name"
  [ -n "$o" ] && { r D "" "${#o}"; printf '%s' "$o"; }
  [ -n "$e" ] && { r X "" "${#e}"; printf '%s' "$e"; }
  z=$(now); g=
  [ -n "$T" ] && [ -n "$o" ] && g="sha256=$(dg sha256sum "$o")
md5=$(dg md5sum "$o")
"
  [ -n "$T" ] && [ -n "$e" ] && g="${g}errors_sha256=$(dg sha256sum "$e")
"
  r E "status=$s
exit=$x
end=$z
$g"
}
printf 'HWCOL1 %s\n' "$M"
g() { v=; { IFS= read -r v < "$1"; } 2>/dev/null; printf '%s' "$v" | sed 's/%/%25/g; s/ /%20/g'; }
r H "host=$(g /proc/sys/kernel/hostname)
kernel=$(g /proc/sys/kernel/osrelease)
boot_id=$(g /proc/sys/kernel/random/boot_id)
machine_id=$(g /etc/machine-id)
uid=$(id -u)
pid=$$
start=$(now)
uptime=$(g /proc/uptime)
form=sh
@FACTS@"
"""


def program(
    marker: str, artifacts: Sequence[Mapping[str, Any]], *, tool: str, facts: Mapping[str, str], passwd: bytes = b""
) -> bytes:
    """The program, for the standard input of a shell; ``passwd``: the server's account file, for homes and users."""
    said = {"tool": tool, **facts}
    told = "".join(f"{k}={_quoted(v)}\n" for k, v in said.items())
    lines = [
        _HEAD.replace("@MARKER@", marker).replace(
            "@FACTS@", told.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
        )
    ]
    walked: list[bytes] = []
    for artifact in artifacts:
        for what in artifact["collect"]:
            lines += _lines(str(artifact["name"]), what, walked, homes(passwd), _users(passwd))
    lines.append('r Q "end=$(now)\nfull=0\n"\nexit 0\n')
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _users(passwd: bytes) -> list[str]:
    from headwater.acquire.collector_patterns import users

    return [u.decode("ascii") for u in users(passwd)]


def _quoted(text: str) -> str:
    return "".join(
        c if "!" <= c <= "~" and c not in '%"$`\\' else "".join(f"%{b:02X}" for b in c.encode()) for c in text
    )


def _lines(
    name: str, what: Mapping[str, Any], walked: list[bytes], home: Sequence[bytes], users: Sequence[str]
) -> list[str]:
    if "command" in what:
        each = users if what.get("each") == "user" else [""]
        return [_ask(name, what, user) for user in each]
    if "files" in what:
        made = []
        for pattern in what["files"]:
            made += _find(name, str(pattern), what.get("exclude", ()), walked, home)
        return made
    word = shlex.quote(name)
    if "pseudo" in what:
        return [f'for f in {_globbed(p)}; do pseudo {word} "$f"; done' for p in what["pseudo"]]
    if "process" in what:
        inside = "".join(f' pseudo {word} "$p/{n}";' for n in what["process"])
        for link in what.get("links", ()):
            inside += (
                f' for l in "$p"/{link}/*; do plink {word} "$l"; done;'
                if link in ("fd", "ns")
                else f' plink {word} "$p/{link}";'
            )
        return [f"for p in /proc/[0-9]*; do{inside} done"]
    return [f'r M "artifact={name}\nkind=artifact\nstatus=failed\nwhy=needs%20Python\npath={name}"']


def _globbed(pattern: str) -> str:
    return "/".join(p if WILD.search(p.encode()) else shlex.quote(p) if p else "" for p in pattern.split("/"))


def _ask(name: str, what: Mapping[str, Any], user: str) -> str:
    words = [str(w).replace("{user}", user) for w in what["command"]]
    line = _quoted(" ".join(shlex.quote(w) for w in words))
    member = f"{name}.{user}" if user else name
    said = " ".join(shlex.quote(w) for w in words)
    return f"ask {shlex.quote(member)} {int(what.get('timeout', 30))} {shlex.quote(line)} {shlex.quote(name)} {said}"


def _find(name: str, pattern: str, exclude: Sequence[str], walked: list[bytes], home: Sequence[bytes]) -> list[str]:
    """The lines for one pattern; ``{webroot}`` needs the other collector."""
    if pattern.startswith("{webroot}"):
        return []
    raw = os.fsencode(pattern)
    made = []
    for one in [h + raw[6:] for h in home] if raw.startswith(b"{home}") else [raw]:
        folder, rest = fixed(one)
        text = os.fsdecode(folder)
        if len(rest) == 1 and not WILD.search(rest[0]):
            path = shlex.quote(f"{text.rstrip('/')}/{os.fsdecode(rest[0])}")
            made.append(f"one {shlex.quote(name)} {path}")
            continue
        joined = b"/".join(rest)
        tail = joined == b"**" or rest[-1] == b"**"
        loose = b"**" in rest
        path = "" if joined == b"**" else "/" + os.fsdecode(joined).removesuffix("/**").replace("**/", "*")
        words = "" if loose else f"-mindepth {len(rest)} -maxdepth {len(rest)} "
        words += "-xdev " if folder == b"/" else ""
        for no in [*exclude, *(os.fsdecode(w) for w in walked if _overlaps(w, folder))]:
            words += f"! -path {shlex.quote(_path_of(no))} "
            if no.endswith("/**"):
                words += f"! -path {shlex.quote(_path_of(no)[:-2])} "
        if path:
            words += '\\( -path "$P" -o -path "$P/*" \\) ' if tail else '-path "$P" '
        made.append(f"walk {shlex.quote(name)} {shlex.quote(text)} {shlex.quote(path)} {shlex.quote(words)}")
        if joined == b"**":
            walked.append(folder + b"/**")
    return made


def _path_of(pattern: str) -> str:
    """A pattern as find's ``-path`` has it: there ``*`` crosses slashes."""
    return pattern.replace("/**/", "*/").replace("**", "*")


def _overlaps(walked: bytes, folder: bytes) -> bool:
    before = parts_of(walked)[:-1]
    return parts_of(folder)[: len(before)] == before or before[: len(parts_of(folder))] == parts_of(folder)
