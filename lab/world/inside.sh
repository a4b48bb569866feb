#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The outside world: one network namespace with every foreign address, no way out of the virtual machine.
echo $$ > /run/world.pid
mount -t tmpfs -o mode=755 dev /dev
for n in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
  set -- $n
  mknod -m 666 /dev/$1 c $2 $3
done
mkdir -p /dev/pts
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
until ip link show up0 >/dev/null 2>&1; do sleep 0.1; done
ip link set lo up
ip link set up0 up
for a in 1 5 8 9 21 22 23 30; do ip addr add 10.20.0.$a/24 dev up0; done
for a in $(cat /lab/addresses.txt); do ip addr add "$a/32" dev lo; done
# quieter idle hours: two wake-ups a second of the kernel's own less, of which nothing is logged
echo 0 > /proc/sys/vm/compaction_proactiveness
echo 3600 > /proc/sys/vm/stat_interval
exec python3 /lab/driver.py
