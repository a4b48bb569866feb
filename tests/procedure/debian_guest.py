# SPDX-License-Identifier: Apache-2.0
"""A small virtual machine (QEMU, no hardware help) of Debian's own kernel with an SSH server and nothing else.

The kernel is looked for in ``/boot`` and ``/lib/modules``, or below ``HEADWATER_GUEST_ROOT`` (an unpacked linux-image package).
"""

from __future__ import annotations

import gzip
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "acquire"))

from loopback_sshd import Server, sshd_or_skip

MIB = 1 << 20
_INIT = """#!/bin/sh
mkdir -p /proc /sys /dev; mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /run/sshd /var/empty /tmp; mount -t devpts pts /dev/pts
for m in /modules/*.ko; do insmod $m; done
ifconfig lo 127.0.0.1 up; ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
echo guest-is-up
exec /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config
"""
_CONFIG = """Port 22
HostKey /etc/ssh/host
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin yes
StrictModes no
UsePAM no
PasswordAuthentication no
PidFile none
"""


def pattern() -> bytes:
    """One MiB that stands in the guest's memory and nowhere else."""
    return random.Random(6).randbytes(MIB)


def _kernel() -> tuple[Path, Path]:
    root = Path(os.environ.get("HEADWATER_GUEST_ROOT", "/"))
    for kernel in sorted((root / "boot").glob("vmlinuz-*"), reverse=True):
        modules = root / "lib/modules" / kernel.name.removeprefix("vmlinuz-")
        found = list(modules.glob("kernel/drivers/net/ethernet/intel/e1000/e1000.ko*"))
        if found and found[0].suffix == ".ko":
            return kernel, found[0]
    pytest.skip("no Debian kernel here (linux-image-amd64, or HEADWATER_GUEST_ROOT)")


def _libraries(program: str) -> set[str]:
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(/\S+) \(0x", said))


def _cpio(files: dict[str, tuple[int, bytes]]) -> bytes:
    """An archive in the new ASCII format: name → (mode, content), folders made where they are needed."""
    whole: dict[str, tuple[int, bytes]] = {}
    for name, value in files.items():
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            whole.setdefault("/".join(parts[:depth]), (0o040755, b""))
        whole[name] = value
    whole["TRAILER!!!"] = (0, b"")
    out = bytearray()
    for number, (name, (mode, data)) in enumerate(whole.items(), 1):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def _initramfs(server: Server, module: Path) -> bytes:
    busybox = shutil.which("busybox")
    if (
        busybox is None
        or "not a dynamic" not in subprocess.run(["ldd", busybox], capture_output=True, text=True, check=False).stderr
    ):
        pytest.skip("a static busybox is absent (busybox-static)")
    exe, plain = 0o100755, 0o100644
    files = {
        "init": (exe, _INIT.encode()),
        "bin/busybox": (exe, Path(busybox).read_bytes()),
        "modules/e1000.ko": (plain, module.read_bytes()),
        "usr/sbin/sshd": (exe, Path(server.sshd).resolve().read_bytes()),
        "etc/ssh/sshd_config": (plain, _CONFIG.encode()),
        "etc/ssh/host": (0o100600, (server.folder / "host").read_bytes()),
        "etc/ssh/authorized_keys": (plain, (server.folder / "client.pub").read_bytes()),
        "etc/passwd": (plain, b"root:x:0:0::/:/bin/sh\nsshd:x:100:100::/run/sshd:/bin/false\n"),
        "etc/group": (plain, b"root:x:0:\nsshd:x:100:\n"),
        "pattern": (plain, pattern()),
    }
    for library in _libraries(server.sshd):
        files[library.lstrip("/")] = (exe, Path(library).resolve().read_bytes())
    names = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    files |= {f"bin/{n}": (0o120777, b"busybox") for n in names if n != "busybox"}
    return gzip.compress(_cpio(files), 1)


@contextmanager
def guest(folder: Path, memory: int = 176, command: str = "") -> Iterator[Server]:
    """The machine, once it answers; ``port`` and ``known_hosts`` of the server lead to it.

    ``memory``: MiB; ``command``: further words for the kernel.
    """
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        pytest.skip("qemu-system-x86_64 is absent")
    kernel, module = _kernel()
    server = Server(folder, sshd_or_skip())
    server.make()
    (folder / "initrd").write_bytes(_initramfs(server, module))
    words = [
        qemu, "-accel", "tcg", "-m", str(memory), "-kernel", str(kernel), "-initrd", str(folder / "initrd"), "-nographic",
        "-no-reboot", "-append", f"console=ttyS0 panic=-1 {command}", "-monitor", "none",
        "-nic", f"user,model=e1000,restrict=on,hostfwd=tcp:127.0.0.1:{server.port}-:22",
    ]  # fmt: skip
    with open(folder / "console", "wb") as console:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
    try:
        _await(server, process, folder / "console")
        yield server
    finally:
        process.kill()
        process.wait()


def _await(server: Server, process: subprocess.Popen[bytes], console: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, console.read_bytes()[-2000:]
        if b"guest-is-up" in console.read_bytes():
            try:
                with socket.create_connection(("127.0.0.1", server.port), 5) as probe:
                    probe.settimeout(5)
                    if probe.recv(4) == b"SSH-":
                        return
            except OSError:
                pass  # forwarded, but nobody listens yet
        time.sleep(0.5)
    raise AssertionError(console.read_bytes()[-2000:])
