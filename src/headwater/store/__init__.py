# SPDX-License-Identifier: Apache-2.0
"""事件库: Parquet files on disk and SQL over them."""
