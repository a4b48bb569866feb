# SPDX-License-Identifier: Apache-2.0
"""How a screen speaks: in Chinese, in English, or in both, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headwater.model.nouns import Text

LANGUAGES = ("zh", "en", "both")


@dataclass(frozen=True, slots=True)
class Voice:
    """A reader's language, ``zh``, ``en`` or ``both``; words that are alike in both are said once."""

    language: str = "both"

    @property
    def languages(self) -> tuple[str, ...]:
        """``both`` as its two, in the order in which they are said."""
        return ("zh", "en") if self.language == "both" else (self.language,)

    def each(self, zh: str, en: str) -> list[str]:
        """What is said, once for each language."""
        return list(dict.fromkeys(zh if one == "zh" else en for one in self.languages))

    def word(self, zh: str, en: str) -> str:
        """A word or a short phrase."""
        return " ".join(self.each(zh, en))

    def sentence(self, zh: str, en: str) -> str:
        """A whole sentence; a dot stands between the languages."""
        return " · ".join(self.each(zh, en))

    def text(self, text: Text) -> str:
        """A sentence that is held in both languages."""
        return self.sentence(text.zh, text.en)

    def label(self, zh: str, en: str) -> str:
        """What stands before a value, its colon and, where the script has one, the space behind it included."""
        return self.word(zh, en) + ("：" if self.language == "zh" else ": ")
