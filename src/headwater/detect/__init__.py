# SPDX-License-Identifier: Apache-2.0
"""检测: rules and detectors that turn events into findings."""
