# SPDX-License-Identifier: Apache-2.0
"""The in-memory event store of the detectors' tests serves here as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "detect"))
