# SPDX-License-Identifier: Apache-2.0
"""Key logs of BoringSSL, which is linked into Bun and Chromium: no symbols, no libssl."""
import os
import unittest

from proof import ProofCase
import programs

CHROMIUM = "/usr/lib/chromium/chromium"

FETCH = """
const [url, body] = process.argv.slice(-2);
const answer = await fetch(url, {method: 'POST', body, tls: {rejectUnauthorized: false}});
console.log(await answer.text());
"""
SERVE = """
const [port, key, cert] = process.argv.slice(-3);
Bun.serve({hostname: '127.0.0.1', port: Number(port),
           tls: {key: Bun.file(key), cert: Bun.file(cert)},
           async fetch(request) {
               const word = /request-([0-9a-z]+)/.exec(await request.text())[1];
               return new Response('<p>answer-' + word + '.</p>');
           }});
"""


class Bun(ProofCase):
    NAMES = ("bun1.0", "bun1.4")

    @classmethod
    def tap_args(cls):
        cls.paths = programs.get_all(cls.NAMES)
        return [word for path in cls.paths.values() for word in ("--libssl", path)]

    def script(self, text):
        return self.path("script.mjs", text.encode())

    def check_client(self, name):
        for tls, port in (("1.2", self.peer12_port), ("1.3", self.peer_port)):
            with self.subTest(tls=tls):
                mark = self.mark()
                client = self.run_program(self.paths[name], self.script(FETCH),
                                          f"https://localhost:{port}/", mark[0].decode())
                self.assertIn(mark[1], client.output())
                self.prove(mark, pid=client.pid, tls=tls, port=port)

    def check_server(self, name):
        server = self.start(self.paths[name], self.script(SERVE), str(self.server_port),
                            self.cert.key, self.cert.cert)
        self.prove_server(server, ("1.2", "1.3"))
        server.stop()

    def test_newest_client(self):
        self.check_client("bun1.4")

    def test_newest_server(self):
        self.check_server("bun1.4")

    def test_older_client(self):
        self.check_client("bun1.0")

    def test_older_server(self):
        self.check_server("bun1.0")


class Chromium(ProofCase):

    @classmethod
    def tap_args(cls):
        return ["--libssl", CHROMIUM]

    def check(self, tls, port):
        mark, own = self.mark(), self.path("own")
        os.mkdir(self.path("home"))
        browser = self.run_program(
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--disable-dev-shm-usage", f"--user-data-dir={self.path('profile')}",
            "--ignore-certificate-errors", "--dump-dom",
            f"https://127.0.0.1:{port}/{mark[0].decode()}",
            env={**os.environ, "SSLKEYLOGFILE": own, "HOME": self.path("home")})
        self.assertIn(mark[1], browser.output())
        self.prove(mark, truth=own, tls=tls, port=port)

    def test_tls12(self):
        self.check("1.2", self.peer12_port)

    def test_tls13(self):
        self.check("1.3", self.peer_port)


if __name__ == "__main__":
    unittest.main()
