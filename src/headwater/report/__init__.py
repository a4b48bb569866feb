# SPDX-License-Identifier: Apache-2.0
"""报告: the report in Chinese and English, and its annexes."""
