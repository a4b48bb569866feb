# SPDX-License-Identifier: Apache-2.0
"""What the keys of a registry hive mean: one module per artifact, found by place (:mod:`headwater.examine.hive_artifacts`)."""
