# SPDX-License-Identifier: Apache-2.0
"""How connections and processes begin and end, and calls that are not what they seem."""
import os
import signal
import subprocess
import unittest

from clients import build
from harness import Case, read_file, sha256, wait_for
from peer import pattern
import servers

MB = 1000 * 1000


class Ends(Case):

    def test_kill_in_the_middle(self):
        """What was captured of a killed process stays, and its end is told."""
        size, read = 50 * MB, 1 * MB
        server, port = self.peer_server("some", "--size", str(read))
        tap = self.tap()
        client = self.peer_client(port, "upload", "--size", str(size))
        report = self.reports(1)[0]  # the server has read its part and reads no more
        client.kill()
        tap.wait_capture(lambda seen: any(conn.close for conn in seen.of(client.pid)),
                         "the close event")
        # What part of the last records went out, nobody can tell: that is said.
        capture = tap.stop(status=5)
        self.assertGreaterEqual(capture.stats["calls_missed"], 1)
        conn = self.only(capture.of(client.pid))
        self.assertEqual(conn.close["reason"], "exit")
        self.assertGreaterEqual(conn.sent.length, report["received"]["len"])
        self.assertLess(conn.sent.length, size)
        self.assertEqual(conn.sent.data, pattern("seed", size)[:len(conn.sent.data)])
        other = self.only(capture.of(server.pid))
        self.assertEqual((other.received.length, other.received.sha256),
                         (report["received"]["len"], report["received"]["sha256"]))
        self.assertEqual(other.close["reason"], "end")

    def test_exit_without_close(self):
        server, port = self.peer_server("echo")
        tap = self.tap()
        driver = self.driver(port)
        driver.do("connect")
        driver.do("talk", "a", 5000)
        driver.proc.kill()
        self.reports(1)
        capture = tap.stop()
        conn = self.only(capture.of(driver.pid))
        self.assertEqual((conn.sent.length, conn.received.length), (5000, 5000))
        self.assertEqual(conn.close["reason"], "exit")

    def test_exec(self):
        """Another program in the same process is not the same connection's end point."""
        server, port = self.peer_server("echo")
        tap = self.tap()
        driver = self.driver(port)
        driver.do("connect")
        driver.do("talk", "a", 5000)
        driver.do("exec")
        self.reports(2)  # the server saw the end: execve closed the socket
        tap.wait_capture(lambda seen: seen.of(driver.pid)[0].close, "the close event")
        self.assertEqual(tap.stop().of(driver.pid)[0].close["reason"], "exit")

    def test_close_is_told_at_once(self):
        """Not only when cleartap ends."""
        server, port = self.peer_server("echo")
        tap = self.tap()
        client = self.peer_client(port, "talk")
        client.wait()
        tap.wait_capture(lambda seen: any(conn.close for conn in seen.of(client.pid)),
                         "the close event")
        capture = tap.stop()
        self.assertEqual(self.only(capture.of(client.pid)).close["reason"], "freed")

    def test_cleartap_ends_first(self):
        server, port = self.peer_server("echo")
        tap = self.tap()
        driver = self.driver(port)
        driver.do("connect")
        driver.do("talk", "a", 100000)
        capture = tap.stop()
        conn = self.only(capture.of(driver.pid))
        self.assertEqual((conn.sent.length, conn.sent.sha256),
                         (100000, sha256(pattern("a", 100000))))
        self.assertEqual(conn.close["reason"], "end")
        # The target does not notice that the probes are gone.
        driver.do("talk", "b", 100000)
        driver.do("close")
        self.reports(2)

    def test_reset_by_peer(self):
        server, port = self.peer_server("echo")
        tap = self.tap()
        driver = self.driver(port)
        driver.do("connect")
        driver.do("talk", "a", 1000)
        driver.do("reset")
        self.assert_reports(tap.stop(), self.reports(1))


