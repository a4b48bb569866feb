# SPDX-License-Identifier: Apache-2.0
"""Shell histories: commands over several lines stay whole, edited files show it, nothing is lost."""

from __future__ import annotations

import pytest
from tiling import GOLDEN, golden, hold, run, shared, spoilt

from headwater.examine.parsers import linux_history

FILES = {
    "bash_history": "p2!/home/deploy/.bash_history",
    "bash_history_edited": "p2!/root/.bash_history",
    "zsh_history": "p2!/home/alice/.zsh_history",
    "fish_history": "p2!/home/alice/.local/share/fish/fish_history",
    "mysql_history": "p2!/root/.mysql_history",
    "real-mysql_history": "/root/.mysql_history",
    "real-python_history": "/home/deploy/.python_history",
    "real-sqlite_history": "/home/deploy/.sqlite_history",
    "real-zsh_history": "/home/alice/.zsh_history",
}


@pytest.mark.parametrize("name", FILES)
def test_linux_history_golden(name: str) -> None:
    golden(linux_history, "linux_history", name, FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_linux_history_loses_no_byte_in_any_state(name: str) -> None:
    data = (GOLDEN / "linux_history" / name).read_bytes()
    for bent in [data, *spoilt(data)]:
        hold(linux_history, bent, FILES[name])


def test_history_time_line_without_its_command_is_an_event_that_says_so() -> None:
    rows, _, _ = run(linux_history, b"#1772336000\n#1772336001\nls\n", "/root/.bash_history")
    assert [(r.get("command_line"), r.get("no_command")) for r in rows] == [(None, True), ("ls", None)]


def test_history_untimed_lines_after_a_timed_one_are_not_swallowed() -> None:
    rows, _, _ = run(linux_history, b"#1772336000\nls\nid\nwho\n", "/root/.bash_history")
    assert [(r["command_line"], r.get("t_recorded") is not None) for r in rows] == [
        ("ls", True),
        ("id", False),
        ("who", False),
    ]


def test_history_open_quote_over_a_whole_file_stays_bounded() -> None:
    data = b"#1772336000\necho \x27" + b"a\n" * 40_000
    hold(linux_history, data, "/root/.bash_history")


def test_history_line_of_megabytes_is_a_gap() -> None:
    data = b"ls\n" + b"A" * 3_000_000 + b"\nid\n"
    rows, gaps, _ = run(linux_history, data, "/root/.bash_history")
    assert [r["command_line"] for r in rows] == ["ls", "id"]
    assert {g.reason.value for g in gaps} == {"too-long"}
    hold(linux_history, data, "/root/.bash_history")


@pytest.mark.parametrize(
    ("name", "commands"),
    [("bash_history", 4), ("bash_history_desync", 5), ("fish_history", 10), ("zsh_extended_history.txt", 4)],
)
def test_history_files_of_others(name: str, commands: int) -> None:
    data = shared(f"plaso/test_data/{name}").read_bytes()
    rows, gaps, _ = run(linux_history, data, f"/home/u/{name}")
    assert (len(rows), gaps) == (commands, [])
    assert linux_history.recognise(data[:4096]) == (name != "bash_history_desync")


def test_a_history_names_the_program_it_is_of_and_none_where_nothing_says_it() -> None:
    said = {
        "/home/a/.psql_history": (b"select\x01 2;\n", "psql", "select\n 2;"),
        "/home/a/.mongosh_history": (b"show dbs\n", "mongosh", "show dbs"),
        "/home/a/.dbshell": (b"show dbs\n", "mongo", "show dbs"),
        "/home/a/.local/share/lftp/rl_history": (b"1763620000:open x\n", "lftp", "open x"),
        "/home/a/.my_history": (b"ls\n", None, "ls"),
        "/home/a/.x_history": (b"#1763620000\nls\n", "bash", "ls"),
        "/home/a/.bash_history.bak": (b"ls\n", "bash", "ls"),
    }
    for path, (data, shell, command) in said.items():
        rows, gaps, _ = run(linux_history, data, path)
        assert ([(r.get("shell"), r["command_line"]) for r in rows], gaps) == ([(shell, command)], []), path
