# SPDX-License-Identifier: Apache-2.0
"""GnuTLS: its programs against OpenSSL, which writes down what the secrets are."""
import subprocess
import unittest

from harness import free_port, wait_listening
from peerlog import PeerLogCase


class GnuTLS(PeerLogCase):

    library = "/usr/lib/x86_64-linux-gnu/libgnutls.so.30"

    def assert_one_connection(self, by_random):
        """The label of TLS 1.2 and those of 1.3 come from different places."""
        for events in by_random.values():
            self.assertEqual(len({event["conn"] for event in events}), 1)

    def test_server(self):
        port = free_port()
        proc = self.start("gnutls-serv", "--echo", "--port", str(port), "--x509certfile",
                          self.cert.cert, "--x509keyfile", self.cert.key)
        wait_listening(proc, port)
        tap = self.keys()
        self.visit(port, b"hello\n", b"hello")
        by_random = self.assert_same(tap, 4, early=True)
        self.assert_one_connection(by_random)
        for events in by_random.values():
            self.assertEqual({event["pid"] for event in events}, {proc.pid})

    def test_client(self):
        """Connects, ends, and resumes."""
        tap = self.keys()
        for tls in ("1.2", "1.3"):
            port = self.openssl_server(tls)
            proc = self.start("gnutls-cli", "--resume", "--waitresumption", "--x509cafile",
                              self.cert.cert, "--port", str(port), "localhost",
                              stdin=subprocess.DEVNULL)
            proc.wait()
            self.assertIn(b"This is a resumed session", proc.output())
        self.assert_one_connection(self.assert_same(tap, 4, early=True))

    def test_wget(self):
        tap = self.keys()
        for tls in ("1.2", "1.3"):
            url = f"https://localhost:{self.openssl_server(tls)}/"
            self.run_program("wget", "-q", "--no-proxy", "-O", self.path("page"),
                             "--ca-certificate", self.cert.cert, url)
        self.assert_one_connection(self.assert_same(tap, 2))


if __name__ == "__main__":
    unittest.main()
