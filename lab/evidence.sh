#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# evidence.sh OUTPUT_DIR: acquires the two disks as E01, checks them, and writes TRUTH.json.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
W=${LAB_WORK:-/tmp/lab}
OUT=$(cd "$1" && pwd)
for name in web01 benign01; do
  disk=$W/run-$name/disk.raw
  dd if="$disk" of="$W/part.raw" bs=1M skip=1 status=none
  e2fsck -fn "$W/part.raw" > "$W/run-$name/e2fsck.txt" || { cat "$W/run-$name/e2fsck.txt"; exit 1; }
  dumpe2fs -h "$W/part.raw" 2> /dev/null | grep -q needs_recovery && { echo "$name was not unmounted"; exit 1; }
  rm -f "$OUT/$name.E01"
  ewfacquire -q -u -c best -f encase6 -b 1024 -S 1.4GiB -t "$OUT/$name" -C HEADWATER-SAMPLE -D "sample server, $name" -E "$name" \
    -e lab -N 'made by lab/; inert payloads' -m fixed -M physical -d sha256 -l "$W/run-$name/acquire.log" "$disk" > /dev/null
  ewfverify -q -d sha256 "$OUT/$name.E01" | tail -8
  rm "$W/part.raw"
done
python3 "$HERE/truth.py" "$W" "$OUT"
ls -l "$OUT"
