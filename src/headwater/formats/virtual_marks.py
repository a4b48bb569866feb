# SPDX-License-Identifier: Apache-2.0
"""By what the kinds of virtual disk are known, without loading what reads them.

The specifications stand with the readers: :mod:`headwater.formats.qcow2_header`, ``vmdk_sparse``, ``vmdk_descriptor``,
``vhd``, ``vhdx`` and ``vdi``.
"""

from __future__ import annotations

from headwater.model.ports import ByteSource

QCOW2 = b"QFI\xfb"
HOSTED, ESX = b"KDMV", b"COWD"  # sparse extents of a VMDK
DESCRIPTOR = b"# Disk DescriptorFile"
VHD, VHDX = b"conectix", b"vhdxfile"
VDI, VDI_AT = b"\x7f\x10\xda\xbe", 0x40
VDI_IDENTITY = slice(0x188, 0x198)
KINDS = frozenset({"qcow2", "vmdk", "vhd", "vhdx", "vdi"})
_MARKS = (
    ("qcow2", 0, QCOW2),
    ("vmdk", 0, HOSTED),
    ("vmdk", 0, ESX),
    ("vmdk", 0, DESCRIPTOR),
    ("vhdx", 0, VHDX),
    ("vhd", 0, VHD),
    ("vdi", VDI_AT, VDI),
)
_FIXED_VHD = (".vhd", ".avhd")


def kind_of(source: ByteSource, name: str) -> str:
    """One of :data:`KINDS`, or ``''``.

    A fixed VHD is marked at its end alone, where a raw disk ends with what its owner wrote: the mark counts only
    under a VHD's name.
    """
    head = source.pread(0, 512)
    for kind, at, mark in _MARKS:
        if head[at : at + len(mark)] == mark:
            return kind
    if name.lower().endswith(_FIXED_VHD) and source.size > 512:
        tail = source.pread(source.size - 512, 9)
        return "vhd" if VHD in tail else ""
    return ""
