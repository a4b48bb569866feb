# SPDX-License-Identifier: Apache-2.0
"""关联: findings become steps of an intruder and an attack graph."""
