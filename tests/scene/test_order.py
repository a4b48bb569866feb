# SPDX-License-Identifier: Apache-2.0
"""The order at a scene: memory lost to an early power-off, an inversion that nobody gave a reason for, a cleaned original."""

from __future__ import annotations

import random

import pytest

from headwater.scene.acts import ACTS, KINDS, NEEDS, Stage
from headwater.scene.lineage import Made, Tangled, chain, parents, remarks
from headwater.scene.order import Done, judge, open_needs
from headwater.scene.plan import Plan, checklist

RESPONSE = KINDS["response"]
IN_ORDER = ("first", "isolate", "memory", "snapshot", "password", "mfa", "rotate-keys", "collect", "register")


def _done(*names: str, asset: str = "web01", start: int = 0) -> list[Done]:
    return [Done(name, asset, start + at) for at, name in enumerate(names)]


def test_order_of_the_seed_passes_without_a_reason() -> None:
    history: list[Done] = []
    for at, name in enumerate(IN_ORDER):
        found = judge(RESPONSE, history, Done(name, "web01", at))
        assert not found.inversions, name
        assert not found.guards, name
        history.append(Done(name, "web01", at))


def _unreasoned(history: list[Done], wanted: Done) -> bool:
    """The rule again, written differently: is a stage before this act's own without anything done or waived by then?"""
    act = ACTS[wanted.act]
    if act.writes:
        return True
    limit = act.stage if act.stage is not None else None
    if wanted.act in {"stop", "power-off", "reboot", "hibernate"}:
        limit = Stage.CREDENTIALS
    lifted = wanted.act in {"release", "rebuild"}
    if lifted:
        limit = Stage.REGISTER
    if limit is None or (act.stage is not None and act.stage not in RESPONSE.stages):
        return False
    there = {d.act for d in history if d.asset in {wanted.asset, ""} and d.when <= wanted.when}
    there |= {d.waives for d in history if d.asset in {wanted.asset, ""} and d.when <= wanted.when}
    wants = [set(g) for s, groups in NEEDS.items() if s in RESPONSE.stages and s < limit for g in groups
             if not (lifted and s < Stage.MEMORY)]  # fmt: skip
    return any(not (g & there) for g in wants)


def test_no_inversion_passes_unseen_in_any_order_of_acts() -> None:
    rng = random.Random(20261122)
    names = [n for n in ACTS if n != "waive"]
    seen = 0
    for _ in range(400):
        history: list[Done] = []
        for _ in range(rng.randrange(1, 16)):
            when, asset = rng.randrange(40), rng.choice(("web01", "db01"))
            if rng.random() < 0.15:
                history.append(Done("waive", asset, when, rng.choice(("memory", "keys", "isolate", "snapshot", "mfa"))))
                continue
            wanted = Done(rng.choice(names), asset, when)
            found = judge(RESPONSE, history, wanted)
            assert bool(found.inversions) == _unreasoned(history, wanted), (history, wanted)
            seen += bool(found.inversions)
            if not found.inversions or rng.random() < 0.5:  # with a reason it may be done all the same
                history.append(wanted)
    assert seen > 500


def test_backdated_act_is_judged_by_its_time_and_not_by_when_it_was_written_down() -> None:
    history = [Done("first", "web01", 1), Done("isolate", "web01", 50)]
    assert judge(RESPONSE, history, Done("memory", "web01", 40)).inversions
    assert not judge(RESPONSE, history, Done("memory", "web01", 60)).inversions


def test_one_server_in_order_does_not_excuse_another() -> None:
    history = _done("first", "isolate", "memory")
    assert judge(RESPONSE, history, Done("snapshot", "db01", 9)).inversions
    assert not judge(RESPONSE, history, Done("snapshot", "web01", 9)).inversions
    assert judge(RESPONSE, history, Done("snapshot", "", 9), ("web01", "db01")).inversions


def test_power_off_before_memory_and_keys_are_held_is_refused() -> None:
    wanted = Done("power-off", "web01", 100)
    assert len(judge(RESPONSE, [], wanted).guards) == 2
    held = _done("first", "isolate", "memory", "snapshot")
    assert [g.en for g in judge(RESPONSE, held, wanted).guards] == [
        "web01: keys of unlocked volumes (LUKS, BitLocker) are not held"
    ]
    assert not judge(RESPONSE, [*held, Done("keys", "web01", 60)], wanted).guards
    assert not judge(RESPONSE, [*held, Done("waive", "web01", 60, "keys")], wanted).guards
    plain = [Done("memory", "web01", 3, unencrypted=True)]
    assert not judge(RESPONSE, plain, wanted).guards


