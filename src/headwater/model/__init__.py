# SPDX-License-Identifier: Apache-2.0
"""The nouns of the work, and the ports through which rooms meet; standard library only."""
