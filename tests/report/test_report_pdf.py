# SPDX-License-Identifier: Apache-2.0
"""A printed report that differs from run to run, has no text behind its glyphs, or an empty page."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import report_samples as samples

from headwater.report.html import render_html
from headwater.report.pdf import render_pdf


@cache
def rich(language: str) -> bytes:
    return render_pdf(samples.rich(), language)


def text_of(pdf: bytes) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    return subprocess.run(["pdftotext", "-", "-"], input=pdf, capture_output=True, check=True).stdout.decode()


def digests() -> list[str]:
    made = (render_html(samples.rich(), "both"), rich("both"))
    return [hashlib.sha256(data).hexdigest() for data in made]


def test_same_input_gives_the_same_bytes() -> None:
    assert render_pdf(samples.rich(), "both") == rich("both")
    assert render_html(samples.rich(), "both") == render_html(samples.rich(), "both")


def test_zone_locale_and_hash_seed_of_the_process_change_nothing() -> None:
    environment = os.environ | {
        "TZ": "America/St_Johns",
        "LC_ALL": "tr_TR.UTF-8",
        "LANG": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "77",
    }
    program = "import sys; sys.path.insert(0, sys.argv[1]); import test_report_pdf as t; print(*t.digests())"
    there = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent)],
        env=environment, capture_output=True, check=True, text=True, cwd="/",
    )  # fmt: skip
    assert there.stdout.split() == digests()


def test_pdf_is_archival_and_dated_by_the_report() -> None:
    made = rich("zh")
    assert made.startswith(b"%PDF-1.")
    assert b"pdfaid" in made
    assert b"/CreationDate (D:20260305083000Z)" in made or b"2026-03-05T08:30:00Z" in made


def test_report_without_a_date_has_none() -> None:
    made = render_pdf(samples.empty(), "zh")
    assert b"/CreationDate" not in made
    assert made == render_pdf(samples.empty(), "zh")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_text_can_be_read_back(language: str) -> None:
    text = text_of(rich(language))
    packed = re.sub(r"\s", "", text)
    zh = ("电子数据检验报告", "检材登记表", "未记载", "猜解口令后以deploy登录", "喆堃", "祎玥", "不可主张")
    en = ("Evidenceregister", "notrecorded", "cannotbeclaimed", "Passwordguessing,thenalogin")
    for said in zh if language == "zh" else en:
        assert said in packed
    assert samples.sha("image") in packed  # a digest that was broken over lines is whole when read back
    assert "\u200b" not in text
    assert all(page.strip() for page in text.rstrip("\f").split("\f"))


def test_both_languages_stand_in_one_print() -> None:
    packed = re.sub(r"\s", "", text_of(rich("both")))
    for said in (
        "检材登记表Evidenceregister",
        "查找及其结果Searchesandwhattheyfound",
        "web01于2026年3月2日被侵入",
        "web01wasbrokeninto",
    ):
        assert said in packed


def test_no_fonts_but_the_embedded_ones() -> None:
    names = set(re.findall(rb"/BaseFont ?/[A-Z]{6}\+([A-Za-z0-9-]+)", rich("zh")))
    assert names
    assert all(name.startswith((b"HeadwaterSansSC", b"HeadwaterMono")) for name in names), names


def test_long_table_is_cut_in_print_and_says_where_the_rest_is() -> None:
    base = samples.rich()
    rows = base.hashes * 100
    long = replace(base, hashes=rows)
    packed = re.sub(r"\s", "", text_of(render_pdf(long, "zh")))
    assert "其余250行未印出，见本报告的网页版。" in packed
    assert render_html(long, "zh").count(samples.sha("rule").encode()) == 100
