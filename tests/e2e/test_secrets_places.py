# SPDX-License-Identifier: Apache-2.0
"""Key logs of programs in every situation: older than cleartap, in containers, static, renamed."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import unittest

from clients import build
from harness import HERE, read_file, wait_for, wait_listening
from openssl_tools import CURL, LIBSSL, OPENSSL, OpenSSLCase
from proof import AloneCase, TLS13, check_keylog, exchange, parse_keylog
import programs
import servers


def copy_with_libraries(root, *files):
    """A folder that can be a root: programs and everything they are linked with."""
    for file in files:
        run = subprocess.run(["ldd", file], capture_output=True, text=True, check=True)
        for path in [file, *re.findall(r"(/\S+) \(0x", run.stdout)]:
            os.makedirs(root + os.path.dirname(path), exist_ok=True)
            shutil.copy(path, root + path)


class Places(AloneCase, OpenSSLCase):

    def s_server(self, *prefix, program=OPENSSL, cert=None, env=None):
        """openssl s_server -rev under test: answers a line with its letters in reverse."""
        cert = cert or self.cert
        proc = self.start(*prefix, program, "s_server", "-accept",
                          f"127.0.0.1:{self.server_port}", "-cert", cert.cert, "-key", cert.key,
                          "-rev", env=env)
        return proc

    def reversed_mark(self):
        request = self.mark()[0]
        return request, request[::-1]

    def ask_reversed(self, mark):
        """peer and client of the tests."""
        return exchange(self.server_port, mark[0] + b"\n", mark[1], self.truth)

    def test_process_that_runs_already(self):
        """It had a connection before: the next one is seen. A library, found by its process."""
        self.scene()
        server = self.s_server()
        wait_listening(server, self.server_port)
        before, after = self.reversed_mark(), self.reversed_mark()
        self.ask_reversed(before)
        self.keys("--pid", str(server.pid))
        self.ask_reversed(after)
        self.prove_after(before, after, server.pid)
        self.end()

    def prove_after(self, before, after, pid):
        """Only the second connection is seen."""
        self.wire.sync()
        wait_for(lambda: len(self.lines()) >= len(TLS13), "the lines")
        streams = self.wire.streams(self.keylog, port=self.server_port)
        (stream,) = [stream for stream in streams if after[0] in stream.sent]
        self.assertIn(after[1], stream.received)
        self.assertEqual([other.sent for other in streams if other is not stream], [b""])
        self.assertEqual({line.random for line in self.lines()}, {stream.random})
        self.prove_stream(stream, self.lines(), pid, None, TLS13, "1.3")

    def test_static_process_that_runs_already(self):
        """Node, found because it runs; nothing names its file."""
        self.scene()
        node = programs.get("node24")
        server = self.node_server(node)
        before, after = self.mark(), self.mark()
        self.ask(self.server_port, before)
        self.keys("--exe", node)
        self.ask(self.server_port, after)
        self.prove_after(before, after, server.pid)
        self.end()

    def test_deleted_executable(self):
        """As after an upgrade: the process goes on with a file that has no name any more."""
        self.scene()
        copy = shutil.copy(programs.get("node20"), self.path("node"))
        server = self.node_server(copy)
        os.unlink(copy)
        self.keys("--pid", str(server.pid))
        mark = self.mark()
        self.ask(self.server_port, mark)
        self.prove(mark, pid=server.pid)
        self.end()

    def node_server(self, program):
        server = self.start(program, os.path.join(HERE, "nodetls.js"), json.dumps(
            {"port": self.server_port, "cert": self.cert.cert, "key": self.cert.key}))
        wait_listening(server, self.server_port)
        return server

    def test_whole_machine(self):
        """No option at all: programs of two libraries, and peers that are seen as well."""
        self.scene()
        self.keys()
        mark, own = self.mark(), self.path("own")
        self.curl(mark, self.peer_port, own=own)
        self.prove(mark, truth=own)
        mark, own = self.mark(), self.path("own-2")
        self.run_program("wget", "-q", "--ca-certificate", self.cert.cert, "--post-data",
                         mark[0].decode(), "-O", "-", f"https://localhost:{self.peer_port}/",
                         env={**os.environ, "SSLKEYLOGFILE": own})
        self.prove(mark, truth=own)

    def test_command(self):
        """From the first instruction to the end of the run."""
        self.scene()
        mark, own = self.mark(), self.path("own")
        self.keys(command=[CURL, "-sS", "--cacert", self.cert.cert, "-d", mark[0].decode(),
                           f"https://localhost:{self.peer_port}/"],
                  env={**os.environ, "SSLKEYLOGFILE": own}, wait=False)
        self.tap.finish()
        self.prove(mark, truth=own)

    def test_forked_workers(self):
        """nginx: the worker is another process than the one that was named."""
        self.scene()
        answer = self.mark()[1]
        proc, port = servers.nginx(self, {"answer": answer}, port=self.server_port)
        self.keys("--pid", str(servers.worker(proc)))
        request = self.mark()[0]
        self.ask_nginx(request, answer)
        self.prove((request, answer), pid=servers.worker(proc))
        self.end()

    def ask_nginx(self, request, answer):
        exchange(self.server_port, b"GET /answer?" + request + b" HTTP/1.1\r\nHost: localhost\r\n"
                 b"Connection: close\r\n\r\n", answer, self.truth)

    def test_container(self):
        """Own root, own libraries, own network: nothing has the name that it has outside."""
        root = self.path("root")
        copy_with_libraries(root, OPENSSL)
        for path in (self.cert.cert, self.cert.key):
            os.makedirs(root + os.path.dirname(path), exist_ok=True)
            shutil.copy(path, root + path)
        # Nothing is mounted in it, and where the root is no mount itself it can't be made private.
        holder = self.start("unshare", "--net", "--mount", "--propagation", "unchanged", "sh", "-c",
                            "ip link set lo up && echo up && exec cat", stdin=subprocess.PIPE)
        wait_for(lambda: b"up" in holder.output(), "the namespace")
        inside = ("nsenter", "-t", str(holder.pid), "--net", "--mount", "--root")
        self.scene(prefix=inside)
        contained = (*inside, "unshare", "--root", root)
        server = self.s_server(*contained)
        wait_for(lambda: b"ACCEPT" in server.output(), "the server")
        self.keys("--comm", "openssl")
        mark = self.reversed_mark()
        client = self.start(*inside, "/usr/bin/python3", "-c",
                            "import sys; sys.path.insert(0, sys.argv[1]); from proof import "
                            "exchange; exchange(int(sys.argv[2]), sys.argv[3].encode() + b'\\n', "
                            "sys.argv[4].encode(), sys.argv[5])", HERE,
                            str(self.server_port), mark[0].decode(), mark[1].decode(), self.truth)
        client.wait()
        self.prove(mark, pid=server.pid)
        # Another program of the same container, later.
        mark = self.mark()
        client = self.start(*contained, OPENSSL, "s_client", "-connect",
                            f"127.0.0.1:{self.peer_port}", stdin=subprocess.PIPE)
        self.say(client, mark)
        self.prove(mark, pid=client.pid)
        client.stop()
        self.end()

    def test_library_with_another_name(self):
        """A copy of the library takes its place, and its name says nothing."""
        self.scene()
        copy = shutil.copy(LIBSSL, self.path("crypt.bin"))
        self.keys("--libssl", copy)
        mark, own = self.mark(), self.path("own")
        curl = self.curl(mark, self.peer_port, own=own, env={**os.environ, "LD_PRELOAD": copy})
        self.prove(mark, pid=curl.pid, truth=own)
        self.end()

    def test_library_with_another_name_in_a_running_process(self):
        """Found by what is in it."""
        self.scene()
        copy = shutil.copy(LIBSSL, self.path("crypt.bin"))
        server = self.s_server(env={**os.environ, "LD_PRELOAD": copy})
        wait_listening(server, self.server_port)
        self.keys("--pid", str(server.pid))
        mark = self.reversed_mark()
        self.ask_reversed(mark)
        self.prove(mark, pid=server.pid)
        self.end()

    def test_static_and_stripped(self):
        """A small static program without any symbol."""
        self.scene()
        program = build("sslprog-stripped")
        self.keys("--libssl", program)
        proc, port = self.peer_server("echo", "--keylog", self.truth)
        wire = type(self.wire)(self, port)
        client = self.run_program(program, "talk", str(port), self.path(""))
        self.wire = wire
        sent = read_file(self.path("0.out"))
        self.assertGreater(len(sent), 1000)
        self.prove((sent, sent), pid=client.pid)

    def test_beside_plaintext(self):
        """tls --json -k: the same connection in both files."""
        self.scene()
        self.keys("--exe", CURL, subcommand="tls")
        mark, own = self.mark(), self.path("own")
        curl = self.curl(mark, self.peer_port, own=own)
        (stream,) = self.prove(mark, pid=curl.pid, truth=own)
        capture = self.tap.stop()
        conn = self.only(capture.of(curl.pid))
        self.assertEqual((bytes(conn.sent.data), bytes(conn.received.data)),
                         (stream.sent, stream.received))
        self.assertEqual({event["conn"] for event in capture.secrets
                          if event["client_random"] == stream.random}, {conn.number})

    def test_rotation_while_connections_are_made(self):
        """No line is lost, none is in two files, none is cut."""
        self.scene()
        self.keys("--exe", CURL)
        stop, owns, errors = threading.Event(), [], []

        def work(number):
            try:
                for turn in range(1000):
                    if stop.is_set():
                        return
                    own = self.path(f"own-{number}-{turn}")
                    subprocess.run([CURL, "-sSk", "-d", f"request-{number}x{turn}.",
                                    f"https://localhost:{self.peer_port}/"], check=True,
                                   capture_output=True, env={**os.environ, "SSLKEYLOGFILE": own})
                    owns.append(own)
            except Exception as error:  # told below
                errors.append(error)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        try:
            for number in range(8):
                wait_for(lambda: len(owns) > number and os.path.exists(self.keylog) and
                         os.path.getsize(self.keylog), "lines")
                os.rename(self.keylog, f"{self.keylog}.{number}")
                self.tap.process.send_signal(signal.SIGHUP)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(errors, [])
        self.tap.stop()
        files = [f"{self.keylog}.{number}" for number in range(8)] + [self.keylog]
        lines = [line for path in files for line in check_keylog(path)]
        self.assertEqual(len(lines), len(set(lines)))
        told = {line for own in owns for line in parse_keylog(read_file(own), strict=False)}
        self.assertEqual(told - set(lines), set())


if __name__ == "__main__":
    unittest.main()
