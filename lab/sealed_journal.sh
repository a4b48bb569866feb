#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes tests/formats/fixtures/sealed.journal.xz: journald itself seals a few records of a host that does not exist.
# Needs root, systemd with gcrypt, util-linux and xz; touches nothing outside its own mounts. The key is printed.
#   unshare -mu sh lab/sealed_journal.sh OUT
set -eu
out=$1
machine=00112233445566778899aabbccddeeff
hostname web01
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
echo "$machine" > /run/machine-id
mount --bind /run/machine-id /etc/machine-id
mkdir -p "/var/log/journal/$machine" /run/systemd/journal
journalctl --setup-keys --interval=2s
/lib/systemd/systemd-journald &
journald=$!
sleep 2
kill -USR1 $journald
sleep 3
kill -USR2 $journald # what the kernel said stays in the file before
sleep 1
for n in 1 2 3; do
    logger -u /run/systemd/journal/dev-log "later $n"
    sleep 1
done
kill -TERM $journald
wait $journald || true
xz -9e -c "/var/log/journal/$machine/system.journal" > "$out"
