# SPDX-License-Identifier: Apache-2.0
"""Signatures of Windows programs and of catalogs: what was digested, who signed, when; PKCS#7 SignedData.

Source: RFC 2315; "Windows Authenticode Portable Executable Signature Format" (SpcIndirectDataContent); catalogs are certificate trust
lists, https://learn.microsoft.com/windows/win32/seccrypto/certificate-trust-list-overview. The chain is walked as far as the file
carries it (:mod:`headwater.formats.certificate_chain`): a signer is whom the certificate names, trusted or not, revoked or not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from headwater.formats import certificates
from headwater.formats.certificate_chain import Chain, walk
from headwater.formats.der import GENERAL_TIME, OCTETS, SEQUENCE, SET, UTC_TIME, Element, child, element, oid, within

ALGORITHMS = {"1.2.840.113549.2.5": "md5", "1.3.14.3.2.26": "sha1", "2.16.840.1.101.3.4.2.1": "sha256",
              "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512"}  # fmt: skip
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_INDIRECT = "1.3.6.1.4.1.311.2.1.4"
_TRUST_LIST = "1.3.6.1.4.1.311.10.1"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_TIME = bytes.fromhex("06092a864886f70d010905")
_CERTIFICATES_MOST = 64
_SERIAL_MOST = 64  # bytes; RFC 5280 allows 20
MEMBERS_MOST = 200_000


@dataclass(frozen=True, slots=True)
class Signed:
    """``holds``: the signer's own key fits the signature and what it signs; None where that could not be tried.

    ``algorithm``, ``digest``: of the program, as the signature states it; ``members``: (algorithm, digest) of a catalog;
    ``departures``: in what the signer's certificate is not as the standard has it;
    ``listed``: when a catalog was made, ``signed``: when a countersignature says the file was signed, as ASN.1 texts.
    """

    subject: str | None
    issuer: str | None
    serial: str | None
    holds: bool | None
    algorithm: str | None = None
    digest: str | None = None
    signed: str | None = None
    listed: str | None = None
    members: tuple[tuple[str, str], ...] = ()
    departures: tuple[str, ...] = ()
    chain: Chain | None = None


def signed(data: bytes) -> Signed:
    """What one PKCS#7 signature says. Raises ValueError where the bytes are none."""
    outer = element(data, 0, len(data))
    if oid(data, child(data, outer, 0)) != _SIGNED_DATA:
        raise ValueError("no signed data")
    body = child(data, outer, 1, 0)
    parts = list(within(data, body))
    if len(parts) < 4:
        raise ValueError("signed data without its parts")
    content = parts[2]
    kind = oid(data, child(data, content, 0))
    signer = child(data, parts[-1], 0)
    subject, issuer, serial, holds, departures, chain = _signer(data, parts, signer, content)
    time = _time(data, signer)
    if kind == _INDIRECT:
        algorithm, digest = _digest(data, child(data, content, 1, 0))
        return Signed(subject, issuer, serial, holds, algorithm, digest, time, departures=departures, chain=chain)
    if kind == _TRUST_LIST:
        listing = child(data, content, 1, 0)
        made, members = _members(data, listing)
        return Signed(
            subject,
            issuer,
            serial,
            holds,
            signed=time,
            listed=made,
            members=members,
            departures=departures,
            chain=chain,
        )
    return Signed(subject, issuer, serial, holds, signed=time, departures=departures, chain=chain)


def _digest(data: bytes, indirect: Element) -> tuple[str | None, str | None]:
    """Algorithm and digest of a SpcIndirectDataContent."""
    algorithm = oid(data, child(data, indirect, 1, 0, 0))
    told = child(data, indirect, 1, 1)
    return ALGORITHMS.get(algorithm, algorithm), data[told.start : told.end].hex()


def _members(data: bytes, listing: Element) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    """When a trust list was made, and the digests of its members that state one."""
    made, members = None, list[tuple[str, str]]()
    for part in within(data, listing):
        if part.tag in (UTC_TIME, GENERAL_TIME) and made is None:
            made = data[part.start : part.end].decode("ascii", "replace")
        elif part.tag == SEQUENCE and made is not None:
            for subject in within(data, part):
                if subject.tag == SEQUENCE and len(members) < MEMBERS_MOST:
                    members.extend(_member(data, subject))
    return made, tuple(members)


