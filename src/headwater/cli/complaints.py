# SPDX-License-Identifier: Apache-2.0
"""What the standard library's argument parser complains of, in Chinese as well."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable

from headwater.model.nouns import Text

# argparse of CPython 3.11 to 3.13; what none of these fits is passed on as it stands
_FORMS = (
    (r"the following arguments are required: (.+)", "缺少必填参数：{0}"),
    (r"unrecognized arguments: (.+)", "不认识的参数：{0}"),
    (r"one of the arguments (.+) is required", "下列参数须给出其一：{0}"),
    (r"ambiguous option: (.+) could match (.+)", "选项不明确：{0} 可指 {1}"),
    (r"argument (.+?): invalid choice: (.+) \(choose from (.+)\)", "参数 {0}：{1} 不在可选值内（{2}）"),
    (r"argument (.+?): invalid (?:int|float) value: (.+)", "参数 {0}：{1} 不是数"),
    (r"argument (.+?): invalid .+ value: (.+)", "参数 {0}：{1} 不合要求"),
    (r"argument (.+?): expected one argument", "参数 {0}：须跟一个值"),
    (r"argument (.+?): expected at least one argument", "参数 {0}：须至少跟一个值"),
    (r"argument (.+?): expected (\d+) arguments?", "参数 {0}：须跟 {1} 个值"),
    (r"argument (.+?): not allowed with argument (.+)", "参数 {0} 不能与 {1} 同用"),
    (r"argument (.+?): ignored explicit argument (.+)", "参数 {0} 不带值，给出的 {1} 无处可用"),
    (r"argument (.+?): (.+)", "参数 {0}：{1}"),
)


def with_choices(message: str, actions: Iterable[argparse.Action]) -> str:
    """A complaint that arguments are missing, each that takes one of a few words followed by those words."""
    missing = re.fullmatch(r"(the following arguments are required: )(.+)", message, re.DOTALL)
    if missing is None:
        return message
    known = {str(a.metavar or a.dest): a.choices for a in actions if a.choices and not a.option_strings}
    named = [f"{n} ({', '.join(map(str, known[n]))})" if n in known else n for n in missing[2].split(", ")]
    return missing[1] + ", ".join(named)


def in_both(message: str) -> Text:
    """A complaint of argparse in both languages; the words that the person typed stay as they are."""
    unknown = re.fullmatch(r"argument VERB: invalid choice: '(.+)' \(choose from (.+)\)", message, re.DOTALL)
    if unknown:  # forty verbs in a row are no answer; the one that was meant is
        verb, verbs = unknown[1], re.findall(r"[a-z][a-z-]*", unknown[2])
        near = difflib.get_close_matches(verb, verbs, 3)
        zh = f"，是否指 {'、'.join(near)}？" if near else ""
        en = f"; did you mean {', '.join(near)}?" if near else ""
        return Text(f"没有 {verb} 这个命令{zh}", f"there is no verb {verb}{en}")
    for form, zh in _FORMS:
        found = re.fullmatch(form, message, re.DOTALL)
        if found:
            return Text(zh.format(*found.groups()), message)
    return Text(message, message)
