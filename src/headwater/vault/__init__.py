# SPDX-License-Identifier: Apache-2.0
"""固定保全: register, hash, sign, seal, custody chain, verify."""
