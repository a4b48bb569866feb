# SPDX-License-Identifier: Apache-2.0
"""Options that several verbs share: the case, its authority, the people, and sizes with a unit."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headwater.case.authority import Claim
    from headwater.formats.keys import Key
    from headwater.model.errors import UsageError

_KEY_MOST = 8 << 20  # cryptsetup takes key files up to this size
_HEADER_MOST = 64 << 20  # LUKS 2 reserves 16 MiB unless told otherwise
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def case_and_authority(parser: argparse.ArgumentParser) -> None:
    """``--case``, the authority and the examiners."""
    parser.add_argument("--case", type=Path, required=True, metavar="DIR", help="案件目录 · the case folder")
    authority = parser.add_argument_group("授权 · authority")
    authority.add_argument("--authority", type=Path, metavar="FILE", help="授权文书 · the document")
    authority.add_argument("--authority-no", metavar="TEXT", help="文号 · its number")
    authority.add_argument("--authority-by", metavar="TEXT", help="签发机关或人 · who issued it")
    authority.add_argument("--authority-scope", metavar="TEXT", help="范围 · what it covers")
    authority.add_argument("--authority-from", metavar="DATE", help="起 · from (YYYY-MM-DD)")
    authority.add_argument("--authority-until", metavar="DATE", help="止 · until (YYYY-MM-DD)")
    authority.add_argument(
        "--no-authority", metavar="REASON", help="确无授权的理由，记入台账并印在报告上 · why there is none"
    )
    parser.add_argument(
        "--examiner", action="append", default=[], metavar="NAME", help="检验人，可重复 · may be repeated"
    )


def lacking(words: str) -> UsageError:
    """The error where an argument is needed that argparse could not demand, because other words would do without it."""
    from headwater.model.errors import UsageError
    from headwater.model.nouns import Text

    return UsageError("HW0001", what=Text(f"缺少必填参数：{words}", f"the following arguments are required: {words}"))


def claim_of(options: argparse.Namespace) -> Claim:
    """The authority as the person stated it."""
    from headwater.case.authority import Claim

    return Claim(
        options.authority, options.authority_no, options.authority_by, options.authority_scope,
        options.authority_from, options.authority_until, options.no_authority,
    )  # fmt: skip


def key_files(parser: argparse.ArgumentParser) -> None:
    """``--key-file``: keys of encrypted volumes, never on the command line itself."""
    parser.add_argument(
        "--key-file", action="append", default=[], metavar="[VOLUME=]FILE",
        help="加密卷的口令、恢复密码、密钥文件或卷密钥所在文件，可指明卷（如 p3=），可重复；台账只记文件名与所开的密钥槽 · "
        "a file that holds a passphrase, recovery password, key file or volume key; the ledger knows its name alone",
    )  # fmt: skip
    parser.add_argument(
        "--luks-header", action="append", default=[], metavar="[VOLUME=]FILE",
        help="与卷分开存放的 LUKS 头部文件，须指明卷（如 p3=），不指明即整块介质；可重复，与 --key-file 同用 · "
        "a LUKS header kept apart from its volume (p3=), or from the whole medium; goes with --key-file",
    )  # fmt: skip


def keys_of(options: argparse.Namespace) -> tuple[Key, ...]:
    """The keys in the files that were named.

    Raises:
        UsageError: HW0001, a file that cannot be read or holds more than a key can be.
    """
    from headwater.formats.keys import Key, with_headers
    from headwater.model.errors import UsageError

    keys = [
        Key(path.name, _content("--key-file", path, _KEY_MOST), volume)
        for volume, path in map(_volume_and_file, options.key_file)
    ]
    headers = {
        volume: _content("--luks-header", path, _HEADER_MOST)
        for volume, path in map(_volume_and_file, options.luks_header)
    }
    if headers and not keys:
        raise UsageError("HW0001", what="--luks-header: --key-file")
    return with_headers(keys, headers)


def image_files(parser: argparse.ArgumentParser) -> None:
    """How an image that is read by itself is opened, and the case in which that is recorded."""
    parser.add_argument("--case", type=Path, metavar="DIR", help="记入此案件的台账 · record it in this case")
    parser.add_argument("--examiner", action="append", default=[], metavar="NAME", help="检验人 · who reads it")
    parser.add_argument("--allow-path", action="append", type=Path, default=[], metavar="DIR",
                        help="父镜像、分段所在的其他目录 · where files of the image may lie")  # fmt: skip
    parser.add_argument("--allow-missing", action="store_true",
                        help="缺失部分以零代之并列出 · zeros, listed, for what is missing")  # fmt: skip
    parser.add_argument("--snapshot", default="", metavar="ID", help="qcow2 快照 · as it was at this snapshot")


def _volume_and_file(word: str) -> tuple[str, Path]:
    """``VOLUME=FILE`` or ``FILE``; a file of that whole name goes before."""
    volume, equals, name = word.partition("=")
    return (volume, Path(name)) if equals and not Path(word).exists() else ("", Path(word))


def _content(option: str, path: Path, most: int) -> bytes:
    from headwater.model.errors import UsageError

    try:
        with path.open("rb") as file:
            held = file.read(most + 1)
    except OSError as error:
        raise UsageError("HW0001", what=f"{option} {path}: {error.strerror}") from error
    if not held or len(held) > most:
        raise UsageError("HW0001", what=f"{option} {path}: 1–{most} bytes")
    return held


def size_of(text: str) -> int:
    """``512``, ``1M``, ``2G``, ``64KiB`` in bytes, by powers of 1024; argparse tells of what is none."""
    plain = text.strip().upper().removesuffix("IB").removesuffix("B")
    unit = plain[-1:] if plain[-1:] in _UNITS else ""
    number = plain.removesuffix(unit) if unit else plain
    if not number.isdigit() or int(number) == 0:
        raise argparse.ArgumentTypeError(f"{text}: 512, 64K, 1M, 2G")
    return int(number) * _UNITS[unit]


def count_of(text: str) -> int:
    """A count of one or more; argparse tells of what is none."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: 1, 2, 3 …")
    return int(text)


def pairs(given: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUE`` words as a mapping.

    Raises:
        UsageError: HW0001.
    """
    from headwater.model.errors import UsageError

    found = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError("HW0001", what=f"{word}: NAME=VALUE")
        found[name] = value
    return found


def remote_fields(given: Sequence[str]) -> dict[str, str]:
    """The fields of remote work (网络在线提取、远程勘验), each with a value.

    Raises:
        UsageError: HW0001, HW1018 no such field.
    """
    from headwater.case.mandate import REMOTE_FIELDS
    from headwater.model.errors import UsageError

    found = pairs(given)
    for name in found:
        if name not in REMOTE_FIELDS:
            raise UsageError("HW1018", what=name, known=", ".join(REMOTE_FIELDS))
    return found
