# SPDX-License-Identifier: Apache-2.0
"""Key logs of OpenSSL, shared and static: tshark decrypts with them what tcpdump captured."""
import os
import shutil
import subprocess
import unittest

from harness import read_file, wait_for
from openssl_tools import CURL, OPENSSL, OpenSSLCase
from proof import EARLY, TLS13, exchange, parse_keylog
import servers


class System(OpenSSLCase):
    """The stripped libssl.so.3 of Debian."""

    @classmethod
    def tap_args(cls):
        return ["--exe", CURL, "--exe", OPENSSL, "--exe", servers.program("nginx")]

    def check_curl(self, tls):
        mark, own = self.mark(), self.path("own")
        curl = self.curl(mark, self.peer_port, "--tlsv" + tls, "--tls-max", tls, own=own)
        self.prove(mark, pid=curl.pid, truth=own, tls=tls)
        # Without the key log tshark shows nothing, so it is the key log that opens it.
        self.assertEqual({stream.sent + stream.received
                          for stream in self.wire.streams(os.devnull)}, {b""})

    def test_client_tls12(self):
        self.check_curl("1.2")

    def test_client_tls13(self):
        self.check_curl("1.3")

    def test_cipher_suites(self):
        """Secrets of both lengths."""
        for suite, length in (("TLS_AES_128_GCM_SHA256", 64), ("TLS_AES_256_GCM_SHA384", 96),
                              ("TLS_CHACHA20_POLY1305_SHA256", 64)):
            with self.subTest(suite=suite):
                mark = self.mark()
                self.curl(mark, self.peer_port, "--tls13-ciphers", suite)
                (stream,) = self.prove(mark, tls="1.3")
                self.assertEqual({len(line.secret) for line in self.lines()
                                  if line.random == stream.random}, {length})

    def test_hello_retry_request(self):
        """Two hellos of one client, with one random."""
        self.peer_s_server("-groups", "P-384", "-tls1_3", "-rev")
        request = self.mark()[0]
        mark = request, request[::-1]
        client = self.s_client(self.server_port, "-groups", "X25519:P-384")
        self.say(client, mark)
        (stream,) = self.prove(mark, pid=client.pid, tls="1.3", port=self.server_port)
        self.assertEqual(stream.randoms, [stream.random] * 2)
        client.stop()

    def test_other_ciphers_of_tls12(self):
        """(Node 6 and 8 have no extended master secret.)"""
        for cipher in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-CHACHA20-POLY1305"):
            with self.subTest(cipher=cipher):
                mark = self.mark()
                client = self.s_client(self.peer12_port, "-cipher", cipher)
                self.say(client, mark)
                client.stop()
                self.prove(mark, pid=client.pid, tls="1.2", port=self.peer12_port)

    def test_many_at_once(self):
        """Every connection of many at the same time; the log of the program is the truth."""
        _, port = servers.nginx(self, {"file": b"x"}, port=self.server_port)
        own = self.path("own")
        curl = self.run_program(CURL, "-sS", "--parallel", "--parallel-max", "100",
                                "--parallel-immediate", "--http1.1", "--cacert", self.cert.cert,
                                "-H", "Connection: close", "-o", "/dev/null",
                                f"https://localhost:{port}/file?[1-150]",
                                env={**os.environ, "SSLKEYLOGFILE": own})
        told = {line for line in parse_keylog(read_file(own), strict=False)}
        self.assertEqual(len({line.random for line in told}), 150)
        wait_for(lambda: told <= set(self.lines()), "all lines", 20)
        mine = {event["client_random"] for event in self.tap.poll().secrets
                if event["pid"] == curl.pid}
        self.assertEqual(mine, {line.random for line in told})

    def test_server(self):
        """nginx, asked by a client that is not tapped."""
        answer = self.mark()
        proc, port = servers.nginx(self, {"answer": answer[1]}, port=self.server_port)
        request = self.mark()[0]
        session = None
        for tls in ("1.2", "1.3"):
            for again in (False, True):
                with self.subTest(tls=tls, again=again):
                    request = self.mark()[0]
                    session = self.get(port, b"/answer?" + request, answer[1], tls,
                                       session if again else None)
                    self.prove((request, answer[1]), pid=servers.worker(proc), tls=tls, port=port)

    def get(self, port, path, answer, tls, session):
        return exchange(port, b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n"
                        b"Connection: close\r\n\r\n", answer, self.truth, tls, session)

    def test_http2(self):
        """Two requests in one connection: what curl posts, and what nginx has."""
        request, answer = self.mark()
        _, port = servers.nginx(self, {"answer": answer}, http2=True, port=self.server_port)
        own = self.path("own")
        url = f"https://localhost:{port}"
        curl = self.run_program("curl", "-sS", "--http2", "--cacert", self.cert.cert, "-d",
                                request.decode(), f"{url}/short", "--next", "-sS", "--http2",
                                "--cacert", self.cert.cert, f"{url}/answer",
                                env={**os.environ, "SSLKEYLOGFILE": own})
        self.assertIn(answer, curl.output())
        shutil.copy(own, self.path("truth"))
        self.truth = self.path("truth")
        (stream,) = self.prove((request, answer))
        self.assertTrue(stream.sent.startswith(b"PRI * HTTP/2.0\r\n"))

    def test_live_and_key_update(self):
        """The lines are there while the connection lives, and open what comes after an update."""
        before, after = self.mark(), self.mark()
        client = self.s_client(self.peer_port)
        self.say(client, before)
        (stream,) = self.prove(before, pid=client.pid, tls="1.3")
        self.assertIsNone(client.process.poll())
        client.stdin.write(b"K\n")
        client.stdin.flush()
        wait_for(lambda: "KEYUPDATE" in client.messages() + client.output().decode(),
                 "the key update")
        self.say(client, after)
        client.stop()
        (again,) = set(self.prove(before, after, pid=client.pid))
        self.assertEqual(stream.random, again.random)

    def test_resumed_tls12(self):
        """s_client -reconnect: one full handshake and five that are resumed."""
        mark = self.mark()
        client = self.s_client(self.peer_port, "-tls1_2", "-reconnect")
        wait_for(lambda: client.output().count(b"\nReused, TLSv1.2") == 5, "five resumptions")
        self.say(client, mark)
        client.stop()
        self.wire.sync()
        (stream,) = self.prove(mark, pid=client.pid, tls="1.2")
        mine = [event for event in self.tap.poll().secrets if event["pid"] == client.pid]
        self.assertEqual(len({event["client_random"] for event in mine}), 6)
        # A resumed connection has the master secret of the first one.
        self.assertEqual(len({event["secret"] for event in mine}), 1)

    def test_resumed_tls13_and_early_data(self):
        server = self.peer_s_server("-early_data", stdin=subprocess.PIPE)
        session, early = self.path("session"), self.mark()
        client = self.s_client(self.server_port, "-sess_out", session)
        wait_for(lambda: os.path.exists(session) and
                 read_file(session).endswith(b"END SSL SESSION PARAMETERS-----\n"), "a session")
        self.quit(client)
        client = self.s_client(self.server_port, "-sess_in", session, "-early_data",
                               self.path("early", early[0]))
        server.stdin.write(early[1] + b"\n")
        server.stdin.flush()
        wait_for(lambda: early[1] in client.output(), "the answer")
        self.quit(client)
        self.assertIn(b"Early data was accepted", client.output())
        self.prove(early, pid=client.pid, tls="1.3", labels=TLS13 + EARLY, port=self.server_port)

    def test_renegotiation(self):
        """A second handshake in the first connection has a client random of its own."""
        server = self.peer_s_server("-tls1_2", "-client_renegotiation", "-quiet",
                                    stdin=subprocess.PIPE)
        first, second = self.mark(), self.mark()
        client = self.s_client(self.server_port, "-tls1_2")

        def talk(mark):
            client.stdin.write(mark[0] + b"\n")
            client.stdin.flush()
            wait_for(lambda: mark[0] in server.output(), "the request")
            server.stdin.write(mark[1] + b"\n")
            server.stdin.flush()
            wait_for(lambda: mark[1] in client.output(), "the answer")
        talk(first)
        client.stdin.write(b"R\n")
        client.stdin.flush()
        wait_for(lambda: "RENEGOTIATING" in client.messages() + client.output().decode(),
                 "the renegotiation")
        talk(second)
        client.stop()
        (stream,) = set(self.prove(first, second, pid=client.pid, port=self.server_port))
        randoms = {event["client_random"] for event in self.tap.poll().secrets
                   if event["pid"] == client.pid}
        self.assertEqual(len(randoms), 2)

    def test_failed_handshakes_have_no_lines(self):
        """No cipher in common; the alert comes before there is a secret."""
        for args in (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
                     ["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256"]):
            with self.subTest(args=args):
                client = self.s_client(self.peer_port, *args)
                client.wait(1)
                self.assertRegex(client.messages(), "alert")
                mark = self.mark()  # what came before it is through as well
                curl = self.curl(mark, self.peer_port)
                self.prove(mark, pid=curl.pid)
                self.assertEqual([event for event in self.tap.poll().secrets
                                  if event["pid"] == client.pid], [])


if __name__ == "__main__":
    unittest.main()
