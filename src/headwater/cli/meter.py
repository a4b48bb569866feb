# SPDX-License-Identifier: Apache-2.0
"""Progress of long work on stderr: done, total, rate, time left; one line on a terminal, else one now and then."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Iterable

from headwater.cli.printing import inert
from headwater.model.columns import cut
from headwater.model.voice import Voice

_NAMES = {
    "hash": ("校验", "hashing"),
    "list": ("列目", "listing"),
    "parse": ("解析", "parsing"),
    "content": ("文件内容", "file contents"),
    "yara": ("YARA 检索", "YARA rules"),
    "find": ("查找", "searching"),
    "detect": ("检测", "detecting"),
    "sigma": ("Sigma 规则", "Sigma rules"),
    "report": ("报告", "report"),
    "image": ("镜像", "imaging"),
    "collect": ("提取", "collecting"),
    "resume": ("重读已写部分", "reading what is held"),
    "read-back": ("回读镜像", "reading back"),
    "read-again": ("再次读取检材", "reading the source again"),
    "verify": ("核验", "verifying"),
    "memory": ("内存", "memory"),
    "capture": ("抓包", "capturing"),
}


_UNITS = {
    "entries": ("项", "entries"),
    "detectors": ("个检测器", "detectors"),
    "rules": ("条规则", "rules"),
    "files": ("个文件", "files"),
}
_SURE = 10.0  # per cent done before the time left is foretold …
_PATIENT = 60.0  # … or seconds worked: the start of a stage (children that start, the first small files) says little,
_UNEVEN = {"parse": 600.0, "content": 600.0, "yara": 600.0}  # and of these, small files by the thousand first, less
_WINDOW = 60.0  # seconds that the foretold rate is taken from, at least


def span(seconds: float, language: str = "both") -> str:
    """Seconds in words for a forecast: rounded up, never 0."""
    second, minute, hour = ("秒", "分钟", "小时") if language == "zh" else ("s", "min", "h")
    whole = max(1, math.ceil(seconds))
    if whole < 120:
        return f"{whole} {second}"
    return f"{math.ceil(whole / 60)} {minute}" if whole < 7200 else f"{whole / 3600:.1f} {hour}"


def size(count: float) -> str:
    """Bytes in words, binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


class Meter:
    """A progress that prints. Use it as a context: left in peace, what is under way is said to have reached its total.

    A reader who finds a last line of 37 % cannot know whether the work ended there.
    """

    def __init__(self, language: str = "both") -> None:
        """``language``: zh, en or both, as the case has it."""
        self._voice = Voice(language)
        self._live = sys.stderr.isatty()
        self._stage = ""
        self._began = self._told = 0.0
        self._open = self._shown = False
        self._marks: list[tuple[float, int]] = []  # when, and how much was done; each at least a window apart
        self._ended: tuple[str, int, int | None] | None = None  # the total that was said to be reached last
        self._last: tuple[int, int | None, str] | None = None  # done, total, unit, where not printed as complete

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._complete()
        self.end()

    def __call__(self, stage: str, done: int, total: int | None, unit: str) -> None:
        """Told of progress; prints at most four times a second on a terminal, every ten seconds elsewhere."""
        now = time.monotonic()
        fresh = stage != self._stage
        if fresh or (self._last is not None and done < self._last[0]):  # the next stage, or this one anew
            self._complete()
            self.end()
            self._stage, self._began, fresh = stage, now, True
            self._marks = [(now, done)]
        elif now - self._marks[-1][0] >= _WINDOW:
            self._marks = [self._marks[-1], (now, done)]
        last = total is not None and done >= total
        if not fresh and last and self._ended == (stage, done, total):
            return  # said already
        self._ended = (stage, done, total) if last else None
        self._last = None if last else (done, total, unit)
        self._shown = False
        if not fresh and not last and now - self._told < (0.25 if self._live else 10.0):
            return
        self._told, self._shown = now, True
        self._print(self._words(stage, done, total, unit, now - self._began))

    def _words(self, stage: str, done: int, total: int | None, unit: str, elapsed: float) -> str:
        say = self._voice.word
        name, counted = self._voice.label(*_NAMES.get(stage, (stage, stage))), say(*_UNITS.get(unit, (unit, unit)))
        show = size if unit == "bytes" else (lambda n: f"{n:,.0f} {counted}")
        words = f"{name}{show(done)}"
        if total:
            words = f"{name}{show(done) if unit == 'bytes' else f'{done:,}'} / {show(total)} ({100 * done // total} %)"
        rate = done / elapsed if elapsed > 0.5 else 0.0
        if rate >= 1:
            words += f", {show(rate)}/{'秒' if self._voice.language == 'zh' else 's'}"
        left = self._left(done, total, elapsed)
        return words if left is None else f"{words}, {say('剩余', 'left')} {span(left, self._voice.language)}"

    def _left(self, done: int, total: int | None, elapsed: float) -> float | None:
        """Seconds left at the rate of the last minute or two; none while too little is done to foretell it."""
        if not total or not self._marks or elapsed <= 0.5 or not 0 < done < total:
            return None
        if 100 * done < _SURE * total and elapsed < _UNEVEN.get(self._stage, _PATIENT):
            return None
        since, held = self._marks[0]
        passed, moved = self._began + elapsed - since, done - held
        return (total - done) * passed / moved if moved > 0 and passed > 0 else None

    def _complete(self) -> None:
        """The last line of a stage that is over, at its full total."""
        if self._last is not None:
            done, total, unit = self._last
            if total is not None or not self._shown:
                done = done if total is None else max(done, total)
                self._print(self._words(self._stage, done, total, unit, time.monotonic() - self._began))
            self._last = None

    def _print(self, words: str) -> None:
        if self._live:
            # a line that the terminal broke could not be written over
            room = shutil.get_terminal_size().columns
            sys.stderr.write(f"\r\x1b[K{cut(words, max(room - 1, 8))}")
            self._open = True
        else:
            sys.stderr.write(words + "\n")
        sys.stderr.flush()

    def tell(self, lines: Iterable[str]) -> None:
        """Lines of news between two stages."""
        self._complete()
        self.end()
        self._stage = ""
        for words in lines:
            sys.stderr.write(inert(words) + "\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Close the open line."""
        if self._open:
            sys.stderr.write("\n")
            self._open = False
