# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: F401, UP006, UP031, UP035, UP045
# Python 3.6 runs this: types stand in comments, which ruff does not read.
"""The collector's part 3: the walk over a running system that finds and sends what patterns name.

A path that several artifacts name is sent once, by the first.
"""

import errno
import os
import re
import stat
import sys

from headwater.acquire.collector_patterns import (
    WEB_CONFIG,
    WEB_CONFIG_BYTES,
    WEB_CONFIG_FILES,
    compiled,
    expanded,
    fixed,
    homes,
    part_match,
    resolved,
    step,
    web_roots,
)
from headwater.acquire.collector_wire import NOATIME, STUCK_SECONDS, Marks, Sender, facts_of

MYPY = False
if MYPY:
    from typing import Any, Callable, Iterator, List, Optional, Pattern, Set, Tuple

    Rule = Tuple[bytes, Pattern[bytes], Optional[Pattern[bytes]]]

DEPTH_MOST = 400  # one descriptor each
# A dead server hangs whoever enters its files for ever.
NETWORK = frozenset(
    b"nfs nfs4 cifs smb3 smbfs 9p afs ceph glusterfs lustre ncpfs fuse.sshfs fuse.s3fs fuse.ossfs fuse.cosfs fuse.glusterfs "
    b"fuse.ceph fuse.rclone fuse.gvfsd-fuse fuse.portal fuse.goofys fuse.juicefs autofs".split()
)
# No file system of files: entered only where a pattern begins in it.
MADE_UP = frozenset(
    b"proc sysfs devpts cgroup cgroup2 debugfs tracefs securityfs pstore bpf mqueue hugetlbfs configfs fusectl binfmt_misc "
    b"efivarfs nsfs rpc_pipefs selinuxfs".split()
)


MOUNTS = b"/proc/self/mountinfo"


def mounts():
    # type: () -> Tuple[dict[bytes, bytes], Optional[OSError]]
    """Mount points and the types of what is mounted there, from the kernel; and why not, where it does not say."""
    found = {}  # type: dict[bytes, bytes]
    try:
        with open(MOUNTS, "rb") as table:
            for line in table:
                words = line.split()
                point = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m.group(1), 8)]), words[4])
                found[point] = words[words.index(b"-") + 1]
    except OSError as error:
        return found, error  # without the table every folder is entered, and the record says so
    except (ValueError, IndexError):
        return found, OSError(errno.EINVAL, "not a mount table: every folder is entered")
    return found, None


def small(path, most=1 << 20):
    # type: (bytes, int) -> bytes
    """The beginning of a small file, for our own use; empty where it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (NOATIME if os.geteuid() == 0 else 0))
    except OSError:
        return b""
    try:
        return os.read(fd, most) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(fd)


def served():
    # type: () -> List[bytes]
    """The folders that this system's web servers serve, by their configuration."""
    found, count = [], 0  # type: List[bytes], int
    for top in WEB_CONFIG:
        for folder, below, names in os.walk(top):
            below.sort()
            for name in sorted(names):
                count += 1
                if count > WEB_CONFIG_FILES:
                    return found
                found.extend(r for r in web_roots(small(folder + b"/" + name, WEB_CONFIG_BYTES)) if r not in found)
    return found


