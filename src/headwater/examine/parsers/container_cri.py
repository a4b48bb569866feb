# SPDX-License-Identifier: Apache-2.0
"""What the programs in Kubernetes' and podman's containers wrote to their output (container.cri).

Reads:  /var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log, /var/log/containers/*.log, podman's ctr.log; with rotations.
Time:   RFC 3339 with offset and nanoseconds, by the engine's clock.
Format: ``time stdout|stderr F|P text`` (Container Runtime Interface; containerd, CRI-O, podman's k8s-file driver).
Limits: the text is the program's own word; P marks a part of a longer line; a deleted pod takes its logs along; the entries
        of /var/log/containers are mostly symbolic links to those of /var/log/pods.
"""

from __future__ import annotations

import re

from headwater.examine.container_lines import CRI

FEED = "container.cri"
VERSION = 1
READS = ("/var/log/pods/**/*.log*", "/var/log/containers/*.log*", "/overlay-containers/*/userdata/ctr.log*")
GRAMMAR = CRI


def recognise(head: bytes) -> bool:
    return bool(re.match(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]{5}) std(?:out|err) [FP] ", head))
