# SPDX-License-Identifier: Apache-2.0
"""Runs untrusted parsing in child processes under limits."""
