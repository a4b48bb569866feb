# SPDX-License-Identifier: Apache-2.0
"""An image that is not what it states of itself is told in the story, not in one cell of a table on page four."""

from __future__ import annotations

from dataclasses import replace

from headwater.model.custody import Evidence, Verdict
from headwater.procedure.doubts import alike, claims, damaged, not_claimable


def _item(*verdicts: Verdict) -> Evidence:
    return Evidence(
        2, "web01.E01", "e01", "/e/web01.E01", 1 << 20, "medium", {"md5": "bb"}, (), "imported", "Li Si", "", "2026-11-22T00:00:00Z",
        verdicts,
    )  # fmt: skip


def test_a_damaged_image_is_not_passed_over() -> None:
    said = list(
        damaged(
            _item(
                Verdict("stated-in-container", "mismatch", "md5", "aa", "bb"),
                Verdict(
                    "read-completely", "mismatch", reason="524288 bytes could not be read; they are listed as gaps"
                ),
            )
        )
    )
    assert len(said) == 2
    assert "不符（md5 aa ≠ bb）" in said[0].text.zh
    assert "(md5 aa ≠ bb)" in said[0].text.en
    assert "524,288 字节" in said[1].text.zh
    assert "(524,288 bytes)" in said[1].text.en
    assert all(s.cites == ("evidence-2",) for s in said)
    assert "不可主张" in said[0].text.zh
    assert "NOT CLAIMABLE" in said[0].text.en


def test_what_is_not_what_it_states_is_claimed_by_nobody() -> None:
    for verdict in (
        Verdict("stated-in-container", "mismatch", "md5", "aa", "bb"),
        Verdict("stated-in-container", "mismatch", reason="32768 bytes do not fit the container's own checksums"),
        Verdict("stated-in-sidecar", "mismatch", "sha256", "aa", "bb", "key 00"),
    ):
        item = _item(verdict)
        assert not_claimable(item)
        assert [row[1] for row in claims([item])] == ["not-claimable"]
    for verdict in (
        Verdict("stated-in-container", "match", "md5", "aa", "aa"),
        Verdict("read-completely", "mismatch", reason="512 bytes could not be read"),  # sectors that the disk had lost
    ):
        assert not not_claimable(_item(verdict))
        assert not list(claims([_item(verdict)]))


def test_a_whole_image_is_not_suspected() -> None:
    match = Verdict("stated-in-container", "match", "md5", "aa", "aa")
    none = Verdict("stated-in-container", "not-claimable", reason="the container states no digest")
    assert not list(damaged(_item(match)))
    assert not list(damaged(_item(none)))


def test_an_image_that_is_cut_off_is_not_said_to_differ_from_a_digest_that_it_never_stated() -> None:
    cut = Verdict("stated-in-container", "mismatch", reason="32768 bytes do not fit the container's own checksums")
    (said,) = damaged(_item(cut))
    assert "校验值不符" not in said.text.zh
    assert "32768 字节缺失或与镜像自载的分块校验不符" in said.text.zh
    assert "(32768 bytes do not fit the container's own checksums)" in said.text.en
    unsigned = Verdict("stated-in-sidecar", "mismatch", "sha256", "", "bb", "the sidecar's signature does not verify")
    (said,) = damaged(_item(unsigned))
    assert "附件签名不符" in said.text.zh


def test_one_image_given_twice_is_not_taken_for_two_servers() -> None:
    one = replace(_item(), digests={"sha256": "aa"})
    two = replace(one, number=3, name="copy.dd", kind="raw", digest_of="file")
    other = replace(one, number=4, digests={"sha256": "bb"})
    (said,) = alike([one, other, two])
    assert "检材 2、3 内容相同" in said.text.zh
    assert "items 2, 3 have the same content" in said.text.en
    assert said.cites == ("evidence-2", "evidence-3")
    assert not list(alike([one, other, replace(one, digests={}), replace(two, digests={})]))