class Walker:
    """Walks this system for patterns and sends what they name."""

    def __init__(self, sender, marks=None):
        # type: (Sender, Optional[Marks]) -> None
        self.sender = sender
        self.marks = Marks() if marks is None else marks
        self.rules = []  # type: List[Rule]
        self.before = []  # type: List[Rule]
        self.mounts, self.blind = mounts()
        self.linked = set()  # type: Set[bytes]
        self.homes = homes(small(b"/etc/passwd"))
        self.roots = served()
        self.artifact = ""
        self.open = {}  # type: dict[bytes, List[Pattern[bytes]]]

    def collect(self, artifact, patterns, exclude):
        # type: (str, List[bytes], List[bytes]) -> None
        """Send everything that the patterns of one artifact name and nothing before has.

        Patterns that begin at the same folder share one walk: a search of the whole disk is made once.
        """
        self.artifact = artifact
        if self.blind is not None:  # said once, with the first artifact
            self._refused(MOUNTS, self.blind)
            self.blind = None
        self.open = {}
        no = compiled(exclude)
        groups = {}  # type: dict[bytes, List[List[bytes]]]
        for pattern in patterns:
            for one in expanded(pattern, self.homes, self.roots):
                todo, links = resolved(one, self._readlink)
                yes = compiled(todo)
                if yes is not None:
                    self.open.setdefault(pattern, []).append(yes)
                for path in links:
                    self._send_link(path)
                    self.open.pop(pattern, None)
                for each in todo:
                    folder, rest = fixed(each)
                    if rest not in groups.setdefault(folder, []):
                        groups[folder].append(rest)
        for folder, rests in groups.items():
            literal = [r for r in rests if len(r) == 1 and not set(r[0]) & set(b"*?[")]
            self._group(folder, literal, no)
            self._group(folder, [r for r in rests if r not in literal], no)
        for pattern in self.open:
            self.sender.wire.record("M", {"artifact": artifact, "status": "missing"}, pattern)

    def pseudo(self, artifact, patterns, send):
        # type: (str, List[bytes], Callable[[str, bytes], None]) -> None
        """Files of /proc and /sys, by patterns of one wildcard; the listing there is the kernel's."""
        for pattern in patterns:
            folder, rest = fixed(pattern)
            if len(rest) == 1:
                send(artifact, pattern)
                continue
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                names = []
            for name in names:
                path = folder + b"/" + name + b"/" + b"/".join(rest[1:])
                if part_match(rest[0], name) and os.path.lexists(path):
                    send(artifact, path)

    def _readlink(self, path):
        # type: (bytes) -> Optional[bytes]
        try:
            return os.readlink(path) if stat.S_ISLNK(os.lstat(path).st_mode) else None
        except OSError:
            return None

    def _send_link(self, path):
        # type: (bytes) -> None
        if path in self.linked or any(yes.match(path) and not (no and no.match(path)) for _, yes, no in self.rules):
            return
        self.linked.add(path)
        try:
            fields = facts_of(os.lstat(path))
            fields["artifact"] = self.artifact
            self.sender.link(fields, path, os.readlink(path))
        except OSError as error:
            self.sender.failed({"artifact": self.artifact, "kind": "link"}, path, error)

    def _group(self, folder, rests, no):
        # type: (bytes, List[List[bytes]], Optional[Pattern[bytes]]) -> None
        """What stands in one folder, and below it."""
        yes = compiled(folder + b"/" + b"/".join(rest) for rest in rests)
        if yes is None:
            return
        self.before = [r for r in self.rules if r[0].startswith(folder) or folder.startswith(r[0])]
        try:
            self._network(folder)
            if len(rests[0]) == 1 and rests[0][0] != b"**" and not set(rests[0][0]) & set(b"*?["):
                for rest in rests:
                    path = folder.rstrip(b"/") + b"/" + rest[0]
                    if os.path.lexists(path):
                        self._entry(path, path, None, no)
            else:
                if [b"**"] in rests and folder != b"/":
                    os.lstat(folder)
                    self._entry(folder, folder, None, no)
                self._walk(folder, rests, no)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                self._refused(folder, error)
        self.rules.append((folder, yes, no))

    def _network(self, folder):
        # type: (bytes) -> None
        """Refuse a folder that lies on a network file system."""
        at = folder
        while at not in self.mounts and at != b"/":
            at = os.path.dirname(at)
        kind = self.mounts.get(at, b"")
        if kind in NETWORK:
            raise OSError(errno.EREMOTE, "not entered: %s is mounted there" % kind.decode("latin-1"))

    def _open(self, name, parent):
        # type: (bytes, Optional[int]) -> int
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK
        flags |= os.O_NOFOLLOW if parent is not None else 0
        self.sender.watch.set(STUCK_SECONDS)
        try:
            try:
                return os.open(name, flags | NOATIME, dir_fd=parent)
            except PermissionError:
                return os.open(name, flags, dir_fd=parent)
        finally:
            self.sender.watch.set(0)

    def _walk(self, folder, states, no):
        # type: (bytes, List[List[bytes]], Optional[Pattern[bytes]]) -> None
        """Folder by folder with a stack of our own; of a folder only the names of folders in it are held, as one text."""
        fd = self._open(folder, None)
        path = folder.rstrip(b"/")
        stack = [(path, fd, states, self._names(path, fd, states, no))]
        try:
            while stack:
                path, fd, states, below = stack[-1]
                name = next(below, None)
                if name is None:
                    stack.pop()
                    os.close(fd)
                    continue
                here = path + b"/" + name
                left = step(states, name)[1]
                try:
                    if self.mounts.get(here, b"") in MADE_UP:  # its name is listed; there are no files in it
                        continue
                    if self.mounts.get(here, b"") in NETWORK:
                        kind = self.mounts[here].decode("latin-1")
                        raise OSError(errno.EREMOTE, "not entered: %s is mounted there" % kind)
                    if len(stack) >= DEPTH_MOST:
                        raise OSError(errno.ENAMETOOLONG, "more than %d folders deep" % DEPTH_MOST)
                    child = self._open(name, fd)
                except OSError as error:
                    self._refused(here, error)
                    continue
                stack.append((here, child, left, self._names(here, child, left, no)))
        finally:
            for _, fd, _, _ in stack:
                os.close(fd)

    def _refused(self, path, error):
        # type: (bytes, OSError) -> None
        self._hit(path)
        fields = {"artifact": self.artifact, "kind": "folder-content"}
        self.sender.failed(fields, path, error)

    def _hit(self, path):
        # type: (bytes) -> None
        """Remember which patterns have found something: the others are listed as missing."""
        for pattern, made in list(self.open.items()):
            if any(yes.match(path) for yes in made):
                del self.open[pattern]

    def _names(self, path, fd, states, no):
        # type: (bytes, int, List[List[bytes]], Optional[Pattern[bytes]]) -> Iterator[bytes]
        """Send what is meant in one folder; then give the names of the folders to enter."""
        enter = bytearray()
        where = fd if sys.version_info >= (3, 7) else b"/proc/self/fd/%d" % fd  # type: Any
        try:
            for found in os.scandir(where):
                name = os.fsencode(found.name)
                here = path + b"/" + name
                meant, below = step(states, name)
                if (not meant and not below) or (no is not None and no.match(here)):
                    continue
                if meant:
                    self._entry(here, name, fd, no)
                if below and found.is_dir(follow_symlinks=False):
                    enter += name + b"\0"
        except OSError as error:
            self._refused(path or b"/", error)
        at = 0
        while at < len(enter):
            end = enter.index(b"\0", at)
            yield bytes(enter[at:end])
            at = end + 1

    def _entry(self, path, name, parent, no):
        # type: (bytes, bytes, Optional[int], Optional[Pattern[bytes]]) -> None
        """Send one name, unless an earlier artifact has."""
        if no is not None and no.match(path):
            return
        if self.open:
            self._hit(path)
        for _, yes, other in self.before:
            if yes.match(path) and not (other is not None and other.match(path)):
                return
        if path in self.linked:
            return
        try:
            st = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if self.marks.has(path, st):
                return
            fields = facts_of(st)
            fields["artifact"] = self.artifact
            if stat.S_ISREG(st.st_mode):
                self.sender.content(fields, path, name, parent, st)
            elif stat.S_ISLNK(st.st_mode):
                self.sender.link(fields, path, os.readlink(name, dir_fd=parent))
            else:
                # of a folder its listing is taken; FIFOs, sockets and devices are listed and never opened
                fields["status"] = "success" if stat.S_ISDIR(st.st_mode) else "listed"
                self.sender.wire.record("F", fields, path)
        except OSError as error:
            self.sender.failed({"artifact": self.artifact, "kind": "other"}, path, error)
