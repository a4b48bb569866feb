# SPDX-License-Identifier: Apache-2.0
"""How many lines of a BSD auth.log become Parquet events with byte offsets per CPU second? Target 300,000."""

from inputs import auth_log
from side_by_side import Question, ask

if __name__ == "__main__":
    ask(
        Question(
            name="auth.log (BSD)",
            path="/var/log/auth.log",
            make=auth_log,
            count=4_000_000,
            unit="lines",
            target=300_000,
            plaso="text/syslog_traditional",
            dissect="authlog",
            regex=r"^(\w{3} [ \d]\d \d\d:\d\d:\d\d) (\S+) ([^\s:\[]+)(?:\[(\d+)\])?: (.*)$",
        )
    )
