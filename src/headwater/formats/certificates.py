# SPDX-License-Identifier: Apache-2.0
"""One X.509 certificate, out of evidence or as an operator gives it, and in what it departs from the standard, as a value.

The library that reads it says the same as warnings on stderr, in the middle of somebody's progress line and to nobody's
record; they are caught here, and kept unheard where a whole chain is checked. What is not allowed, RFC 5280: a serial number
that is not positive (4.1.2.2).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SERIAL, OTHER = "serial number not positive", "not encoded as RFC 5280 has it"


class Read(NamedTuple):
    """A certificate, its serial number, and its departures."""

    certificate: Certificate
    serial: int
    departures: tuple[str, ...]


def read(der: bytes) -> Read:
    """A certificate behind its DER. Raises ValueError or x509.InvalidVersion where the bytes are none that can be read."""
    from cryptography import x509  # here: most files carry no signature, and the import takes long

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        certificate = x509.load_der_x509_certificate(der)
        serial = certificate.serial_number
    found = [SERIAL] if serial <= 0 else []
    found += [OTHER] if any("serial number" not in str(each.message) for each in said) else []
    return Read(certificate, serial, tuple(found))


@contextmanager
def unheard() -> Iterator[None]:
    """Within, the library's warnings about certificates go nowhere: what is checked is whether the chain holds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
