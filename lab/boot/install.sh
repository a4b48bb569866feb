#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in the virtual machine on the day of installation: makes the ext4 and unpacks the server, so that inode
# change and birth times are those that a kernel gave.
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkfs.ext4 -q -b 4096 -J size=4 -L web01-root -U 6f1d1f4e-3c55-4f0c-9d0a-7b1f0f2a9c11 "$1"
mkdir -p /run/t
mount -t ext4 "$1" /run/t
tar -xpf /lab/root.tar --numeric-owner -C /run/t
umount /run/t
sync
