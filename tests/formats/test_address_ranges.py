# SPDX-License-Identifier: Apache-2.0
"""A list of countries answers for the narrowest range, says nothing where it is silent, and bad lines are counted."""

from __future__ import annotations

from headwater.formats.address_ranges import ranges

# SOURCE: written for these tests; documentation ranges of RFC 5737 and RFC 3849.
LIST = b"""\xef\xbb\xbfnetwork,country
# a comment
203.0.113.0/24,AA
"203.0.113.64","203.0.113.127","BB"
3221225984,3221226239,CC
2001:db8::/32,DD
203.0.113.9,2001:db8::1,EE
203.0.113.9,203.0.113.1,EE
nonsense,\xff\x00,EE
198.51.100.0/24,
"""


def test_the_narrowest_range_answers_and_silence_stays_silence() -> None:
    held = ranges(LIST)
    asked = ["203.0.113.1", "203.0.113.70", "192.0.2.5", "2001:db8::5", "198.51.100.1", "8.8.8.8", "no address", ""]
    assert [held.country(a) for a in asked] == ["AA", "BB", "CC", "DD", None, None, None, None]
    assert (len(held), held.unread) == (4, 5)
    assert len(held.sha256) == 64
