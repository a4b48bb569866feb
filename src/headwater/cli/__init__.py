# SPDX-License-Identifier: Apache-2.0
"""命令: one file per verb, no logic."""
