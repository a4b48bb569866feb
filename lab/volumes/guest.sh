# SPDX-License-Identifier: Apache-2.0
# Runs in the guest: makes every array, group and cipher once, writes numbered blocks through it, and notes the
# SHA-256 of what the kernel then reads from it.
OUT=/work/out
P=/work/pattern.raw
mkdir -p $OUT/mdraid $OUT/lvm $OUT/luks $OUT/stack
say() { echo "== $*"; }

fill() { # device: numbered blocks all over it
  dd if=$P of="$1" bs=64k oflag=direct conv=notrunc 2>/dev/null || true
  sync
}
note() { # directory, name, device
  echo 3 > /proc/sys/vm/drop_caches
  echo "$(sha256sum < "$3" | cut -d' ' -f1) $(blockdev --getsize64 "$3") $2" >> "$1/SHA256"
}

# --- md: name, level, "sizes in KiB", mdadm's own words
N=0
md() {
  name=$1 level=$2 sizes=$3
  shift 3
  say md "$name"
  D=$OUT/mdraid/$name
  mkdir -p "$D"
  members= i=0
  for size in $sizes; do
    truncate -s "${size}K" "$D/$i"
    members="$members $(losetup -f)"
    losetup "$(losetup -f)" "$D/$i"
    i=$((i + 1))
  done
  N=$((N + 1))
  DEV=/dev/md$N
  clean=
  case $level in [1456]|10) clean=--assume-clean ;; esac
  # shellcheck disable=SC2086
  mdadm --create $DEV --run --homehost=lab --name="$name" --level="$level" -n $i $clean "$@" $members 2>&1 | grep -v -i 'started\|default\|note\|boot' || true
  [ -b $DEV ]
  fill $DEV
}
done_md() {
  note $OUT/mdraid "$name" $DEV
  mdadm --detail $DEV > "$D/detail"
  mdadm --stop $DEV 2>/dev/null
  for m in $members; do losetup -d "$m"; done
}
S='2304 2304 2304'
md linear linear '1536 2304 3072' ; done_md
md raid0 0 '2304 2304' -c 16 ; done_md
md linear-090 linear '1088 640' -e 0.90 ; done_md
md raid0-zones-original 0 '1536 2304 3072' -c 32 --layout=original ; done_md
md raid0-zones-alternate 0 '1536 2304 3072' -c 32 --layout=alternate ; done_md
for e in 0.90 1.0 1.1 1.2; do md raid1-$e 1 '2304 2304' -e $e --bitmap=none ; done_md; done
md raid1-bitmap 1 '2304 2304' --bitmap=internal ; done_md
md raid4 4 "$S" -c 16 --bitmap=none ; done_md
for l in la ra ls rs parity-first parity-last; do md raid5-$l 5 '1536 1536 1536 1536' -c 16 --layout=$l --bitmap=none ; done_md; done
md raid5-090 5 '640 640 640' -e 0.90 -c 32 ; done_md
for l in la ra ls rs parity-first parity-last ddf-zero-restart ddf-N-restart ddf-N-continue left-asymmetric-6 \
  right-asymmetric-6 left-symmetric-6 right-symmetric-6 parity-first-6; do
  md raid6-$l 6 '1536 1536 1536 1536 1536' -c 16 --layout=$l --bitmap=none ; done_md
done
for l in n2 f2 o2; do
  md raid10-$l-3 10 "$S" -c 16 --layout=$l --bitmap=none ; done_md
  md raid10-$l-4 10 "$S 2304" -c 16 --layout=$l --bitmap=none ; done_md
done
md raid10-n3-4 10 "$S 2304" -c 16 --layout=n3 --bitmap=none ; done_md
md raid10-f3-5 10 "$S 2304 2304" -c 16 --layout=f3 --bitmap=none ; done_md

