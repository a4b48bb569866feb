# SPDX-License-Identifier: Apache-2.0
"""The door: finds the verbs by their place, parses the command line, prints errors in both languages.

Exit codes: 0 done · 1 done, but something does not verify or is incomplete · 2 wrong usage · 3 not authorised ·
4 a source or the evidence cannot be used · 5 the vault or an integrity check failed · 6 anything else of ours ·
130 interrupted.

A verb is one module here with ``HELP``, ``arguments(parser)`` and ``run(options) -> int``; nothing heavy is imported
before a verb runs. One that reads evidence with the parsers may have ``children(options) -> int``, how many children it
will want, which are then made before it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Any

from headwater import __version__, cli
from headwater.cli.printing import language_everywhere
from headwater.model.errors import (
    AcquireError,
    AuthorityError,
    ExamineError,
    HeadwaterError,
    UsageError,
    VaultError,
)
from headwater.model.voice import LANGUAGES, Voice

EXIT_DONE, EXIT_NOT_CLEAN, EXIT_USAGE, EXIT_AUTHORITY, EXIT_SOURCE, EXIT_VAULT, EXIT_OTHER = range(7)
EXIT_INTERRUPTED = 130
_EXITS = (
    "退出码 exit codes：0 完成 done · 1 有不符或未完成 does not verify or incomplete · 2 用法 usage ·\n"
    "3 未获授权 not authorised · 4 检材 source or evidence · 5 台账与完整性 vault or integrity · 6 其他 other ·\n"
    "130 中断 interrupted"
)
_USAGE = "用法 usage: "
_NO_VERB = {"complaints", "errand", "main", "options", "printing", "meter", "signing", "welcome"}


def verbs() -> list[str]:
    """The verbs, by name."""
    return sorted(m.name for m in pkgutil.iter_modules(cli.__path__) if m.name not in _NO_VERB)


def name_of(module: str) -> str:
    """The verb as a person types it."""
    return module.rstrip("_").replace("_", "-")


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are numbered like all others, and whose own words stand in both languages."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more, add_help=False)
        self._positionals.title = "参数 · arguments"
        self._optionals.title = "选项 · options"
        self.add_argument("-h", "--help", action="help", help="显示本说明 · show this help")

    def format_usage(self) -> str:
        """The usage line, introduced in both languages."""
        return super().format_usage().replace("usage: ", _USAGE, 1)

    def format_help(self) -> str:
        """The help, introduced in both languages."""
        return super().format_help().replace("usage: ", _USAGE, 1)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse, and what may be left out may also stand behind an option: it is given up there at the first gap."""
        found, unknown = super().parse_known_args(args, namespace)
        for action in self._actions:
            open_still = not action.option_strings and action.nargs == "?"
            if open_still and unknown and getattr(found, action.dest, None) is action.default:
                if unknown[0].startswith("-"):
                    break
                setattr(found, action.dest, self._get_values(action, [unknown.pop(0)]))
        return found, unknown

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raises UsageError HW0001 instead of leaving the program."""
        from headwater.cli.complaints import in_both, with_choices

        raise UsageError("HW0001", self.prog, what=in_both(with_choices(message, self._actions)))


def build(only: str = "") -> argparse.ArgumentParser:
    """The whole command line; the verbs' modules are light, so that ``--help`` is quick.

    ``only``: a verb as a person types it, whose options alone are then known; all where there is none of that name.
    """
    parser = _Parser(
        prog="headwater",
        description="Headwater 溯源: from a broken-into server to a report that a court can check down to the byte.\n"
        "从被入侵的服务器到法庭可逐字节核验的报告。",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXITS,
    )
    parser.add_argument("--version", action="version", version=f"headwater {__version__}",
                        help="显示版本 · show the version")  # fmt: skip
    commands = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=_Parser, title="命令 · verbs")
    every = verbs()
    for name in [n for n in every if name_of(n) == only] or every:
        module = importlib.import_module(f"{cli.__name__}.{name}")
        sub = commands.add_parser(
            name_of(name),
            help=module.HELP,
            description=module.HELP,
            epilog=_EXITS,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(sub)
        language_everywhere(sub)
        sub.set_defaults(run=module.run, children=getattr(module, "children", None))
    return parser


def welcome() -> str:
    """The first screen, with every verb there is."""
    from headwater.cli.welcome import screen

    helps = {name_of(name): str(importlib.import_module(f"{cli.__name__}.{name}").HELP) for name in verbs()}
    return screen(helps, __version__)


def exit_code(error: HeadwaterError) -> int:
    """The exit code that belongs to an error."""
    if isinstance(error, UsageError):
        return EXIT_USAGE
    if isinstance(error, AuthorityError):
        return EXIT_AUTHORITY
    if isinstance(error, (AcquireError, ExamineError)):
        return EXIT_SOURCE
    if isinstance(error, VaultError):
        return EXIT_VAULT
    return EXIT_OTHER


def asked_language(given: Sequence[str]) -> str:
    """The language that a command line asks for, whether or not the rest of it can be read; without one, both."""
    found = "both"
    for word, behind in zip(given, [*given[1:], ""]):
        named = behind if word == "--lang" else word.removeprefix("--lang=")
        found = named if word.startswith("--lang") and named in LANGUAGES else found
    return found


def complain(error: HeadwaterError, voice: Voice | None = None) -> None:
    """The error on stderr: number, the words, hints; in both languages unless one was asked for."""
    from headwater.cli.printing import inert

    languages = (voice or Voice()).languages
    for language in languages:
        print(f"{error.code} {inert(error.text(language))}", file=sys.stderr)
        for reason in error.reasons:
            print(f"       · {inert(reason.zh if language == 'zh' else reason.en)}", file=sys.stderr)
    for language in languages:
        hint = error.hint(language)
        if error.where.startswith("headwater "):  # the parser of one verb: its help answers, not that of all
            hint = hint.replace("headwater --help", f"{error.where} --help")
        if hint:
            print(f"  → {inert(hint)}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None, *, alone: bool = False) -> int:
    """Run one command line; returns the exit code.

    ``alone``: this process is nothing else, so that it may start itself again and make children by fork.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    voice = Voice(asked_language(given))
    try:
        if not given:
            print(welcome())
            return EXIT_DONE
        options, unknown = build(given[0]).parse_known_args(given)
        if unknown:  # by the verb, whose help answers; argparse would say it of the whole program
            _Parser(prog=" ".join(("headwater", *filter(None, [options.verb])))).error(
                f"unrecognized arguments: {' '.join(unknown)}"
            )
        if options.verb is None:
            raise UsageError("HW0001", what="VERB")
        options.command = ("headwater", *given)
        if alone and options.children is not None:
            from headwater.procedure.children import stand_by

            stand_by(options.children(options))
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except HeadwaterError as error:
        if error.code == "HW0001" and not error.where and given[0] in map(name_of, verbs()):
            error.where = f"headwater {given[0]}"
        complain(error, voice)
        return exit_code(error)
    except KeyboardInterrupt:
        print(voice.word("已中断；以同一命令可续作。", "Interrupted; the same command goes on."), file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _stop_writing()
        return EXIT_DONE
    except (
        OSError
    ) as error:  # a full disk behind stdout, a folder that may not be entered: no verdict, so no exit code 1
        if error.filename is None:
            _stop_writing()
        complain(UsageError("HW0011", str(error.filename or "stdout"), what=error.strerror or str(error)), voice)
        return EXIT_OTHER


def _stop_writing() -> None:
    """Let what stands in the buffer of stdout go nowhere: the interpreter would try to write it once more, and complain."""
    with contextlib.suppress(OSError, ValueError):  # a stream of somebody else's making may have no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _many_files() -> None:
    """Let this process open as many files as it may: an image can have thousands of segments."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def entry() -> None:
    """The console script."""
    _many_files()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal of GBK or Latin-1 has not every character
    # numpy's linear algebra, of which nothing here asks anything, would start threads that wait by spinning: 0.13 CPU s
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main(alone=True))


if __name__ == "__main__":
    entry()
