# SPDX-License-Identifier: Apache-2.0
"""Go programs: the secrets that cleartap found are those that Go itself or its peer logged.

CLEARTAP_GO may name other versions' go commands, separated by spaces: they are tested as well."""
import os
import subprocess
import tempfile

from harness import (Case, HERE, HarnessError, free_port, need, read_file, wait_for,
                     wait_listening)

GO = "/usr/bin/go"  # Debian's
LABELS_TLS13 = ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0",
                "SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"]
# The four connections of gotls.go.
LABELS = sorted(2 * LABELS_TLS13 + 2 * ["CLIENT_RANDOM"])
HANDSHAKES = ["303 resumed false", "303 resumed true", "304 resumed false", "304 resumed true"]

_folder = None


def build(go, *args, strip=False, source="gotls.go"):
    """A source here as a program; what is compiled once is used again."""
    global _folder
    need(go, "strip")
    if _folder is None:
        _folder = tempfile.TemporaryDirectory(prefix="cleartap-go-")
        os.chmod(_folder.name, 0o755)
    fd, path = tempfile.mkstemp(prefix="gotls-", dir=_folder.name)
    os.close(fd)
    env = {**os.environ, "GOCACHE": f"{_folder.name}/cache", "GO111MODULE": "off",
           "GOENV": "off", "GOTOOLCHAIN": "local", "GOPATH": f"{_folder.name}/path",
           "CGO_ENABLED": "0"}
    for name in ("GOROOT", "GOFLAGS"):
        env.pop(name, None)
    commands = [[go, "build", *args, "-o", path, f"{HERE}/{source}"]]
    commands += [["strip", path]] if strip else []
    for argv in commands:
        run = subprocess.run(argv, capture_output=True, text=True, env=env)
        if run.returncode:
            raise HarnessError(f"{argv}: {run.stderr}")
    return path


def logged(path):
    """(label, client random, secret) of each line."""
    lines = read_file(path).decode().split("\n")
    # What Go does not have: it derives no exporter secret before somebody asks for it.
    return {tuple(line.split()) for line in lines
            if line and not line.startswith(("#", "EXPORTER_SECRET"))}


def captured(capture, pid=None):
    return {(event["label"], event["client_random"], event["secret"])
            for event in capture.secrets if pid in (None, event["pid"])}


class GoCase(Case):

    def gotls(self, program, *args, keylog=False):
        """Waits for a line before it connects; returns the Proc and its environment's key log."""
        env, log = {**os.environ, "KEYLOG": ""}, None
        if keylog:
            log = env["KEYLOG"] = self.path("own.log", b"")
        return self.start(program, *args, stdin=subprocess.PIPE, env=env), log

    def go_on(self, proc):
        proc.stdin.write(b"\n")
        proc.stdin.flush()
        proc.wait()
        self.assertEqual([line for line in HANDSHAKES if line in proc.messages()], HANDSHAKES)

    def assert_own(self, found, log):
        """All that Go logged, and what it does not log: resumed sessions of TLS 1.2."""
        own = logged(log)
        self.assertEqual(sorted(label for label, _, _ in found), LABELS)
        self.assertLessEqual(own, found)
        (label, _, secret), = found - own
        self.assertEqual(label, "CLIENT_RANDOM")
        self.assertIn(secret, {line[2] for line in own if line[0] == "CLIENT_RANDOM"})

    def check(self, program, *args):
        """A process that runs already."""
        proc, log = self.gotls(program, keylog=True)
        tap = self.tap(*(arg if arg != "PID" else str(proc.pid) for arg in args),
                       subcommand="keys")
        self.go_on(proc)
        tap.wait_capture(lambda capture: len(captured(capture, proc.pid)) >= len(LABELS),
                         "the secrets")
        self.assert_own(captured(tap.stop(), proc.pid), log)


class Go(GoCase):

    def test_program(self):
        self.check(build(GO), "--pid", "PID")

    def test_stripped(self):
        """Of all programs on the machine."""
        self.check(build(GO, "-ldflags", "-s -w"))

    def test_position_independent_stripped(self):
        self.check(build(GO, "-buildmode=pie", strip=True), "--pid", "PID")

    def test_what_the_peer_logs(self):
        """A program without a key log of its own, started by cleartap."""
        port, log = free_port(), self.path("peer.log", b"")
        server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
                            self.cert.cert, "-key", self.cert.key, "-www", "-keylogfile", log)
        wait_listening(server, port)
        # The command's standard input is cleartap's.
        with open(self.path("line", b"\n"), "rb") as line:
            tap = self.tap(subcommand="keys", stdin=line,
                           command=[build(GO), f"127.0.0.1:{port}"])
            capture = tap.finish()
        found = captured(capture)
        self.assertEqual(sorted(label for label, _, _ in found), LABELS)
        self.assertEqual(found, logged(log))

    def test_caddy(self):
        """A large stripped program; its connections as curl logged them."""
        port, log = free_port(), self.path("curl.log", b"")
        config = self.path("Caddyfile", (
            "{\nadmin off\nauto_https off\nstorage file_system " + self.dir + "/storage\n}\n"
            f"https://localhost:{port} {{\ntls {self.cert.cert} {self.cert.key}\n"
            "respond hello\n}\n").encode())
        caddy = self.start("caddy", "run", "--config", config, "--adapter", "caddyfile",
                           env={**os.environ, "HOME": self.dir, "XDG_CONFIG_HOME": self.dir})
        wait_listening(caddy, port)
        tap = self.tap("--pid", str(caddy.pid), subcommand="keys")
        for version in ("1.2", "1.3"):
            self.run_program("curl", "-sS", "--cacert", self.cert.cert, "--tlsv" + version,
                             "--tls-max", version, f"https://localhost:{port}/",
                             env={**os.environ, "SSLKEYLOGFILE": log})
        wait_for(lambda: len(captured(tap.poll())) >= len(logged(log)), "the secrets")
        found = captured(tap.stop())
        self.assertEqual(sorted(label for label, _, _ in found),
                         sorted(["CLIENT_RANDOM", *LABELS_TLS13]))
        self.assertEqual(found, logged(log))


if os.environ.get("CLEARTAP_GO"):
    class OtherVersions(GoCase):

        def test_all(self):
            for go in os.environ["CLEARTAP_GO"].split():
                for args, strip in (((), False), (("-ldflags", "-s -w"), True),
                                    (("-buildmode=pie",), True)):
                    with self.subTest(go=go, args=args):
                        self.fresh()
                        self.check(build(go, *args, strip=strip), "--pid", "PID")
