# SPDX-License-Identifier: Apache-2.0
"""How long does `headwater --help` take, and each verb's? Target: 0.3 CPU seconds."""

from __future__ import annotations

from measuring import HEADWATER, arguments, run, say_machine, trials

TARGET = 0.3
VERBS = ((), ("investigate",), ("findings",), ("steps",), ("events",), ("trace",), ("verify",), ("report",))


def main() -> None:
    """Put the question."""
    options = arguments("`--help` in CPU seconds").parse_args()
    print("# command line")
    say_machine()
    for verb in VERBS:
        done = trials(max(options.times, 5), lambda verb=verb: run([HEADWATER, *verb, "--help"]))
        verdict = "met" if done.good and done.cpu <= TARGET else "MISSED"
        name = " ".join(("headwater", *verb, "--help"))
        print(
            f"{name:<32} {done.cpu:.2f} CPU s ({done.least:.2f}–{done.most:.2f})  target {TARGET}: {verdict}",
            flush=True,
        )


if __name__ == "__main__":
    main()
