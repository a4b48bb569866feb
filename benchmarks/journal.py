# SPDX-License-Identifier: Apache-2.0
"""How many journal entries become Parquet events with byte offsets per CPU second? Target 100,000, from pure wheels."""

from inputs import SEED
from journal_input import journal
from side_by_side import Question, ask

if __name__ == "__main__":
    ask(
        Question(
            name=f"journal of systemd (seed {SEED})",
            path="/var/log/journal/8f3b6e0b1d5a4c0f9e2d7a6c5b4a3920/system.journal",
            make=journal,
            count=400_000,
            unit="entries",
            target=100_000,
            plaso="systemd_journal",
            dissect="journal",
            whole=True,
        )
    )
