# SPDX-License-Identifier: Apache-2.0
"""Who issued the certificate of a signer, as far as the signature carries the certificates itself.

Each certificate is held against the key of the one above it (RFC 5280, 6.1.3 (a)(1)). Which roots a Windows trusts is no
part of a file, so that nothing here says "trusted"; validity in time, purposes and revocation are not weighed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

DEPTH = 8
SELF = "self-signed"
ROOT = "holds to a self-signed root"
OPEN = "holds as far as it is carried, the last issuer is not in the file"
BROKEN = "broken: not signed by the issuer that it names"
UNTRIED = "not tried: an algorithm that is not known here"
DEEP = f"more than {DEPTH} certificates"


class Chain(NamedTuple):
    """The subjects from the signer upwards, and how far it holds: one of the words above."""

    names: tuple[str, ...]
    state: str


def walk(leaf: Certificate, held: Sequence[Certificate]) -> Chain:
    """Go up from the signer's certificate through those that the signature carries beside it."""
    names, current = [leaf.subject.rfc4514_string()], leaf
    for _ in range(DEPTH):
        if current.issuer == current.subject:
            good = _issued(current, current)
            whole = SELF if current is leaf else ROOT
            return Chain(tuple(names), whole if good else UNTRIED if good is None else BROKEN)
        above = [c for c in held if c.subject == current.issuer and c is not current]
        if not above:
            return Chain(tuple(names), OPEN)
        tried = [(_issued(current, c), c) for c in above]
        parent = next((c for good, c in tried if good), None)
        if parent is None:
            return Chain(tuple(names), UNTRIED if any(good is None for good, _ in tried) else BROKEN)
        names.append(parent.subject.rfc4514_string())
        current = parent
    return Chain(tuple(names), DEEP)


def _issued(certificate: Certificate, by: Certificate) -> bool | None:
    """Whether a certificate is signed with the key of another; None where that cannot be tried."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(by)
    except InvalidSignature:
        return False
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return True
