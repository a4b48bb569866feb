# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: F401, UP031, UP035
# Python 3.6 runs this: types stand in comments, which ruff does not read.
"""The collector's part 2: records of the stream, and how a file's bytes become some.

Its parts are joined into one script that runs on the server (:mod:`headwater.acquire.collector`): Python 3.6, the
standard library alone, no file opened but for reading. The form is told in :mod:`headwater.formats.collection`.
"""

import errno
import hashlib
import os
import signal
import stat
import time

MYPY = False
if MYPY:
    from types import FrameType
    from typing import Any, Dict, List, Optional, Tuple, Union

PIECE = 1 << 20
WHOLE = 256 << 10  # a file up to this size is one record
HASHED_HOLES = 16 << 30  # zeros of holes that are still digested; beyond it the digest is of the stored bytes alone
STUCK_SECONDS = 60
MARK = 12  # bytes by which a file that is held already is known
KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFCHR: "char", stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket",
}  # fmt: skip
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NOATIME = getattr(os, "O_NOATIME", 0)


class Full(Exception):
    """The stream has reached the size that it was given."""


class Gone(Exception):
    """Nobody takes the stream any more: no reason to go on reading a server's disk."""


class Stuck(OSError):
    """A read that did not come back."""


def now_ns():
    # type: () -> int
    """The server's clock, nanoseconds since 1970."""
    return int(getattr(time, "time_ns", lambda: time.time() * 1e9)())


def quoted(name):
    # type: (bytes) -> str
    """Bytes as one line of text, from which they can be had back (percent-encoding)."""
    return "".join(chr(b) if 32 < b < 127 and b != 37 else "%%%02X" % b for b in name)


def mark(path, inode, size, modified, changed):
    # type: (bytes, int, int, int, int) -> bytes
    """By what a file that is held already is known: its name, and that nobody wrote to it since."""
    facts = b"%d %d %d %d " % (inode, size, modified, changed)
    return hashlib.sha256(facts + path).digest()[:MARK]


