# SPDX-License-Identifier: Apache-2.0
"""Key logs of GnuTLS: wget, git and GnuTLS's own programs."""
import os
import subprocess
import unittest

from harness import read_file, wait_for, wait_listening
from proof import EARLY, TLS13, ProofCase, assert_same_lines, exchange, parse_keylog
import servers

LIBGNUTLS = "/usr/lib/x86_64-linux-gnu/libgnutls.so.30"
PRIORITY = {tls: f"NORMAL:-VERS-ALL:+VERS-TLS{tls}" for tls in ("1.2", "1.3")}


class Gnutls(ProofCase):

    @classmethod
    def tap_args(cls):
        return ["--libssl", LIBGNUTLS]

    def env(self, own):
        return {**os.environ, "SSLKEYLOGFILE": own, "HOME": self.dir,
                "GIT_SSL_CAINFO": self.cert.cert}

    def check_wget(self, tls, port):
        mark, own = self.mark(), self.path("own")
        wget = self.run_program("wget", "-q", "--ca-certificate", self.cert.cert, "--post-data",
                                mark[0].decode(), "-O", "-", f"https://localhost:{port}/",
                                env=self.env(own))
        self.assertIn(mark[1], wget.output())
        self.prove(mark, pid=wget.pid, truth=own, tls=tls)

    def test_wget_tls12(self):
        self.check_wget("1.2", self.peer12_port)

    def test_wget_tls13(self):
        self.check_wget("1.3", self.peer_port)

    def test_git(self):
        """The branch has a name that nothing else has."""
        request, answer = self.mark()
        branch = answer.decode().rstrip(".")
        repository = self.path("nginx/www/repository.git")
        _, port = servers.nginx(self, {"file": b""}, port=self.server_port)
        git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
        for args in (["init", "-q", "--bare", "-b", branch, repository],
                     ["-C", repository, "hash-object", "-w", "-t", "tree", "/dev/null"]):
            self.run_program(*git, *args)
        tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        commit = self.run_program(*git, "-C", repository, "commit-tree", "-m", "x",
                                  tree).output().decode().strip()
        for args in (["update-ref", f"refs/heads/{branch}", commit], ["update-server-info"]):
            self.run_program(*git, "-C", repository, *args)
        self.run_program("chmod", "-R", "a+rX", repository)
        self.truth = self.path("own")  # nginx tells nothing
        clone = self.run_program(*git, "-c", f"http.extraHeader=X-Mark: {request.decode()}", "clone", "-q",
                                 f"https://localhost:{port}/repository.git", self.path("clone"),
                                 env=self.env(self.truth))
        self.assertTrue(os.path.exists(self.path(f"clone/.git/refs/heads/{branch}")),
                        clone.messages())
        self.prove((request, branch.encode()), port=port)

    def cli(self, port, own, *args):
        return self.start("gnutls-cli", "--x509cafile", self.cert.cert, "-p", str(port), *args,
                          "localhost", stdin=subprocess.PIPE, env=self.env(own))

    def say(self, proc, mark):
        proc.stdin.write(mark[0] + b"\n")
        proc.stdin.flush()
        wait_for(lambda: mark[1] in proc.output(), "the answer")

    def check_client(self, tls):
        mark, own = self.mark(), self.path("own")
        client = self.cli(self.peer_port, own, "--priority", PRIORITY[tls])
        self.say(client, mark)
        client.stop()
        self.prove(mark, pid=client.pid, truth=own, tls=tls)

    def test_client_tls12(self):
        self.check_client("1.2")

    def test_client_tls13(self):
        self.check_client("1.3")

    def check_resumed(self, tls):
        """The first connection has no data: its lines must be there all the same."""
        mark, own = self.mark(), self.path("own")
        client = self.cli(self.peer_port, own, "--priority", PRIORITY[tls], "--resume",
                          "--waitresumption")
        self.say(client, mark)
        self.assertIn(b"This is a resumed session", client.output())
        client.stop()
        self.prove_resumed(mark, client.pid, own, tls)
        told = parse_keylog(read_file(own), strict=False)
        self.assertEqual(len({line.random for line in told}), 1 if tls == "1.2" else 2)
        for random in {line.random for line in told}:
            assert_same_lines(self.lines(), told, random)

    def prove_resumed(self, mark, pid, own, tls):
        """GnuTLS itself does not log resumed sessions of TLS 1.2; the peer does."""
        self.prove(mark, pid=pid, tls=tls, truth=None if tls == "1.2" else own,
                   labels=TLS13 + EARLY)

    def test_resumed_tls12(self):
        self.check_resumed("1.2")

    def test_resumed_tls13(self):
        self.check_resumed("1.3")

    def check_server(self, tls):
        """gnutls-serv --echo: full and resumed."""
        own = self.path("own")
        server = self.start("gnutls-serv", "--echo", "-p", str(self.server_port),
                            "--x509certfile", self.cert.cert, "--x509keyfile", self.cert.key,
                            env=self.env(own))
        wait_listening(server, self.server_port)
        session = None
        for resumed in (False, True):
            request = self.mark()[0]
            session = exchange(self.server_port, request + b"\n", request, self.truth, tls,
                               session)
            if resumed:
                self.prove_resumed((request, request), server.pid, own, tls)
            else:
                self.prove((request, request), pid=server.pid, truth=own, tls=tls)
        server.stop()

    def test_server_tls12(self):
        self.check_server("1.2")

    def test_server_tls13(self):
        self.check_server("1.3")

    def test_failed_handshake(self):
        """Nothing in common: no line."""
        own = self.path("own")
        client = self.cli(self.peer12_port, own, "--priority",
                          "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-CBC:-MAC-ALL:+SHA1"
                          ":-KX-ALL:+RSA")
        client.wait(1)
        mark = self.mark()  # what came before it is through as well
        self.say(self.cli(self.peer_port, own), mark)
        self.prove(mark)
        self.assertEqual([event for event in self.tap.poll().secrets
                          if event["pid"] == client.pid], [])


if __name__ == "__main__":
    unittest.main()
