# SPDX-License-Identifier: Apache-2.0
"""Key logs of Node, which has OpenSSL linked in: 1.0.2 in Node 6 and 8, 1.1.0 in 10.8, then later ones."""
import json
import os
import shutil
import subprocess
import unittest

from harness import HERE
from proof import ProofCase
import programs

SCRIPT = os.path.join(HERE, "nodetls.js")
NAMES = [name for name in programs.PROGRAMS if name.startswith("node")]
NO_TLS13 = ("node6", "node8", "node10")


class Node(ProofCase):
    """What the classes below share."""

    def versions(self, name):
        return ("1.2",) if name in NO_TLS13 else ("1.2", "1.3")

    def plan(self, **fields):
        return json.dumps({"port": self.peer_port, "cert": self.cert.cert, "key": self.cert.key,
                           **fields})

    def client_steps(self, name):
        """For each version a full handshake and a resumed one: (marks, steps)."""
        marks, steps = [], []
        for tls in self.versions(name):
            for resume in (False, True):
                marks.append(self.mark())
                steps.append({"request": marks[-1][0].decode(), "tls": tls, "resume": resume,
                              "keep": not resume})
        return marks, steps

    def check_client(self, name, path):
        marks, steps = self.client_steps(name)
        # Before 12.3 Node can't log secrets itself.
        own = None if name in NO_TLS13 else self.path("own")
        client = self.run_program(path, SCRIPT, self.plan(steps=steps, own=own))
        streams = self.prove(*marks, pid=client.pid, truth=own, port=self.peer_port)
        self.assertEqual([stream.version for stream in streams], [step["tls"] for step in steps])

    def check_server(self, name, path):
        server = self.start(path, SCRIPT, self.plan(port=self.server_port))
        self.prove_server(server, self.versions(name))
        server.stop()


class EveryVersion(Node):
    """As client and as server, full and resumed sessions, each version of TLS that it has."""

    @classmethod
    def tap_args(cls):
        cls.paths = programs.get_all(NAMES)
        return [word for path in cls.paths.values() for word in ("--libssl", path)]


def add(name):
    def client(self):
        self.check_client(name, self.paths[name])

    def server(self):
        self.check_server(name, self.paths[name])
    setattr(EveryVersion, f"test_{name}_client", client)
    setattr(EveryVersion, f"test_{name}_server", server)


for node in NAMES:
    add(node)


class Stripped(Node):
    """Without its table of symbols, and under a name that says nothing."""

    @classmethod
    def tap_args(cls):
        cls.copy = cls.shared.path("server.bin")
        shutil.copy(programs.get("node20"), cls.copy)
        subprocess.run(["strip", "--strip-all", cls.copy], check=True)
        return ["--libssl", cls.copy]

    def test_client(self):
        self.check_client("node20", self.copy)

    def test_server(self):
        self.check_server("node20", self.copy)


if __name__ == "__main__":
    unittest.main()
