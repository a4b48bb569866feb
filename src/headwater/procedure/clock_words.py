# SPDX-License-Identifier: Apache-2.0
"""What is assumed of each clock as short lines, each language on lines of its own."""

from __future__ import annotations

from collections.abc import Iterator

from headwater.correlate.skew import Skew
from headwater.model.kinds import TimeBasis
from headwater.model.nouns import Text
from headwater.procedure.clocks import ItemClock
from headwater.procedure.listing import in_language, languages
from headwater.procedure.story import ground_words
from headwater.report.words import BASIS


def item_lines(held: ItemClock, language: str) -> Iterator[str]:
    """One item: its name, then zone with its ground, how far its clock was off, and the bases of its events' times."""
    yield in_language(Text(f"检材 {held.clock}", f"evidence {held.clock}"), language) + f" · {held.name}"
    for each in languages(language):
        rows = ((_basis(name, each), count) for name, count in held.bases.items())
        bases = ("，" if each == "zh" else ", ").join(f"{name} {count:,}" for name, count in rows) or "-"
        zone = Text(f"时区 {held.zone}（依据：{ground_words(held.ground).zh}）；{_ahead(held.skew_ns).zh}",
                    f"zone {held.zone} (ground: {held.ground}); {_ahead(held.skew_ns).en}")  # fmt: skip
        yield "    " + in_language(zone, each)
        yield "    " + in_language(Text(f"事件时间的依据：{bases}", f"basis of the events' times: {bases}"), each)


def skew_lines(skew: Skew, language: str) -> Iterator[str]:
    """What events that two items both recorded say of the difference of their clocks."""
    said = Text(
        f"由 {skew.matched:,} 条两边均有记载的事件（{skew.ground}）估计：检材 {skew.first} 的时钟比检材 "
        f"{skew.second} 快 {skew.ahead / 1e9:g} 秒（居中半数在 {skew.low / 1e9:g} 至 {skew.high / 1e9:g} 秒之间）",
        f"by {skew.matched:,} events that both recorded ({skew.ground}): the clock of evidence {skew.first} is "
        f"{skew.ahead / 1e9:g} s ahead of evidence {skew.second} (middle half {skew.low / 1e9:g} to "
        f"{skew.high / 1e9:g} s)",
    )
    yield from (in_language(said, each) for each in languages(language))


def _ahead(skew_ns: int) -> Text:
    seconds = f"{abs(skew_ns) / 1e9:g}"
    if not skew_ns:
        return Text("未设时钟偏差", "no clock error assumed")
    if skew_ns > 0:
        return Text(f"时钟快 {seconds} 秒", f"its clock {seconds} s ahead")
    return Text(f"时钟慢 {seconds} 秒", f"its clock {seconds} s behind")


def _basis(name: str, language: str) -> str:
    try:
        return in_language(BASIS[TimeBasis(name)], language)
    except ValueError:  # a store of another version
        return name
