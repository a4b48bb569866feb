#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the project's sample evidence from nothing but Debian 12 packages. Run as root on Debian 12; not part of the tests.
#   lab/make.sh tools      installs the Debian packages that the lab needs
#   lab/make.sh roots      the userlands, the kernel, the initramfs
#   lab/make.sh install    the server's installation
#   lab/make.sh week       its benign week, common to both twins
#   lab/make.sh web01      one day and night more, with the intrusion
#   lab/make.sh benign01   the same day and night without it
#   lab/make.sh evidence   E01 files, hashes and TRUTH.json into sample/
#   lab/make.sh dirty      the two file systems copied while mounted
#   lab/make.sh all        all of it, about half an hour of CPU time
# LAB_WORK (default /tmp/lab) needs 4 GB. No program of the lab talks to any network but the one inside the machine it
# makes, apart from apt.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
export LAB_WORK=${LAB_WORK:-/tmp/lab}
mkdir -p "$LAB_WORK" "$HERE/../sample"
tools() {
  apt-get install -y --no-install-recommends qemu-system-x86 seabios mmdebstrap ewf-tools sleuthkit xfsprogs e2fsprogs \
    fdisk busybox-static cpio kmod dpkg-dev openssh-client python3 xz-utils
}
case ${1:-} in
  tools) tools ;;
  roots) bash "$HERE/roots.sh" ;;
  install | week | web01 | benign01) bash "$HERE/run.sh" "$1" ;;
  evidence) bash "$HERE/evidence.sh" "$HERE/../sample" ;;
  dirty) bash "$HERE/dirty.sh" "$HERE/../sample" ;;
  all)
    tools
    for step in roots install week web01 benign01 evidence dirty; do "$0" "$step"; done
    ;;
  *)
    sed -n '3,14p' "$0"
    exit 2
    ;;
esac
