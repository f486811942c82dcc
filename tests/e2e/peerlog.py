# SPDX-License-Identifier: Apache-2.0
"""Secrets of one end of a connection, compared with the key log that OpenSSL writes at the other."""
from harness import Case, read_file
from proof import EARLY, exchange, parse_keylog
import servers

REQUEST = b"GET / HTTP/1.0\r\n\r\n"


class PeerLogCase(Case):

    library = None  # what is tapped; OpenSSL itself is not

    def setUp(self):
        super().setUp()
        self.truth = self.path("truth")

    def keys(self):
        return self.tap("--libssl", self.library, subcommand="keys")

    def openssl_server(self, tls):
        """Answers each request with a page."""
        _, port = servers.s_server(self, "-tls" + tls.replace(".", "_"), "-www", "-keylogfile",
                                   self.truth)
        return port

    def visit(self, port, request=REQUEST, answer=b"HTTP/1.0 200"):
        """Python's OpenSSL as the client: both versions, each full and resumed."""
        for tls in ("1.2", "1.3"):
            session = exchange(port, request, answer, self.truth, tls)
            exchange(port, request, answer, self.truth, tls, session)

    def assert_same(self, tap, randoms, early=False):
        """
        All secrets of that many handshakes at least, and no other; early: those of early data may
        come as well though none was sent. Returns them by client random.
        """
        capture = tap.stop()
        ours = {(event["label"], event["client_random"], event["secret"])
                for event in capture.secrets}
        truth = {tuple(line) for line in parse_keylog(read_file(self.truth), strict=False)}
        known = {line[1] for line in truth}
        self.assertGreaterEqual(len(known), randoms)
        self.assertEqual(truth - ours, set())
        extra = {line for line in ours - truth
                 if not early or line[0] not in EARLY or line[1] not in known}
        self.assertEqual(extra, set())
        self.assertEqual(len(ours), len(capture.secrets))
        return {random: [event for event in capture.secrets if event["client_random"] == random]
                for random in known}
