# SPDX-License-Identifier: Apache-2.0
"""Codecs and readers that several rooms need: images, volumes, file systems, archives, hashing, canonical JSON."""
