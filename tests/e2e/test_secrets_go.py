# SPDX-License-Identifier: Apache-2.0
"""Key logs of Go programs: tshark decrypts with them, HTTP/2 as well."""
import http.server
import os
import threading
import unittest

from harness import wait_listening
from proof import TLS13, ProofCase
from test_go import GO, build

# Go makes no exporter secret before somebody asks for one.
LABELS = tuple(label for label in TLS13 if label != "EXPORTER_SECRET")


class GoCase(ProofCase):
    LABELS, NOT_MADE = LABELS, ("EXPORTER_SECRET",)

    def curl(self, mark, tls, *args):
        """The peer of servers: not tapped, and it tells the truth."""
        curl = self.run_program("curl", "-sS", "--cacert", self.cert.cert, "--tlsv" + tls,
                                "--tls-max", tls, "-d", mark[0].decode(), *args,
                                f"https://localhost:{self.server_port}/",
                                env={**os.environ, "SSLKEYLOGFILE": self.truth})
        self.assertIn(mark[1], curl.output())


class Program(GoCase):
    """Without symbols, as most are."""

    @classmethod
    def tap_args(cls):
        cls.program = build(GO, "-ldflags", "-s -w", source="gomark.go")
        return ["--libssl", cls.program]

    def check_client(self, tls):
        """A full handshake and two that are resumed."""
        marks = [self.mark() for _ in range(3)]
        own = self.path("own")
        client = self.run_program(self.program, "get", f"https://localhost:{self.peer_port}/", tls,
                                  *(request.decode() for request, _ in marks),
                                  env={**os.environ, "KEYLOG": own})
        # Go itself does not log resumed sessions of TLS 1.2; the peer does.
        for number, mark in enumerate(marks):
            logged = tls == "1.3" or number == 0
            self.prove(mark, pid=client.pid, truth=own if logged else None, tls=tls)

    def test_client_tls12(self):
        self.check_client("1.2")

    def test_client_tls13(self):
        self.check_client("1.3")

    def check_server(self, tls):
        own = self.path("own")
        server = self.start(self.program, "serve", str(self.server_port), self.cert.cert,
                            self.cert.key, env={**os.environ, "KEYLOG": own})
        wait_listening(server, self.server_port)
        for http in ("--http1.1", "--http2"):
            mark = self.mark()
            self.curl(mark, tls, http)
            (stream,) = self.prove(mark, pid=server.pid, truth=own, tls=tls)
            self.assertEqual(stream.sent.startswith(b"PRI * HTTP/2.0"), http == "--http2")
        session = None
        for _ in range(2):
            mark = self.mark()
            session = self.ask(self.server_port, mark, tls, session)
            self.prove(mark, pid=server.pid, tls=tls)
        server.stop()

    def test_server_tls12(self):
        self.check_server("1.2")

    def test_server_tls13(self):
        self.check_server("1.3")

    def test_both_ends_http2(self):
        """Go at both ends: what one end has found is not printed a second time by the other."""
        server = self.start(self.program, "serve", str(self.server_port), self.cert.cert,
                            self.cert.key, env={**os.environ, "KEYLOG": self.truth})
        wait_listening(server, self.server_port)
        mark = self.mark()
        client = self.run_program(self.program, "get", f"https://localhost:{self.server_port}/",
                                  "1.3", mark[0].decode())
        self.assertIn(b"HTTP/2.0", client.output())
        self.prove(mark)
        server.stop()


class Backend(http.server.BaseHTTPRequestHandler):
    """What Caddy passes requests on to."""

    def do_POST(self):
        request = self.rfile.read(int(self.headers["Content-Length"]))
        answer = request.replace(b"request", b"answer")
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


class Caddy(GoCase):
    """A large program of another version of Go, stripped."""

    @classmethod
    def tap_args(cls):
        return ["--libssl", "/usr/bin/caddy"]

    def check(self, tls):
        backend = http.server.HTTPServer(("127.0.0.1", 0), Backend)
        self.addCleanup(backend.server_close)
        threading.Thread(target=backend.serve_forever, daemon=True).start()
        self.addCleanup(backend.shutdown)
        config = self.path("Caddyfile", f"""
{{
admin off
auto_https off
storage file_system {self.dir}/storage
}}
https://localhost:{self.server_port} {{
bind 127.0.0.1
tls {self.cert.cert} {self.cert.key}
reverse_proxy 127.0.0.1:{backend.server_port}
}}
""".encode())
        caddy = self.start("caddy", "run", "--config", config, "--adapter", "caddyfile",
                           env={**os.environ, "HOME": self.dir, "XDG_CONFIG_HOME": self.dir})
        wait_listening(caddy, self.server_port)
        for version in ("--http1.1", "--http2"):
            mark = self.mark()
            self.curl(mark, tls, version)
            self.prove(mark, pid=caddy.pid, tls=tls)
        caddy.stop()

    def test_tls12(self):
        self.check("1.2")

    def test_tls13(self):
        self.check("1.3")


if __name__ == "__main__":
    unittest.main()
