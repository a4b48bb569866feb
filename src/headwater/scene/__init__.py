# SPDX-License-Identifier: Apache-2.0
"""The scene (现场保护): which acts there are, in which order, which guards they pass, and how a server is isolated."""
