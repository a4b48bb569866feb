# SPDX-License-Identifier: Apache-2.0
"""检验解析: open an image down to its files; parsers turn files into events and gaps."""
