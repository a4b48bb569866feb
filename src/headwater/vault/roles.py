# SPDX-License-Identifier: Apache-2.0
"""Roles (岗位): who may do what in a case, enforced where it is done, and which acts take two persons.

As long as nobody is enrolled in a case, its acts are entered under the case's key in the names given; the defect list
says so. From the first enrolment on, an act is signed by an enrolled person whose role permits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headwater.model.errors import AuthorityError, UsageError
from headwater.model.nouns import Text
from headwater.vault.keys import Signer
from headwater.vault.signers import Personal
from headwater.vault.trail import Person

ROLES: Mapping[str, Text] = {
    "admin": Text("管理员", "administrator"),
    "custodian": Text("保管人", "custodian"),
    "examiner": Text("检验人", "examiner"),
    "analyst": Text("分析人", "analyst"),
    "reviewer": Text("复核人", "reviewer"),
    "approver": Text("批准人", "approver"),
    "auditor": Text("监督人", "auditor"),
}
ACTS: Mapping[str, Text] = {
    "seize": Text("扣押", "seize"), "seal": Text("封存", "seal"), "unseal": Text("启封", "unseal"),
    "receive": Text("接收", "receive"), "release": Text("发还", "release"), "transfer": Text("移交", "transfer"),
    "checkout": Text("领用", "check out"), "checkin": Text("归还入库", "check in"), "copy": Text("复制", "copy"),
    "mount": Text("挂载", "mount"), "read": Text("查阅", "read"), "verify": Text("校验", "verify"),
    "analyse": Text("分析", "analyse"), "export": Text("导出", "export"), "return": Text("退还", "return"),
    "destroy": Text("销毁", "destroy"), "retention": Text("变更保存期限", "change retention"),
    "hold": Text("诉讼保全", "legal hold"), "release-hold": Text("解除保全", "release the hold"),
}  # fmt: skip
_OTHER_ACTS: Mapping[str, Text] = {
    "enrol": Text("登记人员", "enrol a person"), "scope": Text("登记授权范围", "state the mandate"),
    "baseline": Text("确定基准时间", "set the baseline"), "duty": Text("登记期限事项", "enter a duty"),
    "add": Text("登记检材", "add an item"), "judge": Text("作出判断", "judge"), "approve": Text("批准", "approve"),
}  # fmt: skip
_HANDS = frozenset({"custodian", "examiner"})
_EYES = _HANDS | {"analyst", "reviewer", "auditor"}
PERMITS: Mapping[str, frozenset[str]] = {
    "enrol": frozenset({"admin"}),
    "scope": frozenset({"admin", "examiner"}),
    "baseline": frozenset({"examiner"}),
    "duty": frozenset({"admin", "examiner"}),
    "add": _HANDS,
    "judge": frozenset({"examiner", "reviewer"}),
    "seize": _HANDS, "seal": _HANDS, "unseal": _HANDS, "receive": _HANDS, "release": _HANDS, "transfer": _HANDS,
    "checkout": _EYES - {"auditor"}, "checkin": _HANDS | {"analyst"}, "copy": _HANDS, "mount": _EYES, "read": _EYES,
    "verify": _EYES, "analyse": _EYES, "export": _HANDS, "return": _HANDS, "destroy": frozenset({"custodian"}),
    "retention": frozenset({"custodian"}), "hold": frozenset({"admin", "approver"}),
    "release-hold": frozenset({"admin", "approver"}), "approve": frozenset({"approver"}),
}  # fmt: skip
_NOBODY = Text("尚无一人，先用 headwater case people CASE add 登记", "nobody yet; first headwater case people CASE add")
TWO_PERSONS = frozenset({"unseal", "export", "retention", "destroy"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: by name alone while nobody is enrolled, else with their key open."""

    name: str
    signer: Signer | None = None
    organisation: str = ""


def role(text: str) -> str:
    """The role itself.

    Raises:
        UsageError: HW1018.
    """
    if text not in ROLES:
        raise UsageError("HW1018", what=text, known=", ".join(ROLES))
    return text


def person_of(people: Mapping[str, Person], holder: Personal) -> Person:
    """The enrolled person whose key this is.

    Raises:
        AuthorityError: HW1010.
    """
    if holder.public not in people:
        raise AuthorityError("HW1010", what=holder.name)
    return people[holder.public]


def roles_for(act: str) -> Text:
    """The roles that permit an act, by the words that ``--role`` takes and, in Chinese, by their names."""
    held = sorted(PERMITS[act])
    return Text("、".join(f"{ROLES[name].zh} {name}" for name in held), ", ".join(held))


def _act(act: str) -> Text:
    found = ACTS.get(act) or _OTHER_ACTS.get(act)
    return Text(f"{found.zh} {act}", act) if found else Text(act, act)


def permit(people: Mapping[str, Person], actor: Actor, act: str, approver: Actor | None = None) -> None:
    """Let an act pass, or not.

    Raises:
        AuthorityError: HW1010 not enrolled, HW1011 no role for it, HW1012 a second person is missing or is the same,
            HW1020 nobody is named.
    """
    if not people and act not in TWO_PERSONS:
        return
    _may(people, actor, act)
    if act not in TWO_PERSONS:
        return
    if approver is None or approver.signer is None or actor.signer is None:
        raise AuthorityError("HW1012", what=_act(act), roles=roles_for("approve"))
    _may(people, approver, "approve")
    if approver.signer.public == actor.signer.public or approver.name == actor.name:
        raise AuthorityError("HW1012", what=_act(act), roles=roles_for("approve"))


def _may(people: Mapping[str, Person], actor: Actor, act: str) -> None:
    person = people.get(actor.signer.public) if actor.signer else None
    if person is None and not actor.name:
        raise AuthorityError("HW1020", known=", ".join(sorted({p.name for p in people.values()})) or _NOBODY)
    if person is None:
        raise AuthorityError("HW1010", what=actor.name)
    if not PERMITS[act] & set(person.roles):
        raise AuthorityError("HW1011", who=person.name, what=_act(act), roles=roles_for(act))
