# SPDX-License-Identifier: Apache-2.0
"""A timestamp authority for tests: ``openssl ts`` behind a little HTTP server on loopback, made anew for each session.

``certs=`` is left out of its configuration: with the chain also embedded, answers carry certificates twice over and
some readers take the wrong one for the signer's.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

_CONFIG = """
[tsa]
default_tsa = one
[one]
dir = {folder}
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
clock_precision_digits = 0
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = {ess}
[ext]
extendedKeyUsage = critical,timeStamping
basicConstraints = CA:FALSE
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
"""


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)


class Authority:
    """Root → TSA, both made here; ``answer`` signs one request."""

    def __init__(self, folder: Path, *, ess: str = "sha256", usage: str = "ext", serial: str = "1") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "serial").write_text("01\n")
        config = folder / "tsa.cnf"
        config.write_text(_CONFIG.format(folder=folder, ess=ess))
        path = str(folder)
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        _openssl("req", "-x509", *new, "-keyout", f"{path}/root.key", "-out", f"{path}/root.pem", "-days", "30",
                 "-set_serial", serial, "-subj", "/CN=Test Root", "-config", str(config), "-extensions", "ca")  # fmt: skip
        _openssl("req", *new, "-keyout", f"{path}/tsa.key", "-out", f"{path}/tsa.csr", "-subj", "/CN=Test TSA",
                 "-config", str(config))  # fmt: skip
        _openssl("x509", "-req", "-in", f"{path}/tsa.csr", "-CA", f"{path}/root.pem", "-CAkey", f"{path}/root.key",
                 "-CAcreateserial", "-out", f"{path}/tsa.pem", "-days", "30", "-extfile", str(config),
                 "-extensions", usage)  # fmt: skip
        self.chain = folder / "root.pem"

    def answer(self, request: bytes) -> bytes:
        """The response to a request."""
        query, reply = self.folder / "q.tsq", self.folder / "r.tsr"
        query.write_bytes(request)
        _openssl("ts", "-reply", "-config", str(self.folder / "tsa.cnf"), "-section", "one", "-queryfile", str(query),
                 "-out", str(reply))  # fmt: skip
        return reply.read_bytes()

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The URL at which it answers while the block lasts."""
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = authority.answer(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/tsa"
        finally:
            server.shutdown()
            server.server_close()
