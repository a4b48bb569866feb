# SPDX-License-Identifier: Apache-2.0
"""A certificate that only claims an issuer is told from one that this issuer signed; nothing is called trusted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from headwater.formats import certificate_chain
from headwater.formats.certificate_chain import walk

START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = {
    name: ec.derive_private_key(number, ec.SECP256R1())
    for number, name in enumerate(("root", "middle", "leaf", "other"), 7)
}


def made(subject: str, issuer: str, key: str, by: str) -> x509.Certificate:
    name = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (subject, issuer)]
    builder = x509.CertificateBuilder(name[1], name[0], KEYS[key].public_key(), 5, START, START.replace(year=2036))
    return builder.sign(KEYS[by], hashes.SHA256())


ROOT = made("Root", "Root", "root", "root")
MIDDLE = made("Middle", "Root", "middle", "root")
LEAF = made("Leaf", "Middle", "leaf", "middle")
FORGED = made("Microsoft Windows", "Middle", "other", "other")  # names an issuer that never signed it


@pytest.mark.parametrize(
    ("leaf", "held", "names", "state"),
    [
        (LEAF, [MIDDLE, LEAF, ROOT], ("CN=Leaf", "CN=Middle", "CN=Root"), certificate_chain.ROOT),
        (LEAF, [LEAF, MIDDLE], ("CN=Leaf", "CN=Middle"), certificate_chain.OPEN),
        (LEAF, [LEAF], ("CN=Leaf",), certificate_chain.OPEN),
        (FORGED, [MIDDLE, ROOT], ("CN=Microsoft Windows",), certificate_chain.BROKEN),
        (ROOT, [ROOT], ("CN=Root",), certificate_chain.SELF),
        (made("Root", "Root", "root", "other"), [], ("CN=Root",), certificate_chain.BROKEN),
        # a namesake of the issuer beside the real one does not break the chain
        (LEAF, [made("Middle", "Root", "other", "root"), MIDDLE], ("CN=Leaf", "CN=Middle"), certificate_chain.OPEN),
    ],
)
def test_how_far_a_chain_holds(
    leaf: x509.Certificate, held: list[x509.Certificate], names: tuple[str, ...], state: str
) -> None:
    assert walk(leaf, held) == (names, state)


def test_certificates_that_issue_each_other_end() -> None:
    one, two = made("A", "B", "root", "middle"), made("B", "A", "middle", "root")
    assert walk(one, [one, two]).state == certificate_chain.DEEP