class OpenBefore(Case):

    def check(self, host, *server):
        """Connected, and has talked, long before cleartap starts."""
        server, port = self.peer_server("echo", *server, host=host)
        driver = self.driver(port, "--host", host)
        local = driver.do("connect")
        driver.do("talk", "before", 10000)
        tap = self.tap()
        driver.do("talk", "after", 70000)
        driver.do("close")
        report = self.reports(2)[0]
        capture = tap.stop()
        conn, other = self.only(capture.of(driver.pid)), self.only(capture.of(server.pid))
        expected = (70000, sha256(pattern("after", 70000)))
        self.assertEqual((conn.sent.length, conn.sent.sha256), expected)
        self.assertEqual((conn.received.length, conn.received.sha256), expected)
        self.assert_mirrored(conn, other)
        self.assert_addresses(conn, local, f"{host}:{port}" if ":" not in host
                              else f"[{host}]:{port}")
        self.assertIn(report["role"], ("client", "server"))

    def test_ipv4(self):
        self.check("127.0.0.1")

    def test_ipv6(self):
        self.check("::1")

    def test_tls12(self):
        self.check("127.0.0.1", "--tls", "1.2")

    def test_library_loaded_later(self):
        """A process that runs already, without TLS, and loads the library when it is tapped."""
        server, port = self.peer_server("echo")
        program = ("import sys; sys.stdin.readline()\n"
                   "import socket, ssl\n"
                   "c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
                   "c.check_hostname = False; c.verify_mode = ssl.CERT_NONE\n"
                   f"s = c.wrap_socket(socket.create_connection(('127.0.0.1', {port})))\n"
                   "s.sendall(b'hello'); s.recv(5); s.close()\n")
        client = self.start("/usr/bin/python3", "-c", program, stdin=subprocess.PIPE)
        tap = self.tap()
        client.stdin.write(b"go\n")
        client.stdin.close()
        client.wait()
        self.reports(1)
        conn = self.only(tap.stop().of(client.pid))
        self.assertEqual((bytes(conn.sent.data), bytes(conn.received.data)), (b"hello",) * 2)


