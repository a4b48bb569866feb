# SPDX-License-Identifier: Apache-2.0
"""授权立案: authority, scope, plan, people, settings and clocks of one case."""
