# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined children before a listing: which journals a medium holds, and which its volumes ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.examine.opening import journals_of, media_of
from headwater.formats.ext_journal import journal_uuid, wanted_journal
from headwater.formats.keys import at_hand
from headwater.formats.media import open_medium
from headwater.model.errors import HeadwaterError
from headwater.procedure.child_targets import Message, open_files


def journals(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The identities of journals, hexadecimal: ``holds``, of volumes that are one; ``wants``, of volumes that have theirs
    elsewhere and were not cleanly unmounted."""
    try:
        medium = open_medium(open_files(args, fds))
        holds = [journal_uuid(source).hex() for source in journals_of(medium, at_hand())]
        wants = [wanted.hex() for source in media_of(medium, at_hand()) if (wanted := wanted_journal(source))]
    except HeadwaterError as error:
        yield {"error": {"code": error.code, "where": error.where, "names": error.names}}, b""
        return
    yield {"result": {"holds": holds, "wants": wants}}, b""
