# SPDX-License-Identifier: Apache-2.0
"""How many wtmp records become Parquet events with byte offsets per CPU second? Target 500,000."""

from inputs import wtmp
from side_by_side import Question, ask

if __name__ == "__main__":
    ask(
        Question(
            name="wtmp",
            path="/var/log/wtmp",
            make=wtmp,
            count=2_000_000,
            unit="records",
            target=500_000,
            plaso="utmp",
            dissect="wtmp",
            record=384,
        )
    )
