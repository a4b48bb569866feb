# SPDX-License-Identifier: Apache-2.0
"""还原验证: hypotheses, what supports and what refutes them."""
