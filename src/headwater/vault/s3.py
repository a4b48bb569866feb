# SPDX-License-Identifier: Apache-2.0
"""An S3-compatible store with Object Lock in compliance mode: written once, read by version, checked after upload.

Requests are signed by AWS Signature Version 4 over ``http.client``; nothing of a vendor's SDK is needed.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html

A content is one object named by its SHA-256. After the upload exactly that version is read back and digested; the
verdict lies beside it, locked too. Reading takes the oldest version: whatever somebody puts over it later is another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import tempfile
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Protocol

from headwater.formats.canonical import canonical
from headwater.model.errors import IntegrityError, VaultError
from headwater.vault import s3_parts
from headwater.vault.storage import BLOCK, Stored, named

_SECONDS = 60.0
_PUT_MOST = 5 << 30  # one PUT takes no more: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_XML_MOST = 16 << 20
_EMPTY = hashlib.sha256(b"").hexdigest()
_VERDICT = ".verdict.json"


class Body(Protocol):
    """What is sent is read from it."""

    def read(self, most: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bucket is and who we are there. ``url`` is ``http(s)://host[:port]``; objects are addressed by path."""

    url: str
    bucket: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"


class Bucket:
    """Signed requests to one bucket."""

    def __init__(self, place: Place) -> None:
        parts = urllib.parse.urlsplit(place.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise VaultError("HW3019", place.url, what="not an http or https address")
        self._place, self._parts = place, parts

    def request(
        self, method: str, key: str, *, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None,
        body: bytes | Body = b"", sha256: str = _EMPTY, length: int = 0,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:  # fmt: skip
        """One request; the caller closes the connection.

        Raises:
            VaultError: HW3019 where the server cannot be reached.
        """
        path = urllib.parse.quote(f"/{self._place.bucket}{'/' + key if key else ''}", safe="/-_.~")
        listed = urllib.parse.urlencode(sorted((query or {}).items()), quote_via=urllib.parse.quote, safe="-_.~")
        sent = self._signed(method, path, listed, dict(headers or {}), sha256)
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(str(self._parts.hostname), self._parts.port, timeout=_SECONDS)
        try:
            target = path + (f"?{listed}" if listed else "")
            connection.request(method, target, body, sent | {"Content-Length": str(length)})
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise VaultError("HW3019", self._place.url, what=error) from error

    def _signed(self, method: str, path: str, query: str, headers: dict[str, str], sha256: str) -> dict[str, str]:
        """The headers with date and authorisation (Signature Version 4)."""
        now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        headers |= {"host": self._parts.netloc, "x-amz-date": now, "x-amz-content-sha256": sha256}
        lower = {k.lower(): v.strip() for k, v in headers.items()}
        names = ";".join(sorted(lower))
        listed = "".join(f"{k}:{lower[k]}\n" for k in sorted(lower))
        asked = "\n".join((method, path, query, listed, names, sha256))
        scope = f"{now[:8]}/{self._place.region}/s3/aws4_request"
        text = "\n".join(("AWS4-HMAC-SHA256", now, scope, hashlib.sha256(asked.encode()).hexdigest()))
        key = b"AWS4" + self._place.secret_key.encode()
        for part in (now[:8], self._place.region, "s3", "aws4_request", text):
            key = hmac.new(key, part.encode(), "sha256").digest()
        who = f"Credential={self._place.access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
        return headers | {"Authorization": f"AWS4-HMAC-SHA256 {who}"}

    def short(
        self, method: str, key: str, *, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> tuple[int, Mapping[str, str], bytes]:  # fmt: skip
        """A request with a small answer: status, headers, body."""
        sha256 = hashlib.sha256(body).hexdigest()
        connection, answer = self.request(
            method, key, query=query, headers=headers, body=body, sha256=sha256, length=len(body)
        )
        try:
            data = answer.read(_XML_MOST)
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data
        except (OSError, http.client.HTTPException) as error:
            raise VaultError("HW3019", self._place.url, what=error) from error
        finally:
            connection.close()

    def make(self) -> None:
        """Make the bucket with Object Lock, which can only be switched on then."""
        status, _, data = self.short("PUT", "", headers={"x-amz-bucket-object-lock-enabled": "true"})
        if status not in {200, 409}:
            raise VaultError("HW3019", self._place.bucket, what=f"status {status}: {data[:200]!r}")

    def locks(self) -> bool:
        """Whether the bucket has Object Lock."""
        status, _, data = self.short("GET", "", query={"object-lock": ""})
        return status == 200 and b"Enabled" in data


class LockedStore:
    """The port of ``storage`` over a bucket with Object Lock; ``days`` is how long each content is locked.

    ``prefix`` parts several stores in one bucket; it ends with ``/`` or is empty. ``single``: bytes up to which a content
    is sent at once; what is larger goes in parts of ``part`` bytes.
    """

    def __init__(
        self, place: Place, days: int, prefix: str = "", *, single: int = _PUT_MOST, part: int = s3_parts.PART
    ) -> None:
        self._prefix, self._single, self._part = prefix, single, part
        self.bucket = Bucket(place)
        self._days = days
        if not self.bucket.locks():
            raise VaultError("HW3019", place.bucket, what="Object Lock is not on: nothing would be held fast")

    def put(self, source: BinaryIO) -> Stored:
        """Upload, read that version back, digest it, and lay the verdict beside it.

        Raises:
            VaultError: HW3019; IntegrityError: HW3003 where what came back is not what was sent.
        """
        with tempfile.TemporaryFile() as held:
            whole, part, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
            while block := source.read(BLOCK):
                whole.update(block)
                part.update(block)
                size += len(block)
                held.write(block)
            sha256 = whole.hexdigest()
            known = self._versions(self._key(sha256))
            if known:
                for _ in self.blocks(sha256):
                    pass
                return Stored(sha256, size, known[0])
            held.seek(0)
            version = self._upload(self._key(sha256), held, size, sha256, part.digest())
        found = hashlib.sha256()
        for block in self._get(self._key(sha256), version):
            found.update(block)
        said = {"sha256": sha256, "size": size, "version": version, "checked": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                "result": "match" if found.hexdigest() == sha256 else "mismatch"}  # fmt: skip
        data = canonical(said)
        with tempfile.TemporaryFile() as held:
            held.write(data)
            held.seek(0)
            md5 = hashlib.md5(data, usedforsecurity=False).digest()
            self._upload(self._key(sha256) + _VERDICT, held, len(data), hashlib.sha256(data).hexdigest(), md5)
        if found.hexdigest() != sha256:
            raise IntegrityError("HW3003", self._key(sha256), expected=sha256, found=found.hexdigest())
        return Stored(sha256, size, version)

    def _upload(self, key: str, held: BinaryIO, size: int, sha256: str, md5: bytes) -> str:
        until = datetime.now(UTC) + timedelta(days=self._days)
        lock = {
            "x-amz-object-lock-mode": "COMPLIANCE",
            "x-amz-object-lock-retain-until-date": f"{until:%Y-%m-%dT%H:%M:%SZ}",
        }
        if size > self._single:
            return s3_parts.upload(self.bucket, key, held, size, lock, self._part)
        headers = lock | {"Content-MD5": base64.b64encode(md5).decode()}
        connection, answer = self.bucket.request("PUT", key, headers=headers, body=held, sha256=sha256, length=size)
        try:
            data = answer.read(_XML_MOST)
            version = answer.getheader("x-amz-version-id") or ""
        except (OSError, http.client.HTTPException) as error:
            raise VaultError("HW3019", key, what=error) from error
        finally:
            connection.close()
        if answer.status != 200 or not version:
            raise VaultError("HW3019", key, what=f"status {answer.status}, version {version!r}: {data[:200]!r}")
        return version

    def verdict(self, sha256: str) -> bytes:
        """What was said of a content right after its upload."""
        key = self._key(sha256) + _VERDICT
        versions = self._versions(key)
        return b"".join(self._get(key, versions[0])) if versions else b""

    def blocks(self, sha256: str) -> Iterator[bytes]:
        found = hashlib.sha256()
        for block in self._get(self._key(sha256), self._oldest(sha256)):
            found.update(block)
            yield block
        if found.hexdigest() != sha256:
            raise IntegrityError("HW3003", self._key(sha256), expected=sha256, found=found.hexdigest())

    def version(self, sha256: str, version: str) -> Iterator[bytes]:
        """One version of a content in blocks; raises IntegrityError HW3003 at the end where it is another content."""
        found = hashlib.sha256()
        for block in self._get(self._key(sha256), version):
            found.update(block)
            yield block
        if found.hexdigest() != sha256:
            raise IntegrityError("HW3003", self._key(sha256), expected=sha256, found=found.hexdigest())

    def read_at(self, sha256: str, offset: int, length: int) -> bytes:
        if length <= 0:
            return b""
        wanted = {"Range": f"bytes={offset}-{offset + length - 1}"}
        return b"".join(self._get(self._key(sha256), self._oldest(sha256), wanted))

    def names(self) -> list[str]:
        keys = {key.rpartition("/")[2] for key, _ in self._listed(self._prefix)}
        return sorted(k for k in keys if len(k) == 64)

    def _get(self, key: str, version: str, headers: Mapping[str, str] | None = None) -> Iterator[bytes]:
        connection, answer = self.bucket.request("GET", key, query={"versionId": version}, headers=headers)
        try:
            if answer.status == 416:  # beyond the end
                return
            if answer.status != (206 if headers and "Range" in headers else 200):  # the whole is no part of it
                raise VaultError("HW3019", key, what=f"status {answer.status}: {answer.read(200)!r}")
            while block := answer.read(BLOCK):
                yield block
        except (OSError, http.client.HTTPException) as error:
            raise VaultError("HW3019", key, what=error) from error
        finally:
            connection.close()

    def _oldest(self, sha256: str) -> str:
        versions = self._versions(self._key(sha256))
        if not versions:
            raise VaultError("HW3015", sha256, what="not stored")
        return versions[0]

    def _versions(self, key: str) -> list[str]:
        """The versions of an object, oldest first."""
        return [version for each, version in self._listed(key) if each == key]

    def _listed(self, prefix: str) -> list[tuple[str, str]]:
        """(key, version) of all objects under a prefix, oldest first."""
        found: list[tuple[str, str, str]] = []
        query, asked = {"versions": "", "prefix": prefix}, set()
        while True:
            marks = (query.get("key-marker", ""), query.get("version-id-marker", ""))
            if marks in asked:
                raise VaultError("HW3019", prefix, what="the server lists the same page again")
            asked.add(marks)
            status, _, data = self.bucket.short("GET", "", query=query)
            if status != 200:
                raise VaultError("HW3019", prefix, what=f"status {status}: {data[:200]!r}")
            try:
                tree = ET.fromstring(data)  # noqa: S314 — expat bounds entities since 2.4, and the size is bounded
            except ET.ParseError as error:
                raise VaultError("HW3019", prefix, what=error) from error
            for node in tree.iter():
                if node.tag.rpartition("}")[2] == "Version":
                    said = {c.tag.rpartition("}")[2]: c.text or "" for c in node}
                    found.append((said.get("LastModified", ""), said.get("Key", ""), said.get("VersionId", "")))
            said = {c.tag.rpartition("}")[2]: c.text or "" for c in tree}
            if said.get("IsTruncated") != "true" or not said.get("NextKeyMarker"):
                found.reverse()  # of equal times the server lists the newest first
                return [(k, v) for _, k, v in sorted(found, key=lambda f: f[0])]
            query |= {"key-marker": said["NextKeyMarker"], "version-id-marker": said.get("NextVersionIdMarker", "")}

    def _key(self, sha256: str) -> str:
        return f"{self._prefix}{named(sha256)[:2]}/{sha256}"
