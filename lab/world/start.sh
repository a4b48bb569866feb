#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Puts the far end of the cable into a new network namespace and leaves the driver running there.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
exec </dev/null >/lab/out/driver.log 2>&1
setsid unshare -n -m --propagation private /bin/bash /lab/inside.sh &
for _ in $(seq 100); do [ -s /run/world.pid ] && break; sleep 0.1; done
ip link set up0 netns "$(cat /run/world.pid)"
for _ in $(seq 600); do [ -e /run/ready ] && break; sleep 0.1; done
