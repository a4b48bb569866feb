# SPDX-License-Identifier: Apache-2.0
"""One file per detector; each is found by its place here."""
