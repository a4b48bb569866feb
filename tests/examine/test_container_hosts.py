# SPDX-License-Identifier: Apache-2.0
"""Containers as hosts: what each sees is what the kernel's own mount shows, and leads to the layers' bytes."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headwater.examine import layer_merge
from headwater.examine.container_facts import docker_facts, podman_facts
from headwater.examine.container_hosts import Containers, ContainerTree, Host, container_view, told
from headwater.examine.containerd_facts import chain, placed, snapshots
from headwater.examine.layer_merge import DEEP, Merged, put_at, put_over
from headwater.examine.macb import macb_batches
from headwater.examine.opening import View, open_evidence
from headwater.formats.attributes import Attributes, attributes
from headwater.formats.bolt_file import open_bolt
from headwater.formats.opened import OpenFile, open_readonly
from headwater.formats.trees import Entry
from headwater.procedure import child, child_again, child_containers

WEB, JOB = "a" * 63 + "1", "b" * 63 + "2"
STOPPED, NERDCTL = "7".zfill(64), "8".zfill(64)
_CONTAINERD = Path(__file__).parents[1] / "formats" / "fixtures" / "containerd"
AUTH = "Mar  2 11:22:41 {} sshd[877]: Failed password for root from 198.51.100.9 port 1 ssh2\n"


def _entry(path: str, kind: Any = "file", number: int = 1) -> Entry:
    return Entry(path, kind, 1, 0, 0, 0, number, True, None, None, None, None, None, None, path)


def _merged(*layers: list[tuple[str, Any]], **said: Attributes) -> list[str]:
    merged = Merged()
    for at, layer in enumerate(layers):
        rows = sorted((path, _entry(f"/{at}{path}", kind)) for path, kind in layer)
        put_over(merged, rows, lambda e: said.get(e.path[3:].replace("/", "_"), Attributes(device=0)), at == 0)
    return [f"{path}={entry.path[1]}" for path, entry in merged.files()]


def test_an_upper_file_hides_the_lower_and_a_whiteout_takes_it_away() -> None:
    lower: list[tuple[str, Any]] = [("", "dir"), ("/a", "dir"), ("/a/x", "file"), ("/a/y", "file"), ("/b", "file")]
    assert _merged(lower, [("", "dir"), ("/a", "dir"), ("/a/x", "file"), ("/b", "char")]) == [
        "/a=1",
        "/a/x=1",
        "/a/y=0",
    ]
    assert _merged(lower, [("/a", "char"), ("/b", "dir"), ("/b/z", "file")]) == ["/b=1", "/b/z=1"]
    assert _merged(lower, [("/a", "dir"), ("/a/.wh.x", "file"), ("/.wh.b", "file")]) == ["/a=1", "/a/y=0"]
    assert _merged(lower, [("/a", "dir"), ("/a/.wh..wh..opq", "file"), ("/a/n", "file")]) == ["/a=1", "/b=0", "/a/n=1"]
    opaque = Attributes({b"trusted.overlay.opaque": b"y"})
    assert _merged(lower, [("/a", "dir"), ("/a/n", "file")], a=opaque) == ["/a=1", "/b=0", "/a/n=1"]


def test_a_device_of_a_lower_layer_is_no_whiteout_and_a_file_below_a_file_is_counted() -> None:
    assert _merged([("/null", "char")], null=Attributes(device=0x103)) == ["/null=0"]
    merged = Merged()
    deep = "/d" * (DEEP + 3)
    put_over(merged, [("/f", _entry("/f")), ("/f/g", _entry("/g")), (deep, _entry(deep))], lambda e: Attributes(), True)
    assert [path for path, _ in merged.files()] == ["/f"]
    assert merged.left_out == 2


def test_a_volume_hides_what_the_image_has_at_its_place() -> None:
    merged = Merged()
    put_over(merged, [("/var", _entry("/v", "dir")), ("/var/old", _entry("/o"))], lambda e: Attributes(), True)
    put_at(merged, "/var", [("", _entry("/vol", "dir")), ("/new", _entry("/n"))])
    put_at(merged, "/srv/data/", [("", _entry("/vol", "dir")), ("/x", _entry("/x"))])
    assert [path for path, _ in merged.files()] == ["/srv", "/var", "/srv/data", "/srv/data/x", "/var/new"]


def test_hostile_records_and_files_of_an_engine_never_raise() -> None:
    for kind in ("ext4", "xfs", "fat32"):
        for record in (b"", b"\xff" * 100, b"\xff" * 256, b"\xff" * 512, bytes(256)):
            attributes(kind, record, lambda at, n: b"\xff" * n)
    for data in (b"", b"[" * 100_000, b'{"MountPoints":[1],"Config":7,"Name":[]}', b'"x"'):
        assert docker_facts(WEB, data).name == ""
        assert list(podman_facts(data, lambda _: b"{")) == []
    row = [{"id": WEB, "layer": "l", "names": [5], "metadata": "{"}, {"id": "../x", "layer": "y"}, 3]
    assert [(layer, f.name) for layer, f in podman_facts(json.dumps(row).encode(), lambda _: b"[]")] == [("l", "")]


def _write(root: Path, path: str, text: str) -> None:
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def _image(root: Path, image: Path, script: str = "") -> View:
    """An ext4 image of a folder (and what only debugfs can put there without being root) as a view."""
    for tool in ("mke2fs", "debugfs"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not here")
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(image)], check=True, capture_output=True)
    if script:
        commands = image.with_suffix(".txt")
        commands.write_text(script)
        subprocess.run(["debugfs", "-w", "-f", str(commands), str(image)], check=True, capture_output=True)
    return next(v for v in open_evidence([open_readonly(image)]).views if not v.derived)


def _docker(root: Path) -> str:
    """Two containers of one image in Docker's layout; gives what debugfs has to add."""
    store = "/var/lib/docker/overlay2"
    _write(root, "/etc/hostname", "host1\n")
    _write(root, "/var/log/auth.log", AUTH.format("host1"))
    for layer, link, lower in (
        ("image0", "A" * 26, ""),
        ("web00000", "B" * 26, "l/" + "A" * 26),
        ("job00000", "C" * 26, "l/" + "A" * 26),
    ):
        _write(root, f"{store}/{layer}/link", link)
        if lower:
            _write(root, f"{store}/{layer}/lower", lower)
    shutil.move(root / store[1:] / "image0", root / store[1:] / "image000")
    image, web, job = f"{store}/image000/diff", f"{store}/web00000/diff", f"{store}/job00000/diff"
    _write(root, f"{image}/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    _write(root, f"{image}/etc/os-release", 'PRETTY_NAME="Debian 12"\n')
    _write(root, f"{image}/srv/old/a", "a")
    _write(root, f"{image}/opt/tool", "t")
    _write(root, f"{web}/var/log/auth.log", AUTH.format("web"))
    _write(root, f"{web}/srv/old/b", "b")
    (root / job[1:] / "tmp").mkdir(parents=True)
    (root / web[1:] / "opt").mkdir(parents=True)
    _write(
        root,
        "/var/lib/docker/volumes/logs/_data/access.log",
        '192.0.2.1 - - [02/Mar/2026:03:04:05 +0000] "GET / HTTP/1.1" 200 1\n',
    )
    for number, layer, name, zone in ((WEB, "web00000", "shop", "Asia/Shanghai"), (JOB, "job00000", "job", "")):
        config = {
            "ID": number, "Name": f"/{name}", "Config": {"Image": "web:2", "Hostname": number[:12], "Env": ["A=1", f"TZ={zone}"]},
            "MountPoints": {"/var/log/nginx": {"Type": "volume", "Name": "logs"}, "/x": {"Type": "bind", "Source": "/etc"}},
        }  # fmt: skip
        _write(root, f"/var/lib/docker/containers/{number}/config.v2.json", json.dumps(config))
        _write(root, f"/var/lib/docker/image/overlay2/layerdb/mounts/{number}/mount-id", layer)
    return f"cd {web}/opt\nmknod tool c 0 0\nea_set {web}/srv/old trusted.overlay.opaque y\n"


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, View]:
    folder = tmp_path_factory.mktemp("docker")
    script = _docker(folder / "root")
    return folder / "image", _image(folder / "root", folder / "image", script)