md raid1-stale 1 '2304 2304' --bitmap=none
mdadm -q $DEV --fail "$(echo $members | cut -d' ' -f2)"
dd if=$P of=$DEV bs=4k skip=2000 seek=10 count=50 oflag=direct conv=notrunc 2>/dev/null
done_md
md raid5-stale 5 "$S" -c 16 --bitmap=none
mdadm -q $DEV --fail "$(echo $members | cut -d' ' -f2)"
dd if=$P of=$DEV bs=4k skip=2000 seek=10 count=100 oflag=direct conv=notrunc 2>/dev/null
done_md
md raid1-spare 1 '2304 2304' --bitmap=none
truncate -s 2304K "$D/2"
L=$(losetup -f); losetup $L "$D/2"; mdadm -q $DEV --add $L; members="$members $L"
done_md
md raid5-reshape 5 "$S" -c 16 --bitmap=none
truncate -s 2304K "$D/3"
L=$(losetup -f); losetup $L "$D/3"; mdadm -q $DEV --add $L; members="$members $L"
echo 256 > /sys/block/md$N/md/sync_max
mdadm -q --grow $DEV -n 4 2>&1 || true
sleep 2
cat /proc/mdstat
done_md
echo reshape done

# --- LVM2
V=$OUT/lvm
pvs() { # file names and sizes in KiB → loop devices in LOOPS
  LOOPS=
  for size in $2; do
    n=$(ls $V | grep -c "^$1-pv" || true)
    truncate -s "${size}K" $V/$1-pv$n
    L=$(losetup -f); losetup $L $V/$1-pv$n; LOOPS="$LOOPS $L"
  done
  for l in $LOOPS; do lvm pvcreate -q -y --metadatasize 128k --dataalignment 64k "$l" > /dev/null; done
  lvm vgcreate -q -y -s 64k $1 $LOOPS > /dev/null
}
lv() { # group, name, lvcreate's own words
  g=$1 n=$2
  shift 2
  say lv $g/$n
  lvm lvcreate -q -y -Zn -Wn -an --nosync -n $n "$@" $g > /dev/null 2>&1 || lvm lvcreate -q -y -Zn -Wn -an -n $n "$@" $g > /dev/null
  lvm lvchange -q -ay $g/$n
  fill /dev/$g/$n
}
gone() { lvm vgchange -q -an $1 > /dev/null; for l in $LOOPS; do losetup -d $l; done; }
every() { for n in $(ls /dev/$1); do note $V $1/$n /dev/$1/$n; done; }
pvs plain '4352 4352 4352'
lv plain striped3 -l 15 -i 3 -I 16k
lv plain linear -l 10
lv plain across -l 80
lv plain striped2 -l 16 -i 2 -I 8k
lvm lvextend -q -y -l +4 plain/linear > /dev/null
lvm lvextend -q -y -l +6 -i 2 -I 32k plain/striped2 > /dev/null
fill /dev/plain/linear; fill /dev/plain/striped2
every plain; gone plain
pvs copies '2304 2304 2304 2304 2304'
lv copies raid1 --type raid1 -m 1 -l 4
lv copies mirror --type mirror -m 1 --mirrorlog core -l 4
lv copies raid0 --type raid0 -i 2 -I 16k -l 8
lv copies raid5 --type raid5 -i 2 -I 16k -l 8
lv copies raid6 --type raid6 -i 3 -I 16k -l 9
lv copies raid10 --type raid10 -i 2 -m 1 -I 16k -l 8
every copies; gone copies
pvs thin '8192 2304'
say thin
lvm lvcreate -q -y --type thin-pool -l 60 -c 64k --poolmetadatasize 2m -n pool thin > /dev/null
lvm lvcreate -q -y -V 4m --thinpool pool -n a thin > /dev/null
dd if=$P of=/dev/thin/a bs=64k count=10 oflag=direct 2>/dev/null
lvm lvcreate -q -y -s -n a-snap thin/a > /dev/null
lvm lvchange -q -ay -K thin/a-snap
dd if=$P of=/dev/thin/a bs=4k skip=3000 seek=20 count=30 conv=notrunc oflag=direct 2>/dev/null
dd if=$P of=/dev/thin/a bs=4k skip=1000 seek=600 count=3 conv=notrunc oflag=direct 2>/dev/null
lvm lvcreate -q -y -V 1t --thinpool pool -n big thin > /dev/null
dd if=$P of=/dev/thin/big bs=64k count=3 seek=1000000 conv=notrunc oflag=direct 2>/dev/null
sync
for n in a a-snap; do note $V thin/$n /dev/thin/$n; done
lvm lvcreate -q -y -l 8 -n base thin > /dev/null
fill /dev/thin/base
lvm lvcreate -q -y -s -l 4 -n cow thin/base > /dev/null
dd if=$P of=/dev/thin/base bs=4k skip=3000 seek=20 count=3 conv=notrunc oflag=direct 2>/dev/null
sync
for n in base cow; do note $V thin/$n /dev/thin/$n; done
gone thin

