# SPDX-License-Identifier: Apache-2.0
"""NSS: its programs against OpenSSL, which writes down what the secrets are."""
import subprocess
import unittest

from harness import free_port, need, wait_listening
from peerlog import REQUEST, PeerLogCase


class NSS(PeerLogCase):

    library = "/usr/lib/x86_64-linux-gnu/libssl3.so"  # libsoftokn3.so is found beside it

    def setUp(self):
        super().setUp()
        self.database = "sql:" + self.path("database")
        bundle, password = self.path("bundle.p12"), self.path("password", b"test\n")
        self.run_program("mkdir", self.path("database"))
        self.run_program("openssl", "pkcs12", "-export", "-in", self.cert.cert, "-inkey",
                         self.cert.key, "-name", "server", "-out", bundle, "-passout",
                         f"file:{password}")
        need("certutil", "pk12util")
        self.run_program("certutil", "-N", "-d", self.database, "--empty-password")
        self.run_program("pk12util", "-i", bundle, "-d", self.database, "-w", password)

    def selfserv(self):
        port = free_port()
        proc = self.start("selfserv", "-d", self.database, "-e", "server", "-p", str(port), "-u",
                          "-V", "tls1.2:tls1.3")
        wait_listening(proc, port)
        return proc, port

    def test_server(self):
        proc, port = self.selfserv()
        tap = self.keys()
        self.visit(port)
        for events in self.assert_same(tap, 4).values():
            self.assertEqual({event["pid"] for event in events}, {proc.pid})

    def test_server_started_later(self):
        """The second library is loaded when nobody looks for files any more."""
        tap = self.keys()
        _, port = self.selfserv()
        self.visit(port)
        self.assert_same(tap, 4)

    def test_client(self):
        tap = self.keys()
        for tls in ("1.2", "1.3"):
            port = self.openssl_server(tls)
            self.run_program("tstclnt", "-4", "-h", "localhost", "-p", str(port), "-d",
                             self.database, "-o", "-u", "-L", "2", "-A",
                             self.path("request", REQUEST))
        self.assert_same(tap, 4)

    def test_threads(self):
        """What belongs together is told apart by thread."""
        tap = self.keys()
        for tls in ("1.2", "1.3"):
            port = self.openssl_server(tls)
            self.run_program("strsclnt", "-o", "-o", "-4", "-q", "-u", "-d", self.database, "-p",
                             str(port), "-c", "40", "-t", "8", "localhost",
                             stdin=subprocess.DEVNULL)
        self.assert_same(tap, 80)


if __name__ == "__main__":
    unittest.main()
