# SPDX-License-Identifier: Apache-2.0
"""Programs that use the system's OpenSSL, for tests of key logs."""
import os
import shutil
import subprocess

from harness import wait_for, wait_listening
from proof import ProofCase

CURL, OPENSSL = "/usr/bin/curl", "/usr/bin/openssl"
LIBSSL = "/usr/lib/x86_64-linux-gnu/libssl.so.3"


class OpenSSLCase(ProofCase):
    """What the tests below share: programs of the system's library."""

    def curl(self, mark, port, *args, own=None, env=None, program="curl"):
        """Sends the request and gets the answer; own: the key log that curl writes itself."""
        env = {**(env or os.environ), **({"SSLKEYLOGFILE": own} if own else {})}
        proc = self.run_program(program, "-sS", "--cacert", self.cert.cert, "-d",
                                mark[0].decode(), *args, f"https://localhost:{port}/", env=env)
        self.assertIn(mark[1], proc.output())
        return proc

    def s_client(self, port, *args):
        """openssl s_client, which sends what is written to its standard input."""
        return self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *args,
                          stdin=subprocess.PIPE)

    def say(self, proc, mark):
        proc.stdin.write(mark[0] + b"\n")
        proc.stdin.flush()
        wait_for(lambda: mark[1] in proc.output(), "the answer")

    def quit(self, client):
        """In order, so that s_client prints everything it wanted to."""
        client.stdin.write(b"Q\n")
        client.stdin.flush()
        client.wait()

    def peer_s_server(self, *args, stdin=subprocess.DEVNULL):
        """openssl s_server as a peer: a copy, because the one in /usr/bin is tapped."""
        copy = shutil.copy(OPENSSL, self.path("peer-openssl"))
        proc = self.start(copy, "s_server", "-accept", f"127.0.0.1:{self.server_port}", "-cert",
                          self.cert.cert, "-key", self.cert.key, "-keylogfile", self.truth, *args,
                          stdin=stdin)
        wait_listening(proc, self.server_port)
        return proc
