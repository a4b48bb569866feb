# SPDX-License-Identifier: Apache-2.0
"""Timestamp tokens of RFC 3161, checked offline against an archived chain with nothing but ``cryptography``.

1. The response says granted and holds a CMS SignedData (RFC 5652) over a TSTInfo (RFC 3161, 2.4.2).
2. The imprint is that of our bytes; the nonce, where one was asked, comes back.
3. The one signer's certificate is the one that the signed attributes name (ESSCertID, RFC 2634; ESSCertIDv2, RFC 5035).
4. The signed attributes hold the content's type and digest; the signature over them verifies.
5. The certificate may stamp time and nothing else (critical extended key usage), and a chain of signatures leads from
   it to a root of the archive; every certificate was valid at the time stated, every issuer is a CA.

Revocation is not looked up: the archive is meant to be read years later and without a network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from headwater.formats.certificates import unheard
from headwater.model.times import SECOND

SIGNED_DATA = "1.2.840.113549.1.7.2"
TST_INFO = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
ESS_CERT, ESS_CERT_V2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
RSA_PSS = "1.2.840.113549.1.1.10"
_HASHES: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    "1.3.14.3.2.26": ("sha1", hashes.SHA1()),  # noqa: S303 — ESSCertID alone still uses it; nothing is signed with it
    "2.16.840.1.101.3.4.2.1": ("sha256", hashes.SHA256()),
    "2.16.840.1.101.3.4.2.2": ("sha384", hashes.SHA384()),
    "2.16.840.1.101.3.4.2.3": ("sha512", hashes.SHA512()),
}
TOKEN_MOST = 1 << 20
_CHAIN_MOST = 8


class BadTokenError(ValueError):
    """The token does not verify; the words say why."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a token says: ``time_ns`` since 1970 UTC, known to ± ``accuracy_ns`` (0: the authority states none)."""

    time_ns: int
    accuracy_ns: int
    imprint: bytes
    serial: int
    policy: str
    nonce: int | None
    signer: str
    root: str  # SHA-256 of the root certificate in hex


@dataclass(frozen=True, slots=True)
class Node:
    """One DER element: tag byte, content, and its whole bytes."""

    tag: int
    content: bytes
    whole: bytes

    def children(self) -> list[Node]:
        return list(elements(self.content))

    def oid(self) -> str:
        if self.tag != 0x06 or not self.content:
            raise BadTokenError("an object identifier is missing")
        numbers, value = [], 0
        for byte in self.content:
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                numbers.append(value)
                value = 0
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))

    def integer(self) -> int:
        if self.tag not in {0x02, 0x80, 0x81}:
            raise BadTokenError("a number is missing")
        return int.from_bytes(self.content, "big", signed=True)


def elements(data: bytes) -> Iterator[Node]:
    """The DER elements that lie one after another in ``data`` (X.690; definite lengths, one-byte tags)."""
    at = 0
    while at < len(data):
        start = at
        if at + 2 > len(data) or data[at] & 0x1F == 0x1F:
            raise BadTokenError("broken DER")
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4 or at + count > len(data):
                raise BadTokenError("broken DER length")
            length = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + length > len(data):
            raise BadTokenError("DER is cut off")
        yield Node(tag, data[at : at + length], data[start : at + length])
        at += length


def _one(data: bytes, tag: int = 0x30) -> Node:
    found = list(elements(data))
    if len(found) != 1 or found[0].tag != tag:
        raise BadTokenError("not one element of the kind expected")
    return found[0]


