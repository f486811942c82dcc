# SPDX-License-Identifier: Apache-2.0
"""Key logs of NSS: Firefox and NSS's own programs."""
import os
import subprocess
import unittest

from harness import read_file, wait_for, wait_listening, write_file
from proof import Authority, ProofCase, exchange

LIBSSL3 = "/usr/lib/x86_64-linux-gnu/libssl3.so"
FIREFOX = "/usr/lib/firefox-esr/libssl3.so"
VERSIONS = {"1.2": "tls1.2:tls1.2", "1.3": "tls1.3:tls1.3"}
PREFS = {"browser.shell.checkDefaultBrowser": "false", "app.update.enabled": "false",
         "network.captive-portal-service.enabled": "false", "network.proxy.type": "0",
         "network.connectivity-service.enabled": "false",
         "datareporting.policy.dataSubmissionEnabled": "false",
         "browser.safebrowsing.downloads.enabled": "false",
         "services.settings.server": '"data:,"', "extensions.update.enabled": "false"}


class Database(Authority):
    """The same in a database of NSS."""

    _made = None

    def __init__(self):
        super().__init__()
        folder = os.path.dirname(self.cert)
        self.database, archive = f"{folder}/nss", f"{folder}/all.p12"
        os.mkdir(self.database)
        self.run("openssl", "pkcs12", "-export", "-in", self.cert, "-inkey", self.key, "-name",
                 "server", "-passout", "pass:x", "-out", archive)
        self.run("certutil", "-N", "-d", f"sql:{self.database}", "--empty-password")
        self.run("certutil", "-A", "-d", f"sql:{self.database}", "-n", "issuer", "-t", "CT,,",
                 "-i", self.issuer)
        self.run("pk12util", "-i", archive, "-d", f"sql:{self.database}", "-W", "x")


class Nss(ProofCase):
    """Debian's own NSS is built without a key log; Firefox has one."""

    CERT = Database

    def env(self, own):
        os.makedirs(self.path("home"), exist_ok=True)
        return {**os.environ, "SSLKEYLOGFILE": own, "HOME": self.path("home")}


class Tools(Nss):

    @classmethod
    def tap_args(cls):
        return ["--libssl", LIBSSL3]

    def check_client(self, tls):
        mark = self.mark()
        client = self.start("tstclnt", "-4", "-h", "localhost", "-p", str(self.peer_port), "-d",
                            f"sql:{self.cert.database}", "-o", "-V", VERSIONS[tls],
                            stdin=subprocess.PIPE)
        client.stdin.write(mark[0] + b"\n")
        client.stdin.flush()
        wait_for(lambda: mark[1] in client.output(), "the answer")
        client.stop()
        self.prove(mark, pid=client.pid, tls=tls)

    def test_client_tls12(self):
        self.check_client("1.2")

    def test_client_tls13(self):
        self.check_client("1.3")

    def check_server(self, tls):
        """selfserv answers with what it was asked, full and resumed."""
        server = self.start("selfserv", "-d", f"sql:{self.cert.database}", "-n", "server", "-p",
                            str(self.server_port), "-H", "1", "-u", "-V", VERSIONS[tls])
        wait_listening(server, self.server_port)
        session = None
        for _ in range(2):
            request = b"GET /" + self.mark()[0] + b" HTTP/1.0\r\n\r\n"
            session = exchange(self.server_port, request, b"text/plain\r\n\r\n" + request,
                               self.truth, tls, session)
            self.prove((request, request), pid=server.pid, tls=tls)
        server.stop()

    def test_server_tls12(self):
        self.check_server("1.2")

    def test_server_tls13(self):
        self.check_server("1.3")


class Firefox(Nss):
    OTHERS_ON_WIRE = True  # it tries to call home

    @classmethod
    def tap_args(cls):
        return ["--libssl", FIREFOX]

    def check(self, tls, port):
        mark, own, profile = self.mark(), self.path("own"), self.path("profile")
        os.mkdir(profile)
        for name in ("cert9.db", "key4.db", "pkcs11.txt"):
            write_file(f"{profile}/{name}", read_file(f"{self.cert.database}/{name}"))
        write_file(f"{profile}/user.js", "".join(
            f'user_pref("{name}", {value});\n' for name, value in PREFS.items()).encode())
        firefox = self.run_program("firefox-esr", "--headless", "--no-remote", "--profile",
                                   profile, "--screenshot", self.path("page.png"),
                                   f"https://localhost:{port}/{mark[0].decode()}",
                                   env={**self.env(own), "MOZ_CRASHREPORTER_DISABLE": "1"})
        self.assertTrue(os.path.exists(self.path("page.png")), firefox.messages())
        self.prove(mark, truth=own, tls=tls, port=port)

    def test_tls12(self):
        self.check("1.2", self.peer12_port)

    def test_tls13(self):
        self.check("1.3", self.peer_port)


if __name__ == "__main__":
    unittest.main()
