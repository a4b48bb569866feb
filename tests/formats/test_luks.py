# SPDX-License-Identifier: Apache-2.0
"""LUKS volumes open with their key alone, read as dm-crypt reads them, and say by number why they do not open.

SOURCE: fixtures/luks.tar.xz and stack.tar.xz, made by lab/volumes/make.sh with Debian's cryptsetup 2.6.1 and Linux 6.1 in
a QEMU guest; Apache-2.0; sha256 in fixtures/SHA256SUMS. Other ciphers are written by qemu-img and cryptsetup here.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
from pathlib import Path

import pytest
from disk_images import run, source, tool
from volume_fixtures import conforms, digest, expected, files, memory

from headwater.formats.filesystems import open_filesystem
from headwater.formats.keys import Key
from headwater.formats.luks import unlock
from headwater.formats.sources import MemorySource, physical_ranges
from headwater.formats.volumes import volumes
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason

PASS = Key("case key 1", b"correct horse")
NAMES = sorted(expected("luks"))


@pytest.mark.parametrize("name", NAMES)
def test_volume_reads_as_the_kernel_read_it(name: str) -> None:
    opened = unlock(memory("luks", name), [Key("another", b"wrong"), PASS])
    assert (digest(opened.source, 12 * 4096), opened.source.size) == expected("luks")[name]
    assert (opened.slot, opened.label) == ("0", "case key 1")
    conforms(opened.source, reads=15)


def test_volume_key_opens_where_no_phrase_is_known() -> None:
    key = unlock(memory("luks", "luks2-argon2id"), [PASS]).volume_key
    opened = unlock(memory("luks", "luks2-argon2id"), [Key("volume key of web03", key)])
    assert opened.slot == "volume key"
    assert digest(opened.source, 12 * 4096) == expected("luks")["luks2-argon2id"][0]


def test_line_end_behind_a_phrase_does_no_harm() -> None:
    assert unlock(memory("luks", "luks1-essiv"), [Key("note", b"correct horse\r\n")]).slot == "0"


def test_wrong_key_is_refused_by_number_and_shows_no_secret() -> None:
    with pytest.raises(AcquireError) as caught:
        unlock(memory("luks", "luks1-essiv"), [Key("note", b"incorrect donkey")])
    assert caught.value.code == "HW2050"
    assert "donkey" not in str(caught.value)
    assert "donkey" not in repr(Key("note", b"incorrect donkey"))


def test_slot_that_asks_for_too_much_is_refused_before_it_is_tried() -> None:
    data = bytearray(files("luks")["luks1-essiv"])
    data[208 + 4 : 208 + 8] = b"\xff\xff\xff\xff"
    with pytest.raises(AcquireError) as caught:
        unlock(MemorySource(bytes(data)), [PASS])
    assert caught.value.code == "HW2052"


def test_broken_first_header_is_replaced_by_the_second() -> None:
    data = bytearray(files("luks")["luks2-argon2id"])
    data[5000] ^= 1
    assert unlock(MemorySource(bytes(data)), [PASS]).slot == "0"
    data[0x4000 + 5000] ^= 1
    with pytest.raises(AcquireError) as caught:
        unlock(MemorySource(bytes(data)), [PASS])
    assert caught.value.code == "HW2053"


def test_locked_volume_on_a_disk_opens_with_its_key_and_is_named_without() -> None:
    medium = memory("stack", "disk")
    locked = volumes(medium)
    name = "p1!md.lab:data!lv.web.secret"
    assert name in {v.name for v in locked.volumes}
    assert not any(v.name.endswith("!luks") for v in locked.volumes)
    table = volumes(medium, [PASS])
    opened = next(v for v in table.volumes if v.name == f"{name}!luks")
    assert next(v for v in table.volumes if v.name == name).held_by == opened.name
    facts = dict(opened.facts)
    assert (facts["key"], facts["slot"], facts["cipher"]) == ("case key 1", "0", "aes-xts-plain64")
    assert "correct horse" not in repr(table)
    tree = open_filesystem(opened.source)
    assert tree is not None
    entry = next(e for e in tree.entries() if e.path == "/secret.txt")
    assert tree.open(entry.key).pread(0, 99) == b"the secret of web03\n"
    # what is cited is where the encrypted bytes stand
    assert physical_ranges(opened.source, medium, *tree.extents(entry.key)[0])


def test_keys_that_open_nothing_are_a_stated_gap() -> None:
    table = volumes(memory("stack", "disk"), [Key("note", b"wrong")])
    gap = next(g for g in table.warnings if g.reason == GapReason.ENCRYPTED)
    assert "HW2050" in gap.detail


def qemu(folder: Path, *options: str) -> Path:
    """A LUKS 1 volume that QEMU wrote around known content."""
    (folder / "plain").write_bytes(random.Random(5).randbytes(300 * 512))
    image = folder / "image"
    choice = ",".join(("key-secret=s", "iter-time=10", *options))
    run(
        tool("qemu-img"), "convert", "-f", "raw", "-O", "luks", "--object", "secret,id=s,data=phrase", "-o", choice,
        folder / "plain", image,
    )  # fmt: skip
    return image


@pytest.mark.parametrize(
    "options",
    [
        ("cipher-alg=aes-256", "cipher-mode=xts", "ivgen-alg=plain64", "hash-alg=sha512"),
        ("cipher-alg=aes-256", "cipher-mode=cbc", "ivgen-alg=essiv", "ivgen-hash-alg=sha256", "hash-alg=sha1"),
        ("cipher-alg=aes-128", "cipher-mode=cbc", "ivgen-alg=plain"),
        ("cipher-alg=aes-128", "cipher-mode=ecb"),
    ],
)
def test_volume_that_qemu_wrote_reads_back(tmp_path: Path, options: tuple[str, ...]) -> None:
    opened = unlock(source(qemu(tmp_path, *options)), [Key("k", b"phrase")])
    plain = (tmp_path / "plain").read_bytes()
    assert opened.source.pread(0, len(plain)) == plain


@pytest.mark.parametrize("cipher", ["serpent-256", "twofish-256"])
def test_cipher_that_is_not_read_is_said_by_name(tmp_path: Path, cipher: str) -> None:
    image = qemu(tmp_path, f"cipher-alg={cipher}")
    with pytest.raises(AcquireError) as caught:
        unlock(source(image), [Key("k", b"phrase")])
    assert caught.value.code == "HW2051"
    assert cipher[:7] in str(caught.value)


def cryptsetup(*words: object) -> None:
    done = subprocess.run([tool("cryptsetup"), "-q", *map(str, words)], capture_output=True)
    if done.returncode:
        pytest.skip(f"cryptsetup cannot do this here: {done.stderr.decode(errors='replace').strip()[:200]}")


PBKDF = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")


def test_several_slots_and_key_files_each_open(tmp_path: Path) -> None:
    image, phrase, other = tmp_path / "image", tmp_path / "phrase", tmp_path / "other"
    phrase.write_bytes(b"one")
    other.write_bytes(bytes(range(256)))
    image.write_bytes(bytes(20 << 20))
    cryptsetup("luksFormat", "--type", "luks2", *PBKDF, image, phrase)
    argon = ("--pbkdf", "argon2id", "--pbkdf-force-iterations", "4", "--pbkdf-memory", "4096", "--pbkdf-parallel", "1")
    cryptsetup("luksAddKey", *argon, "--key-file", phrase, image, other)
    for secret, slot in ((b"one", "0"), (bytes(range(256)), "1")):
        assert unlock(source(image), [Key("k", secret)]).slot == slot


def test_detached_header_opens_its_volume(tmp_path: Path) -> None:
    """cryptsetup encrypts what stands on the volume in place, in user space; what it wrote is what must come back."""
    image, header, phrase = tmp_path / "image", tmp_path / "header", tmp_path / "phrase"
    plain = random.Random(6).randbytes(1 << 20)
    image.write_bytes(plain)
    phrase.write_bytes(b"one")
    cryptsetup("reencrypt", "--encrypt", "--type", "luks2", *PBKDF, "--key-file", phrase, "--header", header, image)
    if image.read_bytes() == plain:
        pytest.skip("cryptsetup encrypts nothing without device-mapper here")
    opened = unlock(source(image), [Key("k", b"one")], header=source(header))
    assert opened.source.pread(0, len(plain)) == plain


def test_hostile_headers_neither_raise_otherwise_nor_hang() -> None:
    chance = random.Random(9)
    for turn in range(24):
        name = NAMES[turn % len(NAMES)]
        data = bytearray(files("luks")[name])
        for _ in range(chance.choice((1, 3, 30))):
            data[chance.randrange(600 if name == "luks1-essiv" else 9000)] = chance.randrange(256)
        if name == "luks1-essiv":
            data[164:166] = data[212:214] = b"\0\0"  # rounds stay small
        with contextlib.suppress(AcquireError):  # a numbered refusal is an answer; any other error fails
            unlock(MemorySource(bytes(data)), [PASS]).source.pread(0, 10_000)


def test_key_is_called_by_the_name_under_which_it_was_given_each_time() -> None:
    medium = memory("stack", "disk")
    for label in ("first name", "second name", "first name"):
        table = volumes(medium, [Key(label, b"correct horse")])
        (opened,) = [v for v in table.volumes if v.name.endswith("!luks")]
        assert dict(opened.facts)["key"] == label
