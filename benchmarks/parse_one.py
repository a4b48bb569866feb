# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of parsers run: one file, parsed in one confined child as `investigate` does it, to Parquet parts.

``parse_one.py FILE PATH OUT``: PATH is the path that the file has on the server. Prints the parser's account.
``parse_one.py IMAGE walk OUT``: the file system's own times instead. Prints the number of entries.
The interpreter, the child and the libraries are started anew, and that is in the cost.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from headwater.confine.pool import Limits, Message, Pool, Task

WARM = ("headwater.procedure.child", "headwater.examine.registry")


def _target(path: str, stat: os.stat_result) -> dict[str, Any]:
    return {
        "view": "",
        "key": "",
        "path": path,
        "size": stat.st_size,
        "mtime": stat.st_mtime_ns,
        "sniff": False,
        "fd": 0,
    }


def main(file: Path, path: str, out: Path) -> int:
    """Parse and write the parts."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    stat = os.fstat(fd)
    if path == "walk":
        call, args = "walk", {"files": [[file.name, stat.st_size]], "number": 1, "bad": []}
    else:
        call, args = (
            "parse",
            {"files": [], "number": 1, "years": {}, "context": {}, "own_fds": True, "targets": [_target(path, stat)]},
        )
    accounts: list[dict[str, object]] = []
    parts = 0

    def take(message: Message) -> None:
        nonlocal parts
        if "family" in message.header:
            out.joinpath(f"{message.header['family']}-{parts:05d}.parquet").write_bytes(message.blob)
            parts += 1
        elif "account" in message.header:
            accounts.append(dict(message.header["account"]))
        elif "result" in message.header and path == "walk":
            print(message.header["result"])

    with Pool(1, Limits(), warm=WARM) as pool:
        for outcome in pool.run([Task(call, f"headwater.procedure.child:{call}", args, (fd,))], take):
            if outcome.status != "done":
                print(f"{outcome.status}: {outcome.detail}\n{outcome.trace}")
                return 1
    for account in accounts:
        print(f"{account['parser']} {account['tally']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
