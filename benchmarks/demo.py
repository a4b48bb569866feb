# SPDX-License-Identifier: Apache-2.0
"""How long does `make demo` take once everything is set up? Target: 60 seconds of wall time."""

from __future__ import annotations

from measuring import MIB, ROOT, arguments, run, say_input, say_machine, trials, workplace

TARGET = 60.0


def main() -> None:
    """Put the question."""
    options = arguments("`make demo` in seconds").parse_args()
    print("# demo")
    say_machine()
    sample = ROOT / "sample/web01.E01"
    if not sample.exists():
        print("skipped: sample/web01.E01 is not there")
        return
    say_input(sample, "the sample server")
    with workplace() as work:
        command = ["make", "-C", str(ROOT), "demo", f"CASE={work / 'case'}"]
        run(command)  # sets up, where that is still to be done
        done = trials(options.times, lambda: run(command))
    verdict = "met" if done.good and done.wall <= TARGET else "MISSED"
    print(
        f"make demo  {done.cpu:.1f} CPU s ({done.least:.1f}–{done.most:.1f})  {done.wall:.1f} s wall  "
        f"{done.memory / MIB:.0f} MiB peak  target {TARGET:.0f} s: {verdict}"
    )
    if not done.good:
        print(done.last.out[-2000:])


if __name__ == "__main__":
    main()
