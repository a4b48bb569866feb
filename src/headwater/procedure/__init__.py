# SPDX-License-Identifier: Apache-2.0
"""规程: the corridor; numbered procedures that call the rooms in order."""
