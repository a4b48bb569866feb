# SPDX-License-Identifier: Apache-2.0
"""What a disk has to say of itself when it is asked (:mod:`headwater.acquire.device_asking`), or why it said nothing."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.acquire.system_files import NotRecorded


@dataclass(frozen=True, slots=True)
class DeviceAnswers:
    """``hidden_hpa`` and ``hidden_dco`` in bytes: how much of the disk a plain reading does not reach."""

    model: str | NotRecorded
    serial: str | NotRecorded
    firmware: str | NotRecorded
    hidden_hpa: int | NotRecorded
    hidden_dco: int | NotRecorded
    health: str | NotRecorded


def nothing(reason: str) -> DeviceAnswers:
    """No answer at all, and why."""
    why = NotRecorded(reason)
    return DeviceAnswers(why, why, why, why, why, why)
