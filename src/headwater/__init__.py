# SPDX-License-Identifier: Apache-2.0
"""Headwater 溯源: from a broken-into server to a report that a court can check down to the byte."""

__version__ = "0.1.0"