class Calls(Case):
    """sslprog.c writes down what the library told it; that and no more must be captured."""

    def truth(self):
        """(sent, received) of each connection of sslprog, in their order."""
        pairs = []
        while os.path.exists(self.path(f"{len(pairs)}.out")):
            number = len(pairs)
            pairs.append((read_file(self.path(f"{number}.out")),
                          read_file(self.path(f"{number}.in"))))
        return pairs

    def check(self, scenario, connections=1, addresses=True, reports=True):
        server, port = self.peer_server("echo")
        tap = self.tap()
        client = self.run_program(build("sslprog"), scenario, str(port), self.dir,
                                  self.cert.cert, self.cert.key)
        told = self.reports(connections) if reports else []
        capture = tap.stop()
        conns = sorted(capture.of(client.pid), key=lambda conn: conn.number)
        self.assertEqual([(conn.sent.length, conn.sent.sha256, conn.received.length,
                           conn.received.sha256) for conn in conns],
                         [(len(out), sha256(out), len(into), sha256(into))
                          for out, into in self.truth()])
        if reports:
            self.assertEqual(len(conns), connections)
            self.assert_reports(capture, told)
        for conn in conns if addresses else []:
            self.assertEqual(conn.remote[1], port)
        return conns, client

    def test_read_write(self):
        self.check("talk")

    def test_read_ex_write_ex(self):
        self.check("ex")

    def test_peek(self):
        self.check("peek")

    def test_failing_calls(self):
        self.check("failing")

    def test_one_handle_three_connections(self):
        conns, _ = self.check("reuse", 3)
        self.assertEqual(len({conn.local for conn in conns}), 3)

    def test_new_handle_at_the_same_address(self):
        conns, client = self.check("again", 20)
        self.assertEqual(len({conn.local for conn in conns}), 20)
        self.assertEqual({conn.close["reason"] for conn in conns}, {"freed"})

    def test_bio(self):
        self.check("bio")

    def test_no_socket(self):
        """Two handles in one process, joined in memory: no address, and none made up."""
        conns, _ = self.check("pair", addresses=False, reports=False)
        self.assertEqual(len(conns), 2)
        for conn in conns:
            self.assertEqual((conn.locals, conn.remotes), (set(), set()))

    def check_nonblocking(self, mode):
        """A stopped server fills the socket: the client must try again, and nothing is doubled."""
        server, port = self.peer_server("echo")
        tap = self.tap()
        client = self.start(build("sslprog"), mode, str(port), self.dir, stdin=subprocess.PIPE)
        wait_for(lambda: b"connected" in client.output(), "the handshake")
        os.kill(server.pid, signal.SIGSTOP)
        client.stdin.write(b"\n")
        client.stdin.flush()
        wait_for(lambda: b"wait\n" in client.output(), "WANT_WRITE")
        os.kill(server.pid, signal.SIGCONT)
        client.wait()
        reports = self.reports(1)
        capture = tap.stop()
        (out, into), = self.truth()
        conn = self.only(capture.of(client.pid))
        self.assertEqual(out, into)
        self.assertEqual((conn.sent.length, conn.sent.sha256), (len(out), sha256(out)))
        self.assertEqual((conn.received.length, conn.received.sha256), (len(into), sha256(into)))
        self.assert_reports(capture, reports)

    def test_want_write_whole(self):
        self.check_nonblocking("whole")

    def test_want_write_partial(self):
        self.check_nonblocking("partial")

    def test_want_write_python(self):
        server, port = self.peer_server("sink")
        tap = self.tap()
        driver = self.driver(port)
        driver.do("connect", 4096)
        os.kill(server.pid, signal.SIGSTOP)
        driver.tell("nonblocking", "a", 10 * MB)
        driver.answer("wait")
        os.kill(server.pid, signal.SIGCONT)
        self.assertGreater(int(driver.answer("ok")), 0)
        driver.do("close")
        reports = self.reports(2)
        capture = tap.stop()
        self.assert_reports(capture, reports)

    def test_failed_writes_python(self):
        server, port = self.peer_server("echo")
        tap = self.tap()
        driver = self.driver(port)
        driver.do("connect")
        driver.do("talk", "a", 3000)
        driver.do("shut")
        self.assertEqual(driver.do("failing", 50000), "3")
        driver.do("close")
        self.assert_reports(tap.stop(), self.reports(2))

    def test_fork_after_the_handshake(self):
        """Parent and child are two processes, each with what it sent and received."""
        server, port = self.peer_server("echo")
        tap = self.tap()
        driver = self.driver(port)
        driver.do("connect")
        driver.do("talk", "parent", 2000)
        child, status = map(int, driver.do("fork", "child", 3000).split())
        self.assertEqual(status, 0)
        driver.proc.stop()
        reports = self.reports(3)
        capture = tap.stop()
        self.assert_reports(capture, reports)
        self.assertEqual(self.only(capture.of(child)).sent.sha256,
                         sha256(pattern("child", 3000)))
        server_conn = self.only(capture.of(server.pid))
        self.assertEqual(server_conn.received.length, 5000)


class EarlyData(Case):

    def test_both_directions_of_early_data(self):
        """What s_client sends before the handshake is done, and s_server reads there."""
        server, port = servers.s_server(self, "-early_data", "-quiet", stdin=subprocess.PIPE)
        session = self.path("session")
        self.get_session(port, session)
        early, late = b"early data " * 500, b"after the handshake\n"
        tap = self.tap()
        client = self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-sess_in",
                            session, "-early_data", self.path("early", early),
                            stdin=subprocess.PIPE)
        wait_for(lambda: early in server.output(), "the early data")
        client.stdin.write(late)
        client.stdin.flush()
        wait_for(lambda: late in server.output(), "the late data")
        server.stdin.write(b"answer\n")
        server.stdin.flush()
        wait_for(lambda: b"answer\n" in client.output(), "the answer")
        self.assertIn(b"Early data was accepted", client.output())
        client.stop()
        capture = tap.stop()
        one, other = self.only(capture.of(client.pid)), self.only(capture.of(server.pid))
        self.assertEqual(bytes(one.sent.data), early + late)
        self.assertEqual(bytes(one.received.data), b"answer\n")
        self.assert_mirrored(one, other)

    def get_session(self, port, path):
        """A first connection, which lasts until the server's ticket is in the file."""
        client = self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-sess_out",
                            path, stdin=subprocess.PIPE)
        wait_for(lambda: os.path.exists(path) and
                 b"END SSL SESSION PARAMETERS" in read_file(path), "a session")
        client.stdin.write(b"Q\n")
        client.stdin.flush()
        client.wait()


if __name__ == "__main__":
    unittest.main()
