# SPDX-License-Identifier: Apache-2.0
"""An upload in parts: what is larger than one PUT takes, such as the image of a disk.

Each part goes with its own digests; the object comes into being, whole and locked, when all are there, and not before.
An upload that fails is given up by name, so that no part of it stays behind.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO
from xml.sax.saxutils import escape

from headwater.model.errors import VaultError
from headwater.vault.storage import BLOCK

if TYPE_CHECKING:
    from headwater.vault.s3 import Bucket

PART = 256 << 20
_PARTS_MOST = 10_000  # of one object; a part has 5 MiB at least, but for the last
_ANSWER_MOST = 1 << 20


class _Slice:
    """So many bytes of a file from where it stands, as a body to send."""

    def __init__(self, held: BinaryIO, length: int) -> None:
        self._held, self._left = held, length

    def read(self, most: int = -1) -> bytes:
        data = self._held.read(self._left if most < 0 else min(most, self._left))
        self._left -= len(data)
        return data


def upload(bucket: Bucket, key: str, held: BinaryIO, size: int, lock: Mapping[str, str], part: int = PART) -> str:
    """Upload ``size`` bytes from the file's beginning under ``key`` with the headers of its lock; returns its version.

    Raises:
        VaultError: HW3019, the server refused or could not be reached; nothing of it stays there.
    """
    status, _, data = bucket.short("POST", key, query={"uploads": ""}, headers=lock)
    name = _text(data, "UploadId") if status == 200 else ""
    if not name:
        raise VaultError("HW3019", key, what=f"status {status}: {data[:200]!r}")
    part = max(part, -(-size // _PARTS_MOST))
    try:
        tags = [_part(bucket, key, name, held, at, min(part, size - at), at // part + 1) for at in range(0, size, part)]
        listed = "".join(
            f"<Part><PartNumber>{at}</PartNumber><ETag>{escape(tag)}</ETag></Part>" for at, tag in enumerate(tags, 1)
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        status, headers, data = bucket.short("POST", key, query={"uploadId": name}, body=body)
        version = headers.get("x-amz-version-id", "")
        if status != 200 or not version or b"<Error>" in data:  # a refusal can come with status 200 here
            raise VaultError("HW3019", key, what=f"status {status}, version {version!r}: {data[:200]!r}")
        return version
    except BaseException:
        with suppress(VaultError):  # the first error says more
            bucket.short("DELETE", key, query={"uploadId": name})
        raise


def _part(bucket: Bucket, key: str, name: str, held: BinaryIO, at: int, length: int, number: int) -> str:
    """Send one part; gives back its tag."""
    whole, check = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    held.seek(at)
    piece = _Slice(held, length)
    while block := piece.read(BLOCK):
        whole.update(block)
        check.update(block)
    held.seek(at)
    connection, answer = bucket.request(
        "PUT", key, query={"partNumber": str(number), "uploadId": name},
        headers={"Content-MD5": base64.b64encode(check.digest()).decode()},
        body=_Slice(held, length), sha256=whole.hexdigest(), length=length,
    )  # fmt: skip
    try:
        data = answer.read(_ANSWER_MOST)
        tag = answer.getheader("ETag") or ""
    except (OSError, http.client.HTTPException) as error:
        raise VaultError("HW3019", key, what=error) from error
    finally:
        connection.close()
    if answer.status != 200 or tag.strip('"') != check.hexdigest():
        raise VaultError("HW3019", key, what=f"part {number}: status {answer.status}, tag {tag!r}: {data[:200]!r}")
    return tag


def _text(data: bytes, wanted: str) -> str:
    try:
        tree = ET.fromstring(data)  # noqa: S314 — expat bounds entities since 2.4, and the size is bounded
    except ET.ParseError:
        return ""
    return next((n.text or "" for n in tree.iter() if n.tag.rpartition("}")[2] == wanted), "")
