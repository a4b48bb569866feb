# SPDX-License-Identifier: Apache-2.0
"""What is said to a server's ``sh`` to read its memory: what stands in the way, the small files beside it, and the ranges.

Only files of /proc and /sys are read, which live in memory themselves. Lockdown in its ``confidentiality`` mode closes
/proc/kcore, ``integrity`` does not (kernel_lockdown.7, LOCKDOWN_KCORE).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from headwater.acquire.ssh_scripts import quoted
from headwater.model.errors import AcquireError

HEADER_BYTES = 256 << 10
BESIDE_MOST = 256 << 20  # bytes of one file beside the image


@dataclass(frozen=True, slots=True)
class Places:
    """Where the kernel shows its memory and itself; other places stand in for them in tests."""

    kcore: str = "/proc/kcore"
    iomem: str = "/proc/iomem"
    lockdown: str = "/sys/kernel/security/lockdown"
    beside: tuple[tuple[str, str], ...] = (
        ("kallsyms", "/proc/kallsyms"),
        ("btf", "/sys/kernel/btf/vmlinux"),
        ("version", "/proc/version"),
        ("cmdline", "/proc/cmdline"),
        ("modules", "/proc/modules"),
        ("meminfo", "/proc/meminfo"),
    )


def look_script(places: Places) -> tuple[bytes, bytes]:
    """(script, marker): who we are, what is there, which encrypted volumes are open, the resources, kcore's header."""
    marker = secrets.token_hex(12).encode()
    head = b"LC_ALL=C; export LC_ALL; k=" + quoted(places.kcore) + b"; i=" + quoted(places.iomem)
    return head + b"; l=" + quoted(places.lockdown) + b"; T=" + marker + b"\n" + _LOOK, marker


_LOOK = rb"""printf '\n%s uid\n' "$T"; id -u
printf '\n%s kcore\n' "$T"; if [ -r "$k" ]; then echo readable; elif [ -e "$k" ]; then echo there; else echo absent; fi
printf '\n%s lockdown\n' "$T"; cat "$l" 2>/dev/null
printf '\n%s bytes\n' "$T"
if dd if=/dev/null bs=512 iflag=fullblock,skip_bytes,count_bytes skip=0 count=0 >/dev/null 2>&1; then echo yes; else echo no; fi
printf '\n%s boot\n' "$T"; cat /proc/sys/kernel/random/boot_id 2>/dev/null
printf '\n%s encrypted\n' "$T"; if [ -d /sys/class/block ]; then echo looked; fi
for d in /sys/class/block/dm-*; do
  u=; { IFS= read -r u < "$d/dm/uuid"; } 2>/dev/null
  case $u in CRYPT-*) n=; { IFS= read -r n < "$d/dm/name"; } 2>/dev/null; echo "$n $u";; esac
done
printf '\n%s iomem\n' "$T"; cat "$i" 2>/dev/null
printf '\n%s header\n' "$T"; dd if="$k" bs=4096 count=64 2>/dev/null
printf '\n%s end\n' "$T"
"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What stands there before anything is read. ``encrypted``: open encrypted volumes; None where nobody could look."""

    byte_flags: bool
    boot: str
    encrypted: tuple[str, ...] | None
    iomem: bytes
    header: bytes


def looked(output: bytes, marker: bytes, where: str) -> Looked:
    """The answer taken apart; a kernel that does not show its memory is refused by name.

    Raises:
        AcquireError: HW2190 no whole answer; HW2171 no kcore, HW2170 lockdown, HW2169 not root, HW2172 addresses hidden.
    """
    records = (record.partition(b"\n") for record in output.split(b"\n" + marker + b" ")[1:])
    said: Mapping[bytes, bytes] = {name: body for name, _, body in records}
    if b"end" not in said:
        raise AcquireError("HW2190", where, what="memory")
    state = said[b"kcore"].strip()
    if b"[confidentiality]" in said[b"lockdown"]:
        raise AcquireError("HW2170", where, what="confidentiality")
    if state == b"absent":
        raise AcquireError("HW2171", where)
    if said[b"uid"].strip() != b"0" or state != b"readable":
        raise AcquireError("HW2169", where, what=f"uid {said[b'uid'].strip().decode('ascii', 'replace')}")
    if len(said[b"header"]) < 64:
        raise AcquireError("HW2173", where, what="kcore cannot be read")
    listed = said[b"encrypted"].decode("utf-8", "replace").split("\n")
    volumes = tuple(line[:200] for line in listed[1:] if line.strip())
    return Looked(
        byte_flags=said[b"bytes"].strip() == b"yes",
        boot=said[b"boot"].strip().decode("ascii", "replace"),
        encrypted=volumes if listed[0] == "looked" else None,
        iomem=said[b"iomem"],
        header=said[b"header"],
    )


def beside_script(path: str) -> bytes:
    """Sends one file of the kernel's own; exit status 3 where it is not there."""
    return b"LC_ALL=C; export LC_ALL; p=" + quoted(path) + b'\n[ -r "$p" ] || exit 3\nexec cat "$p" </dev/null\n'


BOOT_SCRIPT = b"cat /proc/sys/kernel/random/boot_id 2>/dev/null\n"
KERNELS = Places()
