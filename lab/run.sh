#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh install           makes the installed server
# run.sh week              lives the benign week, from the installed server
# run.sh web01|benign01    lives one day and night more from the same week, with or without the intrusion
# QEMU counts instructions (-icount) and skips idle time (sleep=off), so the guest's clock does not depend on the speed of
# the machine that runs it; kernel, file system, journal and audit all read that one clock.
set -euo pipefail
W=${LAB_WORK:-/tmp/lab}
NAME=$1
D=$W/run-$NAME
case $NAME in
  install) ;;
  week) [ -e "$W/run-install/disk.raw" ] ;;
  web01 | benign01) [ -e "$W/run-week/disk.raw" ] ;;
  *) exit 2 ;;
esac || { echo "run the step before $NAME first"; exit 1; }
rm -rf "$D" && mkdir -p "$D"
cd "$D"
if [ "$NAME" = install ]; then
  truncate -s 128M disk.raw
  printf 'label: gpt\nlabel-id: 3B0C9E0E-7C43-4B7E-8B54-0F5B9C6F7A01\nstart=2048, type=%s, uuid=%s, name="root"\n' \
    0FC63DAF-8483-4772-8E79-3D69D8477DE4 0A4E2B57-1D1B-4E0A-9C2E-51D0E1A2B303 | sfdisk -q disk.raw
  BASE=2026-10-30T08:00:00
else
  cp --sparse=always "$W/run-install/disk.raw" disk.raw
  BASE=2026-11-01T22:30:00
fi
cp --sparse=always "$W/usr.raw" usr.raw
if [ "$NAME" = web01 ] || [ "$NAME" = benign01 ]; then
  cp --sparse=always "$W/run-week/disk.raw" "$W/run-week/usr.raw" .
  BASE=2026-11-08T02:00:00
fi
cp --sparse=always "$W/world.raw" world.raw
timeout --foreground "${LAB_TIMEOUT:-7200}" qemu-system-x86_64 -accel tcg,thread=single -icount shift=2,sleep=off \
  -cpu Nehalem,+rdrand -machine q35,nvdimm=on,hpet=off -m 768M,slots=4,maxmem=4G -rtc base="$BASE",clock=vm -no-reboot \
  -nic none -nodefaults -display none -serial file:console -monitor none \
  -object memory-backend-file,id=m0,share=on,mem-path=disk.raw,size=128M -device nvdimm,id=n0,memdev=m0 \
  -object memory-backend-file,id=m1,share=on,mem-path=usr.raw,size=512M -device nvdimm,id=n1,memdev=m1 \
  -object memory-backend-file,id=m2,share=on,mem-path=world.raw,size=512M -device nvdimm,id=n2,memdev=m2 \
  -kernel "$W/vmlinuz" -initrd "$W/initrd.gz" -append "console=ttyS0 quiet net.ifnames=0 nowatchdog tsc=reliable \
clocksource=tsc mitigations=off audit=1 panic=1 transparent_hugepage=never root=LABEL=web01-root lab=$NAME"
sync
debugfs -R 'dump /lab/out/actions.jsonl actions.jsonl' world.raw 2>/dev/null
