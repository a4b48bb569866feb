# SPDX-License-Identifier: Apache-2.0
"""What the programs in Docker's containers wrote to their output (container.json).

Reads:  /var/lib/docker/containers/ID/ID-json.log with rotations (also below another data root).
Time:   UTC with nanoseconds, always, also on a host whose own zone is +08:00; the engine's clock, not the container's.
Format: one JSON object a line, keys log, stream, attrs, time (json-file log driver).
Limits: the text is the program's own word; a line over 16 KiB is several records, all but the last ``partial``; removing a
        container removes its log, and ``max-size`` drops the oldest; other log drivers write elsewhere.
"""

from __future__ import annotations

import re

from headwater.examine.container_lines import DOCKER

FEED = "container.json"
VERSION = 1
READS = ("/containers/*/*-json.log*",)
GRAMMAR = DOCKER


def recognise(head: bytes) -> bool:
    return bool(re.match(rb'\{"log":"[^\n]*","stream":"std(?:out|err)"[^\n]*"time":"[0-9]{4}-', head))