def _hosts(view: View) -> tuple[dict[str, Host], list[str]]:
    found = Containers(view)
    found.take(view.tree.entries())
    hosts = {host.facts.name: host for host in found.hosts()}
    return hosts, [e.path for e in found.rest() if e.kind == "file"]


def test_each_docker_container_sees_its_own_merged_files(docker: tuple[Path, View]) -> None:
    hosts, rest = _hosts(docker[1])
    shop, job = hosts["shop"], hosts["job"]
    files = sorted(e.path for e in shop.entries if e.kind == "file")
    assert files == ["/etc/os-release", "/etc/passwd", "/srv/old/b", "/var/log/auth.log", "/var/log/nginx/access.log"]
    assert shop.stored["/var/log/auth.log"] == "/var/lib/docker/overlay2/web00000/diff/var/log/auth.log"
    assert "/opt/tool" in job.stored
    assert "/srv/old/a" in job.stored
    assert rest == []  # what one hides, the other sees
    assert shop.facts.zone == "Asia/Shanghai"
    assert job.facts.zone == ""
    assert shop.unknown == 0
    view = container_view(docker[1], shop.name)
    assert view is not None
    entry = next(e for e in view.tree.entries() if e.path == "/srv/old/b")
    assert view.tree.open(entry.key).pread(0, 9) == b"b"
    assert view.tree.extents(entry.key)