def test_memory_taken_after_the_power_off_excuses_nothing() -> None:
    history = [Done("memory", "web01", 200, unencrypted=True)]
    assert judge(RESPONSE, history, Done("power-off", "web01", 100)).guards


def test_stopping_before_a_snapshot_needs_a_reason() -> None:
    history = [Done("first", "web01", 1), Done("isolate", "web01", 2), Done("memory", "web01", 3, unencrypted=True)]
    found = judge(RESPONSE, history, Done("stop", "web01", 9))
    assert found.inversions
    assert not found.guards
    assert not judge(RESPONSE, [*history, Done("snapshot", "web01", 4)], Done("stop", "web01", 9)).inversions


def test_cleaning_the_original_is_forbidden_while_no_copy_exists_and_a_waiver_makes_none() -> None:
    wanted = Done("clean", "web01", 100)
    waived = [Done("waive", "web01", 1, "snapshot"), Done("collect", "web01", 2)]
    assert judge(RESPONSE, waived, wanted).guards
    held = _done(*IN_ORDER)
    found = judge(RESPONSE, held, wanted)
    assert not found.guards
    assert found.inversions  # it changes the original: a reason is asked for even then


def test_hibernation_is_always_a_write_on_the_original() -> None:
    history = [*_done(*IN_ORDER), Done("keys", "web01", 20)]
    found = judge(RESPONSE, history, Done("hibernate", "web01", 99))
    assert [t.en for t in found.inversions] == [
        "web01: hibernation writes memory onto the evidence's own disk (hiberfil.sys, swap) over what stood there"
    ]


def test_isolation_lifted_before_the_work_is_done_needs_a_reason() -> None:
    assert judge(RESPONSE, _done("first", "isolate", "memory"), Done("release", "web01", 9)).inversions
    assert not judge(RESPONSE, _done(*IN_ORDER), Done("release", "web01", 99)).inversions


def test_an_audit_asks_for_no_isolation_and_a_court_asks_for_photographs() -> None:
    assert not judge(KINDS["audit"], [], Done("image", "web01", 1)).inversions
    assert judge(KINDS["judicial"], [], Done("first", "web01", 1)).inversions
    assert not judge(KINDS["judicial"], [Done("photograph", "", 0)], Done("first", "web01", 1)).inversions


def test_every_stage_has_needs_and_every_need_is_an_act_of_it() -> None:
    for stage in Stage:
        for group in NEEDS[stage]:
            assert group
            assert all(ACTS[name].stage is stage for name in group)
        assert open_needs(stage, "x", [], 10) == NEEDS[stage]


def test_checklist_says_what_comes_next_and_what_is_late() -> None:
    plan = Plan(assets={"web01": ("10.0.0.5",)}, due={"memory": "2026-01-01T00:00:00Z"})
    rows = checklist(plan, [Done("first", "web01", 5), Done("waive", "web01", 6, "isolate")], 2**61)
    states = {r.acts[0]: r.state for r in rows}
    assert states["first"] == "done"
    assert states["isolate"] == "waived"
    assert states["memory"] == "late"
    assert states["snapshot"] == "open"
    assert plan.asset("10.0.0.5") == "web01"


def test_lineage_that_contradicts_itself_is_refused() -> None:
    one = Made("snap-1", "vol-1", 0, "a", "crash")
    image = Made("E1", "snap-1", 5, "b")
    assert chain("E1", parents([one, image])) == ("E1", "snap-1", "vol-1")
    with pytest.raises(Tangled):
        parents([one, Made("snap-1", "vol-2", 0, "a")])
    with pytest.raises(Tangled):
        parents([one, Made("vol-1", "snap-1", 0, "a")])


def test_snapshots_minutes_apart_are_said_to_show_no_single_moment() -> None:
    minute = 60_000_000_000
    apart = [Made("s1", "v1", 0, "a", "crash", "web01"), Made("s2", "v2", 3 * minute, "b", "crash", "web01")]
    assert any("180 s apart" in r.en for r in remarks(apart))
    together = [Made("s1", "v1", 0, "a", "crash", "web01"), Made("s2", "v2", 0, "a", "crash", "web01")]
    stopped = [Made("s1", "v1", 0, "a", "stopped", "web01"), Made("s2", "v2", 3 * minute, "b", "stopped", "web01")]
    others = [Made("s1", "v1", 0, "a", "crash", "web01"), Made("s2", "v2", 3 * minute, "b", "crash", "db01")]
    for benign in (together, stopped, others):
        assert not any("apart" in r.en for r in remarks(benign))
