# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of readers run: read a whole medium; ``--md5`` digests it, ``--to FILE`` writes it.

``--random N``: instead, N reads of 4 KiB at places of a fixed seed.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from contextlib import ExitStack
from pathlib import Path

from headwater.formats.media import open_medium, segments
from headwater.formats.opened import open_readonly

STEP = 1 << 20

parser = argparse.ArgumentParser()
parser.add_argument("image", type=Path)
parser.add_argument("--md5", action="store_true")
parser.add_argument("--to", type=Path)
parser.add_argument("--random", type=int, default=0)
options = parser.parse_args()
with ExitStack() as stack:
    medium = open_medium([open_readonly(path) for path in segments(options.image)])
    out = stack.enter_context(open(options.to, "wb")) if options.to else None
    digest = hashlib.md5(usedforsecurity=False)
    pick = random.Random(11)
    for _ in range(options.random):
        medium.pread(pick.randrange(medium.size // 4096) * 4096, 4096)
    for at in range(0, 0 if options.random else medium.size, STEP):
        block = medium.pread(at, STEP)
        if options.md5:
            digest.update(block)
        if out is not None:
            out.write(block)
    print(medium.size, digest.hexdigest() if options.md5 else "", len(medium.bad), "bad ranges")