def _run(image: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    file: OpenFile = open_readonly(image)
    args = {"files": [[file.name, file.size]], "number": 1, "bad": []}
    found: list[dict[str, Any]] = []
    last: dict[str, Any] = {}
    for header, _ in child.walk(args, [file.fd]):
        found.extend(header.get("candidates", ()))
        last = header
    return found, last["result"]


def test_a_content_of_the_image_is_parsed_once_and_told_for_each_container(docker: tuple[Path, View]) -> None:
    candidates, result = _run(docker[0])
    named = [c for c in candidates if c["path"].endswith("/etc/passwd")]
    assert len(named) == 1
    assert len(named[0]["also"]) == 1
    clocks = {view: said["clock"] for view, said in result["facts"].items() if "container" in said}
    assert sorted(clocks.values()) == ["1.c1", "1.c2"]
    shop = next(said for said in result["facts"].values() if said.get("container_name") == "shop")
    assert (shop["container_zone"], shop["container_zone_from"], shop["container_os"]) == (
        "Asia/Shanghai",
        "TZ",
        "Debian 12",
    )
    assert not any("/overlay2/" in c["path"] for c in candidates)
    file = open_readonly(docker[0])
    args = {
        "files": [[file.name, file.size]],
        "number": 1,
        "own_fds": False,
        "years": {},
        "context": {},
        "targets": candidates,
    }
    said = [header["account"] for header, _ in child.parse(args, [file.fd]) if "account" in header]
    places = sorted(a["path"].partition("!")[2] for a in said if a["parser"] == "linux.passwd")
    assert places == ["/etc/passwd", "/etc/passwd"]
    auth = {a["path"]: a for a in said if a["parser"] == "linux.auth"}
    assert sorted(auth) == ["/var/log/auth.log", f"container.shop.{WEB[:12]}!/var/log/auth.log"]
    own = auth[f"container.shop.{WEB[:12]}!/var/log/auth.log"]
    assert own["extents"]
    assert own["target"]["stored"] == "/var/lib/docker/overlay2/web00000/diff/var/log/auth.log"
    assert {a["path"].partition("!")[2] for a in said if a["parser"] == "web.access"} == {"/var/log/nginx/access.log"}


_KERNEL = """
set -e
mount -t tmpfs none {base}
cd {base}; mkdir one two three work2 work3 merged
mkdir -p one/etc one/a/b/c one/opq one/moved/in one/gone; echo 1 > one/a/b/c/f; echo 1 > one/opq/old; echo 1 > one/moved/in/f
echo 1 > one/etc/conf; echo 1 > one/gone/g; echo 1 > one/meta; mknod one/dev c 1 3; ln -s a one/link; echo 1 > one/tofile; mkdir one/todir.d
mount -t overlay o -o lowerdir=one,upperdir=two,workdir=work2,redirect_dir=on,metacopy=on merged; cd merged
rm -r opq; mkdir opq; echo 2 > opq/new; mv moved there; chmod 600 meta; rm -r gone; rm a/b/c/f; echo 2 > a/b/n; rm dev; rm tofile; mkdir tofile
echo 2 > tofile/x; rm -r todir.d; echo 2 > todir.d; cd ..; umount merged
mount -t overlay o -o lowerdir=two:one,upperdir=three,workdir=work3,redirect_dir=on,metacopy=on merged; cd merged
mkdir gone; echo 3 > gone/again; echo 3 > there/in/more; mv there/in/f there/in/renamed; rm opq/new; echo 3 >> meta; rm link; rm -r etc; cd ..
(cd merged; find . -mindepth 1 -printf '/%P %y\\n') | sort > {out}/kernel
umount merged
mkdir -p {out}/root/data/docker/overlay2/l
for layer in one two three; do mkdir -p {out}/root/data/docker/overlay2/layer$layer; cp -a $layer {out}/root/data/docker/overlay2/layer$layer/diff; done
"""


def test_the_view_is_what_the_kernel_mounts(tmp_path: Path) -> None:
    if os.geteuid() or shutil.which("unshare") is None or shutil.which("mke2fs") is None:
        pytest.skip("needs root, unshare and mke2fs: the kernel's own overlay is the reference")
    base, out = tmp_path / "base", tmp_path / "out"
    base.mkdir()
    out.mkdir()
    script = _KERNEL.format(base=base, out=out)
    ran = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip(f"no overlay can be mounted here: {ran.stderr.strip()[-200:]}")
    root = out / "root"
    store = "/data/docker/overlay2"
    for layer, link, lower in (("one", "ONE", ""), ("two", "TWO", "ONE"), ("three", "THREE", "TWO:ONE")):
        name = "".join(w.ljust(26, "X") + ":" for w in [link])[:-1]
        _write(root, f"{store}/layer{layer}/link", name)
        os.symlink(f"../layer{layer}/diff", root / store[1:] / "l" / name)
        if lower:
            _write(root, f"{store}/layer{layer}/lower", ":".join("l/" + w.ljust(26, "X") for w in lower.split(":")))
    _write(root, f"/data/docker/image/overlay2/layerdb/mounts/{WEB}/mount-id", "layerthree")
    hosts, _ = _hosts(_image(root, tmp_path / "image"))
    letters = {"file": "f", "dir": "d", "link": "l", "char": "c"}
    seen = sorted(f"{e.path} {letters[e.kind]}" for e in hosts[""].entries)
    assert seen == sorted((out / "kernel").read_text().splitlines())
    assert hosts[""].stored["/there/in/renamed"].endswith("/layerone/diff/moved/in/f")  # renamed: metadata alone moved
    assert hosts[""].stored["/meta"].endswith("/layerthree/diff/meta")


def _containerd(root: Path) -> None:
    """Layers for three of the containers that a real containerd's two files tell of, on a partition mounted at /var."""
    base = "/lib/containerd/io.containerd."
    for name, place in (("meta", "metadata.v1.bolt/meta.db"), ("snap", "snapshotter.v1.overlayfs/metadata.db")):
        _write(root, base + place, "")
        (root / (base + place)[1:]).write_bytes(lzma.decompress((_CONTAINERD / f"{name}.db.xz").read_bytes()))
    data = (root / f"{base}snapshotter.v1.overlayfs/metadata.db"[1:]).read_bytes()
    found = snapshots(open_bolt(lambda at, n: data[at : at + n], len(data)))
    for namespace, key, name in placed(found):
        if key not in ("c7", STOPPED, NERDCTL):
            continue
        numbers = chain(found, name, 500)
        for at, number in enumerate(numbers):
            _write(root, f"{base}snapshotter.v1.overlayfs/snapshots/{number}/fs/{namespace}{len(numbers) - at}", "x")
        _write(root, f"{base}snapshotter.v1.overlayfs/snapshots/{numbers[0]}/fs/var/log/auth.log", AUTH.format("c"))
    _write(root, "/lib/nerdctl/1935db59/volumes/default/data/_data/kept", "1")
    config = {"ID": STOPPED, "Name": "/shop", "Config": {"Image": "web:2", "Env": ["TZ=Asia/Tokyo"]}}
    _write(root, f"/lib/docker/containers/{STOPPED}/config.v2.json", json.dumps(config))


def test_containers_of_containerd_see_their_snapshots_and_docker_s_own_store_is_joined(tmp_path: Path) -> None:
    _containerd(tmp_path / "root")
    view = _image(tmp_path / "root", tmp_path / "image")
    hosts, _ = _hosts(view)
    assert sorted(hosts) == ["job", "pod-7/web", "shop"]
    pod, job, shop = hosts["pod-7/web"], hosts["job"], hosts["shop"]
    files = [e.path for e in pod.entries if e.kind == "file"]
    assert files == ["/k8s.io1", "/k8s.io2", "/k8s.io3", "/var/log/auth.log"]
    assert pod.name == "container.pod-7_web.c7"
    said = told(pod, {})
    assert (said["container_namespace"], said["container_pod"]) == ("k8s.io", "prod/pod-7")
    assert (said["container_engine"], said["container_zone"]) == ("containerd", "Asia/Shanghai")
    assert "/data/kept" in job.stored
    assert (shop.facts.engine, shop.facts.image, shop.facts.zone) == ("docker", "web:2", "Asia/Tokyo")
    assert shop.layers == 3
    found = container_view(view, pod.name)
    assert found is not None
    place = tmp_path / "root/lib/containerd/io.containerd.metadata.v1.bolt/meta.db"
    place.write_bytes(b"\x00" * 8192)
    containers = Containers(_image(tmp_path / "root", tmp_path / "image2"))
    containers.take(containers._view.tree.entries())
    assert [host.facts.name for host in containers.hosts()] == [
        "shop",
        "",
    ]  # by their snapshots alone: whose key is an id
    assert [(path, str(gap.reason)) for path, gap in containers.gaps] == [
        ("/lib/containerd/io.containerd.metadata.v1.bolt/meta.db", "unreadable")
    ]


def test_layers_that_move_a_directory_twice_do_not_double_it_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 layers, each with two directories that were moved from the one below: 2 to the 40th entries, by the rules."""
    monkeypatch.setattr(layer_merge, "COPIES_MOST", 5000)
    merged = Merged()
    put_over(merged, [("/a", _entry("/a", "dir")), ("/a/x", _entry("/a/x"))], lambda _: Attributes(), True)
    for _ in range(40):
        said = Attributes({b"trusted.overlay.redirect": b"/a"})
        layer = [("/a", _entry("/a", "dir")), ("/a/l", _entry("/l", "dir")), ("/a/r", _entry("/r", "dir"))]
        put_over(merged, layer, lambda e, said=said: said if e.path in ("/l", "/r") else Attributes(), False)
    assert merged.copied <= 5000
    assert merged.left_out


def test_the_times_of_a_container_s_files_stand_on_the_records_of_its_layers(docker: tuple[Path, View]) -> None:
    shop = _hosts(docker[1])[0]["shop"]
    frames = [frame for frame, _ in macb_batches(ContainerTree(shop, docker[1].tree))]
    host = {
        (o, t) for frame, _ in macb_batches(docker[1].tree) for o, t in frame.select("offset", "t_recorded").iter_rows()
    }
    rows = [row for frame in frames for row in frame.select("file_path", "offset", "t_recorded").iter_rows()]
    assert "/var/log/nginx/access.log" in {path for path, _, _ in rows}
    assert {(at, when) for _, at, when in rows} <= host
    assert {e.path for e in shop.times(1) if e.kind == "file"} == {
        "/srv/old/b",
        "/var/log/auth.log",
        "/var/log/nginx/access.log",
    }
    file = open_readonly(docker[0])
    args = {"files": [[file.name, file.size]], "number": 1, "bad": []}
    made = [
        (h["part"], pl.read_parquet(b))
        for h, b in child.walk(args, [file.fd])
        if h.get("feed") == child_containers.FEED
    ]
    assert [part for part, _ in made] == [0, 1]
    for _, frame in made:
        view = frame["path"][0]
        wanted = {view: frame.select("offset", "ordinal").rows()}
        again = [
            r for h, _ in child_again.rederive_walk(args | {"wanted": wanted}, [file.fd]) for r in h.get("rows", ())
        ]
        said = {(r["offset"], r["ordinal"]): (r["file_path"], r["t_recorded"]) for r in again}
        assert said == {
            (o, n): (p, t) for o, n, p, t in frame.select("offset", "ordinal", "file_path", "t_recorded").rows()
        }


def test_a_podman_container_that_never_ran_has_name_zone_and_volumes_from_podman_s_database(tmp_path: Path) -> None:
    base, root = "/var/lib/containers/storage", tmp_path / "root"
    listed = (_CONTAINERD / "podman-containers.json").read_text()
    _write(root, f"{base}/overlay-containers/containers.json", listed)
    _write(root, f"{base}/libpod/bolt_state.db", "")
    record = lzma.decompress((_CONTAINERD / "bolt_state.db.xz").read_bytes())
    (root / f"{base}/libpod/bolt_state.db"[1:]).write_bytes(record)
    _write(root, f"{base}/volumes/data/_data/kept", "1")
    for row in json.loads(listed):
        _write(root, f"{base}/overlay/{row['layer']}/diff/etc/own", row["names"][0])
    hosts, _ = _hosts(_image(root, tmp_path / "image"))
    never, env = hosts["never"].facts, hosts["env"].facts
    assert (never.zone, never.hostname, never.volumes) == ("Asia/Shanghai", "n1", {"/data": "data"})
    assert (env.zone, env.image) == ("Asia/Tokyo", "localhost/shop:1")
    assert "/data/kept" in hosts["never"].stored
    # the same record as podman 5 keeps it, by its published table
    number = next(row["id"] for row in json.loads(listed) if row["names"] == ["never"])
    bolt = open_bolt(lambda at, n: record[at : at + n], len(record))
    config = bolt.at(b"ctr", number.encode(), b"config")
    assert config is not None
    (root / f"{base}/libpod/bolt_state.db"[1:]).unlink()
    with closing(sqlite3.connect(root / f"{base}/db.sql"[1:])) as made:
        made.execute(
            "CREATE TABLE ContainerConfig(ID TEXT PRIMARY KEY NOT NULL, Name TEXT UNIQUE NOT NULL, PodID TEXT, JSON TEXT NOT NULL)"
        )
        made.execute("INSERT INTO ContainerConfig VALUES (?, 'never', NULL, ?)", (number, config.value.decode()))
        made.execute("INSERT INTO ContainerConfig VALUES ('../x', 'odd', NULL, '[')")
        made.commit()
    hosts, _ = _hosts(_image(root, tmp_path / "image2"))
    assert hosts["never"].facts == never
    assert hosts["env"].facts.zone == ""
    (root / f"{base}/db.sql"[1:]).write_bytes(b"no database")
    containers = Containers(_image(root, tmp_path / "image3"))
    containers.take(containers._view.tree.entries())
    assert len(list(containers.hosts())) == 2
    assert [path for path, _ in containers.gaps] == [f"{base}/db.sql"]
