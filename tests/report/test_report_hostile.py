# SPDX-License-Identifier: Apache-2.0
"""Evidence that tries to act through the report: scripts, markup, direction overrides, endless values."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import unicodedata
from functools import cache
from html.parser import HTMLParser

import pytest
import report_samples as samples

from headwater.report import inert
from headwater.report.html import render_html
from headwater.report.pdf import render_pdf

# Every attribute that a report may have; nothing here runs, loads or sends.
ATTRIBUTES = {
    "html": {"lang"},
    "meta": {"charset", "http-equiv", "content", "name"},
    "body": {"class"},
    "a": {"class", "href", "title"},
    "bdi": {"dir", "class"},
    "col": {"width"},
    "svg": {"xmlns", "viewbox", "width", "height", "font-family", "role"},
    "text": {"x", "y", "font-size", "fill", "text-anchor", "font-weight", "stroke", "stroke-width", "paint-order"},
    "rect": {"x", "y", "width", "height", "fill", "rx", "stroke", "stroke-width", "stroke-dasharray"},
    "path": {"d", "fill", "stroke", "stroke-width", "stroke-dasharray"},
    "circle": {"cx", "cy", "r", "fill"},
}
COMMON = {"id", "class", "lang", "aria-label"}
TAGS = set(ATTRIBUTES) | {
    "head", "title", "style", "header", "nav", "ol", "li", "main", "footer", "h1", "h2", "h3", "h4", "p", "span", "br", "strong",
    "div", "table", "colgroup", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd",
}  # fmt: skip


class Reader(HTMLParser):
    """What a browser would make of the page: tags with attributes, and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.comments: list[str] = []
        self.styles: list[str] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        (self.styles if self._within == "style" else self.text).append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


@cache
def page(language: str) -> str:
    return render_html(samples.hostile(), language).decode("utf-8")


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


@pytest.mark.parametrize("language", ["zh", "en", "both"])
def test_page_has_only_known_tags_and_attributes(language: str) -> None:
    reader = read(page(language))
    assert len(reader.tags) > 1000
    for tag, attributes in reader.tags:
        assert tag in TAGS, tag
        assert set(attributes) <= ATTRIBUTES.get(tag, set()) | COMMON, (tag, attributes)
    assert not reader.comments
    links = {attributes["href"] for tag, attributes in reader.tags if tag == "a"}
    assert all(link is not None and re.fullmatch(r"#[ix]-[A-Za-z0-9_.-]+", link) for link in links)


def test_policy_forbids_everything_but_the_one_style() -> None:
    reader = read(page("zh"))
    policies = [
        a["content"] for t, a in reader.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    digest = base64.b64encode(hashlib.sha256("".join(reader.styles).encode()).digest()).decode()
    assert policies[0] is not None
    assert policies[0].split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert "unsafe" not in policies[0]
    assert "script-src" not in policies[0]
    first = [tag for tag, _ in reader.tags[:5]]
    assert first == ["html", "head", "meta", "meta", "meta"]  # the policy stands before anything that it governs


def test_style_sheet_loads_nothing() -> None:
    style = "".join(read(page("zh")).styles)
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize("language", ["zh", "both"])
def test_no_hidden_or_direction_character_reaches_the_page(language: str) -> None:
    bad = {c for c in page(language) if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}} - {"\n"}
    assert not bad, [hex(ord(c)) for c in bad]


def test_hostile_strings_are_shown_as_they_stand() -> None:
    text = "".join(read(page("zh")).text)
    for string in samples.HOSTILE[:9]:
        assert string.replace("\n", "") in text
    assert "userU+202Egnp.exeU+202C end" in text
    assert "lone U+DCFFU+DC80 surrogates U+D800" in text
    assert "U+0000U+0001U+0007U+001B[31mred" in text


def test_endless_value_is_cut_and_says_so() -> None:
    assert len(page("zh")) < 1_000_000
    assert "此处略去" in page("zh")
    assert "A" * 2001 not in page("zh")
    assert "characters left out here" in page("en")


def test_stacked_marks_cannot_cover_other_lines() -> None:
    assert inert.pieces("z\u0301\u0302\u0303\u0304") == [(False, "z\u0301\u0302"), (True, "U+0303"), (True, "U+0304")]


def test_text_that_looks_like_an_escape_is_told_apart() -> None:
    assert inert.pieces("U+202E") == [(False, "U+202E")]
    assert inert.pieces("\u202e") == [(True, "U+202E")]
    assert '<span class="esc">U+202E</span>' in page("zh")


def test_character_without_a_glyph_is_named_in_print() -> None:
    assert inert.printable([(False, "a\u0645b")]) == [(False, "a"), (True, "□U+0645"), (False, "b")]
    assert inert.thin("喆国") == [(False, "喆国")] or inert.thin("喆国") == [(True, "喆"), (False, "国")]


def test_hostile_strings_are_inert_in_print() -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    made = render_pdf(samples.hostile(), "zh")
    for name in (b"/JavaScript", b"/JS ", b"/Launch", b"/EmbeddedFile", b"/URI", b"/AA"):
        assert name not in made
    text = subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=made, capture_output=True, check=True
    ).stdout.decode()
    packed = re.sub(r"\s", "", text)
    for string in (
        '#panic("owned")',
        '#read("/etc/passwd")',
        "*bold*_it_`raw`@ref<label>",
        "<imgsrc=xonerror=alert(1)>",
        "$x^2$",
    ):
        assert re.sub(r"\s", "", string) in packed, string
    assert "U+202E" in text
    assert not set("\u200b\u202e\u2066\x1b\x00") & set(text)
