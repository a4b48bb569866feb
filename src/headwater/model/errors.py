# SPDX-License-Identifier: Apache-2.0
"""Numbered errors in Chinese and English.

HeadwaterError
├── UsageError              HW0xxx  the command line or the case folder; of HW1xxx names, dates and fields that are none
├── AuthorityError          HW1xxx  authority, scope, people
├── AcquireError            HW2xxx  sources: missing, empty, broken, unsupported
├── VaultError              HW3xxx  ledger, seal, custody; IntegrityError always stops
│   └── IntegrityError
├── ExamineError            HW4xxx  reading evidence, parsers, confinement
├── StoreError              HW5xxx  the event store
├── DetectError             HW6xxx  rules and detectors
└── ReportError             HW7xxx  the report

Bad *evidence* is a Gap, not an exception; these are for us: unauthorised, unverified, unwritable, unusable.
The table of codes stands in ``CODES``; each has a message and a hint in both languages with named places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from headwater.model.codes import CODES
from headwater.model.phrases import DETAILS, in_chinese


@runtime_checkable
class Bilingual(Protocol):
    """Words in both languages, such as ``nouns.Text``."""

    @property
    def zh(self) -> str: ...
    @property
    def en(self) -> str: ...


class HeadwaterError(Exception):
    """Base of every error that a person sees; ``code`` is stable, ``where`` says what it concerns.

    ``names`` fill the places of the message; a ``Text`` among them speaks each language in its own message, and a plain
    ``what`` that stands in :mod:`phrases` is said in Chinese there. ``reasons``
    are further sentences, each a line of its own.
    """

    def __init__(self, code: str, where: str = "", *, reasons: Sequence[Bilingual] = (), **names: object) -> None:
        if code not in CODES:
            raise KeyError(f"unknown error code {code}")
        self.code = code
        self.where = where
        self.reasons = tuple(reasons)
        self.names = {k: v.en if isinstance(v, Bilingual) else str(v) for k, v in names.items()}
        self._zh = {k: v.zh for k, v in names.items() if isinstance(v, Bilingual)}
        super().__init__("; ".join([f"{code} {self.text('en')}", *(r.en for r in self.reasons)]))

    def _filled(self, form: str, language: str) -> str:
        names = self.names
        if language == "zh":
            names = names | {"what": in_chinese(names.get("what", ""), DETAILS)} | self._zh
        return form.format_map(names | {"where": self.where})

    def text(self, language: str) -> str:
        """The message in ``zh`` or ``en``, with its named places filled."""
        entry = CODES[self.code]
        return self._filled(entry.zh if language == "zh" else entry.en, language)

    def hint(self, language: str) -> str:
        """What the person can do, in ``zh`` or ``en``; may be empty."""
        entry = CODES[self.code]
        return self._filled(entry.hint_zh if language == "zh" else entry.hint_en, language)


class UsageError(HeadwaterError):
    """The command line or the case folder cannot be used as given."""


class AuthorityError(HeadwaterError):
    """The act is not covered by a recorded authority."""


class AcquireError(HeadwaterError):
    """A source cannot be taken in at all."""


class VaultError(HeadwaterError):
    """The vault cannot be written or read."""


class IntegrityError(VaultError):
    """Something sealed does not match its digest, signature or chain."""


class ExamineError(HeadwaterError):
    """The examination cannot run (our fault or the machine's, not the evidence's)."""


class StoreError(HeadwaterError):
    """The event store cannot be written or queried."""


class DetectError(HeadwaterError):
    """A rule directory or detector cannot be used."""


class ReportError(HeadwaterError):
    """The report cannot be made."""
