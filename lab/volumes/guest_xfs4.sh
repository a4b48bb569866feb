# SPDX-License-Identifier: Apache-2.0
# Runs in the guest: an XFS of version 4 (which newer kernels do not mount) copied while mounted, and the SHA-256 of
# every file that the guest's kernel finds after it has played the log of a second copy back.
X=/work/out/xfs4
mkdir -p $X /tmp/m
truncate -s 300M /work/live
mkfs.xfs -q -m crc=0 -i size=512 -L old /work/live
L=$(losetup -f); losetup $L /work/live
mount -t xfs $L /tmp/m
mkdir -p /tmp/m/var/log
for i in $(seq 1 30); do echo "settled line $i" > /tmp/m/var/log/old-$i; done
sync
umount /tmp/m
mount -t xfs $L /tmp/m
mkdir -p /tmp/m/srv/late
for i in $(seq 1 40); do { echo "late $i"; seq $i $((i + 200)); } > /tmp/m/srv/late/late-$i; done
ln -s "$(seq -s/ 1 60)" /tmp/m/srv/link
rm /tmp/m/var/log/old-7
mv /tmp/m/var/log/old-8 /tmp/m/srv/moved
sync
cat /work/live > $X/image
cp $X/image /work/second
umount /tmp/m
losetup -d $L
L=$(losetup -f); losetup $L /work/second
mount -t xfs -o nouuid $L /tmp/m
(cd /tmp/m && find . -type f | sort | while read -r f; do sha256sum "$f"; done) > $X/SHA256SUMS
readlink /tmp/m/srv/link > $X/LINK
umount /tmp/m
losetup -d $L
rm /work/live /work/second
