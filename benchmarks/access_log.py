# SPDX-License-Identifier: Apache-2.0
"""How many lines of a web server's access log become Parquet events with byte offsets per CPU second? Target 400,000."""

from inputs import access_log
from side_by_side import Question, ask

if __name__ == "__main__":
    ask(
        Question(
            name="access log",
            path="/var/log/nginx/access.log",
            make=access_log,
            count=4_000_000,
            unit="lines",
            target=400_000,
            plaso="text/apache_access",
            dissect="nginx.access",
            regex=r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "(\S+) ([^"]*?)(?: (HTTP/[0-9.]+))?" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"$',
        )
    )