def _member(data: bytes, subject: Element) -> Iterator[tuple[str, str]]:
    for part in within(data, subject):
        if part.tag != SET:
            continue
        for attribute in within(data, part):
            if attribute.tag == SEQUENCE and oid(data, child(data, attribute, 0)) == _INDIRECT:
                algorithm, digest = _digest(data, child(data, attribute, 1, 0))
                if algorithm and digest:
                    yield algorithm, digest


def _signer(
    data: bytes, parts: list[Element], signer: Element, content: Element
) -> tuple[str | None, str | None, str | None, bool | None, tuple[str, ...], Chain | None]:
    """Subject, issuer and serial number of the signer's certificate, whether its key fits, its departures, its chain."""
    from cryptography import x509  # here: most files carry no signature, and the import takes long
    from cryptography.exceptions import UnsupportedAlgorithm

    named = child(data, signer, 1)
    wanted = child(data, named, 1)
    if wanted.end - wanted.start > _SERIAL_MOST:
        raise ValueError("a serial number that cannot be")
    number = int.from_bytes(data[wanted.start : wanted.end], "big", signed=True)
    bag = next((p for p in parts if p.tag == 0xA0), None)
    carried: list[x509.Certificate] = []
    signing: tuple[x509.Certificate, str, str, tuple[str, ...]] | None = None
    for place, held in enumerate(within(data, bag) if bag is not None else ()):
        if place >= _CERTIFICATES_MOST:
            break
        try:
            found, serial, departures = certificates.read(data[held.at : held.end])
            subject, issuer = found.subject.rfc4514_string(), found.issuer.rfc4514_string()
        except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
            continue
        carried.append(found)
        if serial == number and signing is None:
            signing = found, subject, issuer, departures
    if signing is None:
        return None, None, f"{number:x}", None, (), None
    found, subject, issuer, departures = signing
    return subject, issuer, f"{number:x}", _holds(data, found, signer, content), departures, walk(found, carried)


def _holds(data: bytes, certificate: object, signer: Element, content: Element) -> bool | None:
    """Whether the signature over the attributes fits the key, and their digest the content."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.x509 import Certificate

    parts = list(within(data, signer))
    if len(parts) < 3:
        return None
    name = ALGORITHMS.get(oid(data, child(data, parts[2], 0)))
    attributes = next((p for p in parts if p.tag == 0xA0), None)
    value = next((p for p in parts[3:] if p.tag == OCTETS), None)
    if name is None or attributes is None or value is None or not isinstance(certificate, Certificate):
        return None
    inner = child(data, content, 1, 0)
    stated = next(
        (child(data, a, 1, 0) for a in within(data, attributes) if oid(data, child(data, a, 0)) == _MESSAGE_DIGEST),
        None,
    )
    if stated is None:
        return None
    if (
        hashlib.new(name, data[inner.start : inner.end], usedforsecurity=False).digest()
        != data[stated.start : stated.end]
    ):
        return False
    told = b"\x31" + data[attributes.at + 1 : attributes.end]
    kinds: dict[str, hashes.HashAlgorithm] = {
        "md5": hashes.MD5(), "sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512(),  # noqa: S303 – what was signed with
    }  # fmt: skip
    algorithm = kinds[name]
    try:
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(data[value.start : value.end], told, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(data[value.start : value.end], told, ec.ECDSA(algorithm))
        else:
            return None
    except InvalidSignature:
        return False
    except (ValueError, UnsupportedAlgorithm):
        return None
    return True


def _time(data: bytes, signer: Element) -> str | None:
    """The signing time that stands in the signer's part: of the countersignature where there is one, it is the last."""
    at = data.rfind(_SIGNING_TIME, signer.start, signer.end)
    if at < 0:
        return None
    try:
        told = child(data, element(data, at + len(_SIGNING_TIME), signer.end), 0)
    except ValueError:
        return None
    return data[told.start : told.end].decode("ascii", "replace") if told.tag in (UTC_TIME, GENERAL_TIME) else None
