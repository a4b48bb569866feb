# SPDX-License-Identifier: Apache-2.0
"""Runs untrusted parsing in long-lived child processes under limits; see :mod:`headwater.confine.pool`."""