# --- LUKS: name, size in KiB, data offset, header or '', cryptsetup's own words
U=$OUT/luks
printf 'correct horse' > $U/pass
luks() {
  name=$1 size=$2
  shift 2
  say luks $name
  truncate -s ${size}K $U/$name
  L=$(losetup -f); losetup $L $U/$name
  cryptsetup -q luksFormat "$@" $L $U/pass
}
payload() {
  cryptsetup open --key-file $U/pass "$@" $L c
  dd if=$P of=/dev/mapper/c bs=4k count=12 oflag=direct 2>/dev/null
  sync
  echo "$(head -c 49152 /dev/mapper/c | sha256sum | cut -d' ' -f1) $(blockdev --getsize64 /dev/mapper/c) $name" >> $U/SHA256
  cryptsetup close c
  losetup -d $L
}
# what formatting fills with noise and no slot uses is set to zeros: noise does not compress
luks luks1-essiv 1152 --type luks1 -c aes-cbc-essiv:sha256 -s 128 --pbkdf-force-iterations 1000 --align-payload 8
dd if=/dev/zero of=$L bs=4k seek=17 count=112 conv=notrunc 2>/dev/null
payload
V2="--type luks2 -s 256 --luks2-metadata-size 16k --luks2-keyslots-size 288k --offset 640"
luks luks2-argon2id 512 $V2 --pbkdf argon2id --pbkdf-force-iterations 4 --pbkdf-memory 8192 --pbkdf-parallel 2 --sector-size 512
dd if=/dev/zero of=$L bs=4k seek=40 count=40 conv=notrunc 2>/dev/null
payload
luks luks2-4096 512 $V2 --pbkdf argon2i --pbkdf-force-iterations 4 --pbkdf-memory 8192 --pbkdf-parallel 1 --sector-size 4096
dd if=/dev/zero of=$L bs=4k seek=40 count=40 conv=notrunc 2>/dev/null
payload

# --- one disk: three partitions in a RAID 5, LVM2 on it, ext4 and a LUKS2 that holds another ext4
say stack
K=$OUT/stack
truncate -s 14M $K/disk
printf 'label: gpt\nstart=2048, size=8192\nstart=10240, size=8192\nstart=18432, size=8192\n' | sfdisk -q $K/disk
L=$(losetup -f); losetup -P $L $K/disk
L0=${L}p1 L1=${L}p2 L2=${L}p3
sleep 1
mdadm -q --create /dev/md100 --run --homehost=lab --name=data --level=5 -n 3 -c 16 --bitmap=none --assume-clean $L0 $L1 $L2
lvm pvcreate -q -y --metadatasize 128k --dataalignment 64k /dev/md100 > /dev/null
lvm vgcreate -q -y -s 64k web /dev/md100 > /dev/null
lvm lvcreate -q -y -Zn -Wn -l 16 -n root web > /dev/null
lvm lvcreate -q -y -Zn -Wn -l 24 -n secret web > /dev/null
mkfs.ext4 -q -b 1024 -O ^has_journal -N 16 -U 6f1d1f4e-3c55-4f0c-9d0a-7b1f0f2a9c22 /dev/web/root
mkdir -p /tmp/m
mount /dev/web/root /tmp/m
mkdir -p /tmp/m/etc /tmp/m/var/log
echo web03 > /tmp/m/etc/hostname
for i in $(seq 1 200); do echo "2026-11-22T04:00:00+08:00 web03 app[$i]: line $i"; done > /tmp/m/var/log/app.log
umount /tmp/m
cryptsetup -q luksFormat $V2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/web/secret $U/pass
dd if=/dev/zero of=/dev/web/secret bs=4k seek=40 count=40 conv=notrunc 2>/dev/null
cryptsetup open --key-file $U/pass /dev/web/secret c
mkfs.ext4 -q -b 1024 -O ^has_journal -N 16 -U 6f1d1f4e-3c55-4f0c-9d0a-7b1f0f2a9c33 /dev/mapper/c
mount /dev/mapper/c /tmp/m
echo 'the secret of web03' > /tmp/m/secret.txt
umount /tmp/m
cryptsetup close c
lvm vgchange -q -an web > /dev/null
mdadm -q --stop /dev/md100
losetup -d $L
