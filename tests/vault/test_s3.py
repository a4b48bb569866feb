# SPDX-License-Identifier: Apache-2.0
"""Object Lock that does not hold: on SeaweedFS (moto lets retention be shortened, so it proves nothing)."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
from typing import Any

import pytest

from headwater.model.errors import VaultError
from headwater.vault.s3 import Bucket, LockedStore, Place


def test_verdict_lies_beside_the_content(place: Place) -> None:
    store = LockedStore(place, 1)
    put = store.put(io.BytesIO(b"verdict"))
    said = json.loads(store.verdict(put.sha256))
    assert (said["result"], said["version"], said["sha256"]) == ("match", put.version, put.sha256)


def test_every_way_round_the_lock_is_refused(place: Place) -> None:
    store = LockedStore(place, 30)
    put = store.put(io.BytesIO(b"locked evidence"))
    bucket, key = Bucket(place), f"{put.sha256[:2]}/{put.sha256}"
    this = {"versionId": put.version}
    assert bucket.short("DELETE", key, query=this)[0] == 403
    assert bucket.short("DELETE", key, query=this, headers={"x-amz-bypass-governance-retention": "true"})[0] == 403
    for mode, until in (("COMPLIANCE", "2026-01-01T00:00:00Z"), ("GOVERNANCE", "2099-01-01T00:00:00Z")):
        body = f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>".encode()
        md5 = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
        status = bucket.short("PUT", key, query=this | {"retention": ""}, headers=md5, body=body)[0]
        assert status >= 400, mode
    assert b"".join(store.blocks(put.sha256)) == b"locked evidence"


def test_what_is_put_over_it_or_hides_it_changes_nothing(place: Place) -> None:
    store = LockedStore(place, 1)
    put = store.put(io.BytesIO(b"the first"))
    bucket, key = Bucket(place), f"{put.sha256[:2]}/{put.sha256}"
    assert bucket.short("PUT", key, body=b"the second")[0] == 200
    assert bucket.short("DELETE", key)[0] in {200, 204}  # a delete marker: hides, does not remove
    assert b"".join(store.blocks(put.sha256)) == b"the first"
    assert store.put(io.BytesIO(b"the first")).version == put.version


def test_bucket_without_lock_or_wrong_key_is_refused(place: Place) -> None:
    plain = Place(place.url, "plain", place.access_key, place.secret_key)
    assert Bucket(plain).short("PUT", "")[0] == 200
    with pytest.raises(VaultError, match="Object Lock is not on"):
        LockedStore(plain, 1)
    with pytest.raises(VaultError):
        LockedStore(Place(place.url, place.bucket, place.access_key, "wrong"), 1)
    with pytest.raises(VaultError):
        LockedStore(Place("http://127.0.0.1:9", "b", "a", "s"), 1)


def test_image_larger_than_one_upload_is_stored_whole_locked_and_readable_at_any_place(place: Place) -> None:
    content = random.Random(7).randbytes(2 * (5 << 20) + 12_345)
    store = LockedStore(place, 30, single=6 << 20, part=5 << 20)
    put = store.put(io.BytesIO(content))
    assert (put.size, put.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert b"".join(store.blocks(put.sha256)) == content
    edge = 5 << 20  # where two parts meet
    assert store.read_at(put.sha256, edge - 10, 20) == content[edge - 10 : edge + 10]
    assert json.loads(store.verdict(put.sha256))["result"] == "match"
    key = f"{put.sha256[:2]}/{put.sha256}"
    assert Bucket(place).short("DELETE", key, query={"versionId": put.version})[0] == 403
    assert store.put(io.BytesIO(content)).version == put.version


def test_upload_that_fails_between_two_parts_leaves_nothing_behind(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LockedStore(place, 1, single=6 << 20, part=5 << 20)
    sent = store.bucket.request

    def cut(method: str, key: str, **more: Any) -> Any:
        if (more.get("query") or {}).get("partNumber") == "2":
            raise VaultError("HW3019", key, what="cable pulled")
        return sent(method, key, **more)

    monkeypatch.setattr(store.bucket, "request", cut)
    content = random.Random(8).randbytes((5 << 20) + (5 << 20))
    with pytest.raises(VaultError, match="cable pulled"):
        store.put(io.BytesIO(content))
    monkeypatch.undo()
    status, _, data = store.bucket.short("GET", "", query={"uploads": ""})
    assert status == 200
    assert b"<UploadId>" not in data
    assert hashlib.sha256(content).hexdigest() not in store.names()
