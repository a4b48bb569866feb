# SPDX-License-Identifier: Apache-2.0
"""Options that several verbs share: the case, its authority, the people, and sizes with a unit."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headwater.case.authority import Claim

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


def claim_of(options: argparse.Namespace) -> Claim:
    """The authority as the person stated it."""
    from headwater.case.authority import Claim

    return Claim(
        options.authority, options.authority_no, options.authority_by, options.authority_scope,
        options.authority_from, options.authority_until, options.no_authority,
    )  # fmt: skip


def size_of(text: str) -> int:
    """``512``, ``1M``, ``2G``, ``64KiB`` in bytes, by powers of 1024; argparse tells of what is none."""
    plain = text.strip().upper().removesuffix("IB").removesuffix("B")
    unit = plain[-1:] if plain[-1:] in _UNITS else ""
    number = plain.removesuffix(unit) if unit else plain
    if not number.isdigit() or int(number) == 0:
        raise argparse.ArgumentTypeError(f"{text}: 512, 64K, 1M, 2G")
    return int(number) * _UNITS[unit]