def check(response: bytes, digest: bytes, chain: Sequence[bytes], nonce: int | None = None) -> Stamp:
    """Verify a TimeStampResp over a SHA-256 digest against certificates (DER) of which the self-signed are the roots.

    Raises:
        BadTokenError: says at which of the points of the module's docstring it fails.
    """
    try:
        with unheard():
            return _check(response, digest, chain, nonce)
    except BadTokenError:
        raise
    except (ValueError, LookupError, TypeError, OverflowError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
        raise BadTokenError(f"not a timestamp response: {error}") from error


def _check(response: bytes, digest: bytes, chain: Sequence[bytes], nonce: int | None) -> Stamp:
    if len(response) > TOKEN_MOST:
        raise BadTokenError("larger than a token may be")
    parts = _one(response).children()
    status = parts[0].children()[0].integer()
    if status not in {0, 1} or len(parts) < 2:
        raise BadTokenError(f"the authority refused (status {status})")
    content, embedded, signer = _signed_data(parts[1])
    info = _one(content).children()
    imprint = info[2].children()
    algorithm = imprint[0].children()[0].oid()
    if _HASHES.get(algorithm, ("",))[0] != "sha256" or imprint[1].content != digest:
        raise BadTokenError("the imprint is of other bytes")
    extras = info[5:]
    told = next((n.integer() for n in extras if n.tag == 0x02), None)
    if nonce is not None and told != nonce:
        raise BadTokenError("the nonce is another")
    moment = _time(info[4])
    leaf = _signer(signer, content, [*embedded, *chain])
    root = _chain(leaf, [*embedded, *chain], chain, moment)
    return Stamp(
        moment,
        _accuracy(next((n for n in extras if n.tag == 0x30), None)),
        digest,
        info[3].integer(),
        info[1].oid(),
        told,
        leaf.subject.rfc4514_string(),
        hashlib.sha256(root).hexdigest(),
    )


def _signed_data(token: Node) -> tuple[bytes, list[bytes], Node]:
    outer = token.children()
    if outer[0].oid() != SIGNED_DATA:
        raise BadTokenError("no signed data")
    signed = _one(outer[1].content).children()
    inner = signed[2].children()
    if inner[0].oid() != TST_INFO:
        raise BadTokenError("what is signed is no time")
    content = _one(inner[1].content, 0x04).content
    embedded = [n.whole for s in signed[3:] if s.tag == 0xA0 for n in s.children() if n.tag == 0x30]
    signers = signed[-1].children()
    if signed[-1].tag != 0x31 or len(signers) != 1:
        raise BadTokenError("not exactly one signer")
    return content, embedded, signers[0]


def _signer(signer: Node, content: bytes, certificates: Sequence[bytes]) -> x509.Certificate:
    parts = signer.children()
    if parts[1].tag != 0x30 or parts[3].tag != 0xA0:
        raise BadTokenError("a signer without name or signed attributes")
    name, algorithm = _HASHES[parts[2].children()[0].oid()]
    attributes: dict[str, Node] = {}
    for attribute in parts[3].children():
        pair = attribute.children()
        attributes[pair[0].oid()] = pair[1].children()[0]
    if CONTENT_TYPE not in attributes or attributes[CONTENT_TYPE].oid() != TST_INFO:
        raise BadTokenError("the signed attributes name another content")
    if name == "sha1" or attributes[MESSAGE_DIGEST].content != hashlib.new(name, content).digest():
        raise BadTokenError("the signed digest is of another content")
    leaf = _named(attributes, certificates)
    issuer, serial = parts[1].children()
    if leaf.serial_number != serial.integer() or leaf.issuer.public_bytes() != issuer.whole:
        raise BadTokenError("signer and certificate differ")
    data = b"\x31" + parts[3].whole[1:]  # RFC 5652, 5.4: signed as a SET OF, not with its tag in the message
    _verify(leaf.public_key(), parts[5].content, data, algorithm, parts[4].children()[0].oid())
    return leaf


def _named(attributes: dict[str, Node], certificates: Sequence[bytes]) -> x509.Certificate:
    """The certificate whose hash stands among the signed attributes."""
    if ESS_CERT_V2 in attributes:
        first = attributes[ESS_CERT_V2].children()[0].children()[0].children()
        name = _HASHES[first[0].children()[0].oid()][0] if first[0].tag == 0x30 else "sha256"
        wanted = first[1 if first[0].tag == 0x30 else 0].content
    elif ESS_CERT in attributes:
        name, wanted = "sha1", attributes[ESS_CERT].children()[0].children()[0].children()[0].content
    else:
        raise BadTokenError("the signed attributes name no certificate")
    for der in certificates:
        if hashlib.new(name, der).digest() == wanted:
            return x509.load_der_x509_certificate(der)
    raise BadTokenError("the signer's certificate is neither in the token nor in the archive")


def _verify(key: Any, signature: bytes, data: bytes, algorithm: hashes.HashAlgorithm, scheme: str) -> None:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if scheme == RSA_PSS:
                pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
                key.verify(signature, data, pss, algorithm)
            else:
                key.verify(signature, data, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        else:
            raise BadTokenError("a kind of key that is not understood")
    except InvalidSignature as error:
        raise BadTokenError("the signature does not verify") from error


def _chain(leaf: x509.Certificate, around: Sequence[bytes], archive: Sequence[bytes], moment: int) -> bytes:
    """The root (DER) that a chain of signatures leads to."""
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise BadTokenError("the certificate is not for timestamps alone")
    known = [x509.load_der_x509_certificate(der) for der in dict.fromkeys(around)]
    roots = set(archive)
    at = datetime.fromtimestamp(moment // SECOND, UTC)
    current = leaf
    for _ in range(_CHAIN_MOST):
        if not current.not_valid_before_utc <= at <= current.not_valid_after_utc:
            raise BadTokenError(f"the certificate of {current.subject.rfc4514_string()} was not valid at that time")
        der = _der(current)
        if current.issuer == current.subject:
            if der not in roots or not _issued(current, current):
                raise BadTokenError("its root is not in the archive")
            return der
        above = next((c for c in known if c.subject == current.issuer and _is_ca(c) and _issued(current, c)), None)
        if above is None:
            raise BadTokenError(f"nobody in the archive issued the certificate of {current.subject.rfc4514_string()}")
        current = above
    raise BadTokenError("the chain has no end")


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def _issued(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _time(node: Node) -> int:
    """GeneralizedTime in UTC with or without a fraction (RFC 3161, 2.4.2), as nanoseconds since 1970."""
    text = node.content.decode("ascii")
    if node.tag != 0x18 or not text.endswith("Z"):
        raise BadTokenError("the time is not in UTC")
    whole, _, fraction = text[:-1].partition(".")
    moment = datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND + int(fraction.ljust(9, "0")[:9] or "0")


def _accuracy(node: Node | None) -> int:
    if node is None:
        return 0
    total = 0
    for part in node.children():
        unit = {0x02: SECOND, 0x80: SECOND // 1000, 0x81: 1000}.get(part.tag)
        if unit is None:
            raise BadTokenError("the accuracy is not understood")
        total += part.integer() * unit
    return total


def certificates_of(pem: bytes) -> list[bytes]:
    """The certificates (DER) of a PEM file.

    Raises:
        BadTokenError: it holds none.
    """
    try:
        with unheard():
            return [_der(c) for c in x509.load_pem_x509_certificates(pem)]
    except ValueError as error:
        raise BadTokenError(f"no certificates: {error}") from error
