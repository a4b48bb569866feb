# SPDX-License-Identifier: Apache-2.0
"""提取: disk and partition images, live collection, memory, network capture."""