class Marks:
    """Marks of files, sorted, one behind the other: a million take twelve megabytes."""

    def __init__(self, held=b""):
        # type: (bytes) -> None
        self.held = held
        self.passed = 0

    def has(self, path, st):
        # type: (bytes, os.stat_result) -> bool
        """Whether a file is held as it is now; counts those that are."""
        low, high = 0, len(self.held) // MARK
        if not high:
            return False
        wanted = mark(path, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
        while low < high:
            middle = (low + high) // 2
            if self.held[middle * MARK : middle * MARK + MARK] < wanted:
                low = middle + 1
            else:
                high = middle
        found = self.held[low * MARK : low * MARK + MARK] == wanted
        self.passed += found
        return found


def new_md5():
    # type: () -> Any
    """An MD5 to update; None where the system's policy forbids it."""
    try:
        return hashlib.md5()  # noqa: S324 - asked for beside SHA-256
    except ValueError:
        try:
            return hashlib.new("md5", usedforsecurity=False)
        except (TypeError, ValueError):
            return None


class Wire:
    """Writes records to a descriptor, gathered so that a hundred thousand small files are not as many writes."""

    def __init__(self, fd, marker, most=1 << 62):
        # type: (int, bytes, int) -> None
        self.fd = fd
        self.marker = marker
        self.most = most
        self.sent = 0
        self.files = 0
        self._held = []  # type: List[bytes]
        self._size = 0

    def start(self):
        # type: () -> None
        """The first line, by which the stream is known and which names the marker of its records."""
        self._put([b"HWCOL1 ", self.marker, b"\n"])

    def record(self, kind, fields, last=b"", data=b""):
        # type: (str, Dict[str, Any], bytes, Union[bytes, memoryview]) -> None
        """One record: its fields as lines, raw bytes after them (``path``), and data."""
        head = "".join("%s=%s\n" % (k, v) for k, v in fields.items() if v is not None).encode("ascii")
        if last:
            head += b"path=" + last
        line = b"%s %s %d %d\n" % (self.marker, kind.encode(), len(head), len(data))
        self._put([line, head, data])  # type: ignore[list-item]

    def _put(self, parts):
        # type: (List[bytes]) -> None
        size = sum(len(p) for p in parts)
        if self.sent + size > self.most:
            raise Full()
        self.sent += size
        self._held.extend(parts)
        self._size += size
        if self._size >= PIECE or len(self._held) > 900:
            self.flush()

    def flush(self):
        # type: () -> None
        """Write out what is held."""
        parts, self._held, self._size = [p for p in self._held if len(p)], [], 0
        while parts:
            try:
                done = os.writev(self.fd, parts[:1000])
            except OSError as error:
                raise Gone(str(error)) from error
            while parts and done >= len(parts[0]):
                done -= len(parts.pop(0))
            if done:
                parts[0] = memoryview(parts[0])[done:]  # type: ignore[call-overload]


class Watch:
    """An alarm that ends a read which hangs; it does nothing while we wait for our own line."""

    def __init__(self):
        # type: () -> None
        self.reading = False
        try:
            signal.signal(signal.SIGALRM, self._ring)
        except ValueError:  # not the main thread: no alarm can be had
            self.__class__.set = staticmethod(lambda seconds: None)  # type: ignore[assignment,method-assign]

    def _ring(self, number, frame):
        # type: (int, Optional[FrameType]) -> None
        if self.reading:
            self.reading = False
            raise Stuck(errno.ETIMEDOUT, "no answer for %d s" % STUCK_SECONDS)

    def set(self, seconds):
        # type: (int) -> None
        """Ring in so many seconds; 0: not at all."""
        self.reading = bool(seconds)
        signal.alarm(seconds)


def facts_of(st):
    # type: (os.stat_result) -> Dict[str, Any]
    """What the system says of a name, read before the content is."""
    fields = {
        "kind": KINDS.get(stat.S_IFMT(st.st_mode), "other"), "mode": st.st_mode, "uid": st.st_uid, "gid": st.st_gid,
        "size": st.st_size, "inode": st.st_ino, "dev": st.st_dev, "links": st.st_nlink, "modified": st.st_mtime_ns,
        "accessed": st.st_atime_ns, "changed": st.st_ctime_ns,
    }  # type: Dict[str, Any]  # fmt: skip
    if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        fields["rdev"] = st.st_rdev
    return fields


def open_file(name, parent, follow=False):
    # type: (Union[bytes, str], Optional[int], bool) -> Tuple[int, str]
    """(descriptor, ``kept`` or ``may-change``): the access time stays where the system lets us leave it."""
    flags = READ & ~os.O_NOFOLLOW if follow else READ
    try:
        return os.open(name, flags | NOATIME, dir_fd=parent), "kept" if NOATIME else "may-change"
    except PermissionError:
        return os.open(name, flags, dir_fd=parent), "may-change"


class Sender:
    """Sends files: whole where they are small, in pieces where they are not, holes as holes."""

    def __init__(self, wire, file_most):
        # type: (Wire, int) -> None
        self.wire = wire
        self.watch = Watch()
        self.file_most = file_most

    def content(self, fields, path, name, parent, seen=None, follow=False):
        # type: (Dict[str, Any], bytes, Union[bytes, str], Optional[int], Optional[os.stat_result], bool) -> None
        """Send a regular file; what goes wrong is said in its record. ``follow``: the name is a link of /proc."""
        fd = -1
        fields["at"] = now_ns()
        self.watch.set(STUCK_SECONDS)
        try:
            fd, fields["atime"] = open_file(name, parent, follow)
            st = os.fstat(fd)
            if not stat.S_ISREG(st.st_mode):
                raise OSError(errno.EINVAL, "no longer a regular file")
            if seen is not None and (st.st_ino, st.st_dev) != (seen.st_ino, seen.st_dev):
                fields.update(facts_of(st))  # another file took the name's place meanwhile
                fields["why"] = quoted(b"replaced between listing and opening")
            fields["size"] = st.st_size
            if st.st_size <= WHOLE and st.st_size <= self.file_most:
                self._whole(fd, st, fields, path)
            else:
                self._pieces(fd, st, fields, path)
        except OSError as error:
            self.failed(fields, path, error)
        finally:
            self.watch.set(0)
            if fd >= 0:
                os.close(fd)

    def failed(self, fields, path, error):
        # type: (Dict[str, Any], bytes, OSError) -> None
        """A record of what could not be had, and why."""
        gone = error.errno in (errno.ENOENT, errno.ESRCH)
        fields["status"] = "missing" if gone else "failed"
        why = "vanished before it was read" if gone else error.strerror or type(error).__name__
        fields["why"] = quoted(why.encode("utf-8", "replace"))
        fields.setdefault("at", now_ns())
        self.wire.record("F", fields, path)

    def link(self, fields, path, target):
        # type: (Dict[str, Any], bytes, bytes) -> None
        """A symbolic link and where it points; nobody follows it."""
        fields["kind"], fields["target"], fields["status"] = "link", len(target), "success"
        self.wire.record("F", fields, path + target)

    def _whole(self, fd, st, fields, path):
        # type: (int, os.stat_result, Dict[str, Any], bytes) -> None
        data = os.read(fd, st.st_size) if st.st_size else b""
        while len(data) < st.st_size:
            more = os.read(fd, st.st_size - len(data))
            if not more:
                break
            data += more
        self.watch.set(0)
        after = os.fstat(fd)
        fields["size"] = len(data)
        fields["sha256"] = hashlib.sha256(data).hexdigest()
        md5 = new_md5()
        if md5 is not None:
            md5.update(data)
            fields["md5"] = md5.hexdigest()
        self._end(fields, st, after, len(data))
        self.wire.record("F", fields, path, data)

    def _end(self, fields, st, after, taken):
        # type: (Dict[str, Any], os.stat_result, os.stat_result, int) -> None
        fields["status"] = "success" if taken else "empty"
        if taken < st.st_size:
            fields["changed_while_read"] = "shrank"
        elif after.st_size > st.st_size:
            fields["changed_while_read"] = "grew"
        elif (after.st_mtime_ns, after.st_ctime_ns) != (st.st_mtime_ns, st.st_ctime_ns):
            fields["changed_while_read"] = "written"

    def _pieces(self, fd, st, fields, path):
        # type: (int, os.stat_result, Dict[str, Any], bytes) -> None
        self.wire.record("B", fields, path)
        sha, md5 = hashlib.sha256(), new_md5()
        end = {"status": "failed"}  # type: Dict[str, Any]
        at, size, holes = 0, min(st.st_size, self.file_most), 0
        try:
            for start, stop in extents(fd, st, size):
                holes += start - at
                self._hole(start - at, sha, md5, holes <= HASHED_HOLES)
                at = start
                while at < stop:
                    self.watch.set(STUCK_SECONDS)
                    data = os.pread(fd, min(PIECE, stop - at), at)
                    self.watch.set(0)
                    if not data:
                        break
                    at += len(data)
                    self._data(data, sha, md5)
                if at < stop:
                    break
            else:
                holes += size - at
                self._hole(size - at, sha, md5, holes <= HASHED_HOLES)
                at = size
            self._end(end, st, os.fstat(fd), at if size == st.st_size else st.st_size)
            if size < st.st_size:
                end["status"], end["why"] = "cut", quoted(b"larger than the limit for one file")
        except OSError as error:
            end["why"] = quoted((error.strerror or type(error).__name__).encode("utf-8", "replace"))
        self.watch.set(0)
        end.update(size=at, sha256=sha.hexdigest(), md5=None if md5 is None else md5.hexdigest(), end=now_ns())
        if holes > HASHED_HOLES:
            end["digest_of"] = "stored"
        self.wire.record("E", end)

    def _data(self, data, sha, md5):
        # type: (bytes, Any, Any) -> None
        sha.update(data)
        if md5 is not None:
            md5.update(data)
        self.wire.record("D", {}, b"", data)

    def _hole(self, length, sha, md5, digest):
        # type: (int, Any, Any, bool) -> None
        if length <= 0:
            return
        zeros = bytes(PIECE)
        left = length if digest else 0
        while left > 0:
            some = zeros[:left] if left < PIECE else zeros
            sha.update(some)
            if md5 is not None:
                md5.update(some)
            left -= len(some)
        self.wire.record("S", {"length": length})


def extents(fd, st, size):
    # type: (int, os.stat_result, int) -> List[Tuple[int, int]]
    """Ranges [start, stop) of a file that hold data; all of it where the file system tells of no holes."""
    if st.st_blocks * 512 >= size:
        return [(0, size)]
    found, at = [], 0  # type: List[Tuple[int, int]], int
    try:
        while at < size and len(found) < 100000:
            start = os.lseek(fd, at, os.SEEK_DATA)
            stop = os.lseek(fd, start, os.SEEK_HOLE)
            if start >= size:
                break
            found.append((start, min(stop, size)))
            at = stop
        else:
            if at < size:
                found.append((at, size))
    except OSError as error:
        if error.errno != errno.ENXIO:  # no data behind this place
            return [(0, size)]
    return found
