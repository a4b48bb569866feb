#!/bin/sh
# nightly backup: data kept three days here, copied to db01 by the weekly job
set -e
D=$(date +%F)
tar czf /srv/backup/data-$D.tgz -C /srv data
find /srv/backup -name 'data-*.tgz' -mtime +1 -delete
logger -t backup "data-$D.tgz written, $(stat -c %s /srv/backup/data-$D.tgz) bytes"
echo "$(date -Is) data-$D.tgz ok"
