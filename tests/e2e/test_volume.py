# SPDX-License-Identifier: Apache-2.0
"""Much of everything: bytes, connections, threads; and too much, where the sum must still hold."""
import concurrent.futures
import os
import random
import re
import signal
import subprocess
import unittest

from harness import Case, sha256, wait_for
from peer import pattern
import servers

MB = 1000 * 1000


class Big(Case):

    def test_one_call_of_100_mb(self):
        """Default settings; a single SSL_write, whole at both ends."""
        size = 100 * MB
        server, port = self.peer_server("upload", "--size", str(size))
        tap = self.tap()
        client = self.peer_client(port, "upload", "--size", str(size))
        client.wait()
        reports = self.reports(2)
        capture = tap.stop()
        self.assert_reports(capture, reports)
        self.assertEqual(self.only(capture.of(client.pid)).sent.captured, size)
        self.assertEqual(capture.gap_bytes, 0)

    def test_download_of_100_mb(self):
        data = pattern("download", 100 * MB)
        proc, port = servers.nginx(self, {"big": data})
        pid = servers.worker(proc)
        tap = self.tap()
        curl = self.run_program("curl", "-sS", "--http1.1", "--cacert", self.cert.cert, "-o",
                                self.path("big"), "-D", self.path("head"),
                                f"https://localhost:{port}/big")
        capture = tap.stop()
        one, other = self.only(capture.of(curl.pid)), self.only(capture.of(pid))
        with open(self.path("head"), "rb") as head:
            expected = head.read() + data
        self.assertEqual(one.received.length, len(expected))
        self.assertEqual(one.received.sha256, sha256(expected))
        self.assert_mirrored(one, other)
        self.assertEqual(capture.gap_bytes, 0)


class Many(Case):

    def test_2000_short_connections(self):
        """From 2,000 processes that live some milliseconds; not one is missed."""
        count = 2000
        proc, port = servers.nginx(self)
        pid = servers.worker(proc)
        tap = self.tap()

        def run(number):
            return subprocess.run(
                ["curl", "-sS", "--http1.1", "-k", "-H", f"X-Number: {number}.",
                 f"https://127.0.0.1:{port}/short"], capture_output=True, check=False)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            failed = [run for run in pool.map(run, range(count))
                      if run.returncode or run.stdout != b"short answer\n"]
        self.assertEqual(failed, [])
        capture = tap.stop()

        def numbers(conns, stream):
            found = []
            for conn in conns:
                data = bytes(getattr(conn, stream).data)
                found += [int(number) for number in re.findall(rb"X-Number: (\d+)\.", data)]
            return sorted(found)
        clients = [conn for conn in capture.conns.values() if conn.remote and
                   conn.remote[1] == port]
        self.assertEqual(numbers(clients, "sent"), list(range(count)))
        self.assertEqual(numbers(capture.of(pid), "received"), list(range(count)))
        self.assertEqual(len(clients), count)
        self.assertEqual(len(capture.of(pid)), count)
        for conn in clients:
            self.assertTrue(conn.received.data.endswith(b"\r\n\r\nshort answer\n"), conn)
            self.assertEqual(conn.comms, {"curl"})
        mirrored = sorted((conn.sent.sha256, conn.received.sha256, str(conn.local))
                          for conn in clients)
        self.assertEqual(mirrored, sorted((conn.received.sha256, conn.sent.sha256,
                                           str(conn.remote)) for conn in capture.of(pid)))

    def test_64_threads(self):
        """Each with a connection of its own, all in one process at each end."""
        server, port = self.peer_server("echo")
        tap = self.tap()
        client = self.peer_client(port, "threads", "--threads", "64", "--size", "200000",
                                  "--chunk", "7000")
        client.wait()
        reports = self.reports(128)
        capture = tap.stop()
        self.assert_reports(capture, reports)
        self.assertEqual(len(capture.of(client.pid)), 64)
        tids = set().union(*(conn.sent.tids for conn in capture.of(client.pid)))
        self.assertEqual(len(tids), 64)

    def test_threads_share_a_connection(self):
        """The order of the bytes is the order in which the library got them."""
        server, port = self.peer_server("echo")
        tap = self.tap()
        client = self.peer_client(port, "shared", "--threads", "8", "--size", "200", "--chunk",
                                  "3000")
        client.wait()
        reports = self.reports(2)
        capture = tap.stop()
        self.assert_reports(capture, reports)
        conn = self.only(capture.of(client.pid))
        self.assertEqual(len(conn.sent.tids), 8)

    def test_thread_moves_between_cpus(self):
        """The order survives a thread that is pushed around while it talks."""
        cpus = sorted(os.sched_getaffinity(0))
        server, port = self.peer_server("echo")
        tap = self.tap()
        client = self.peer_client(port, "talk", "--size", str(4 * MB), "--chunk", "2000")
        turn, source = 0, random.Random(1)
        while client.process.poll() is None:
            try:
                os.sched_setaffinity(client.pid, {source.choice(cpus)})
                os.sched_setaffinity(server.pid, {source.choice(cpus)})
            except ProcessLookupError:
                break
            turn += 1
        client.wait()
        reports = self.reports(2)
        self.assert_reports(tap.stop(), reports)

    def test_many_connections_at_once(self):
        """300 open connections of one process, all of them talking."""
        server, port = self.peer_server("echo")
        tap = self.tap()
        client = self.peer_client(port, "threads", "--threads", "300", "--size", "3000")
        client.wait()
        reports = self.reports(600)
        self.assert_reports(tap.stop(), reports)


class Overflow(Case):
    """What does not fit is told: captured bytes and gaps are exactly what was sent."""

    def assert_sums(self, capture, reports):
        for report in reports:
            conns = capture.of(report["pid"])
            for name, stream in (("sent", "sent"), ("received", "received")):
                streams = [getattr(conn, stream) for conn in conns]
                self.assertEqual(sum(stream.length for stream in streams), report[name]["len"],
                                 (report, conns))
                for stream in streams:
                    self.assertEqual(stream.captured + stream.gap_bytes, stream.length)
                    self.assertLessEqual({reason for _, _, reason in stream.gaps}, {"ring-full"})

    def assert_content(self, stream, data):
        """What was captured between the gaps is what was sent there."""
        self.assertEqual(len(stream.data), stream.captured)
        at = 0
        offset = 0
        for start, length, _ in [*stream.gaps, (stream.length, 0, None)]:
            piece = start - offset
            self.assertEqual(stream.data[at:at + piece], data[offset:start])
            at += piece
            offset = start + length

    def overflow(self, tap, port, size, stopped):
        if stopped:
            # A reader that does not read at all: the ring must overflow.
            tap.process.send_signal(signal.SIGSTOP)
        client = self.peer_client(port, "upload", "--size", str(size))
        client.wait()
        reports = self.reports(2)
        if stopped:
            tap.process.send_signal(signal.SIGCONT)
        return client, reports

    def test_reader_stopped(self):
        size = 5 * MB
        server, port = self.peer_server("upload", "--size", str(size))
        tap = self.tap(ring="64K")
        client, reports = self.overflow(tap, port, size, stopped=True)
        capture = tap.stop(status=5)
        self.assert_sums(capture, reports)
        self.assertGreater(capture.gap_bytes, 2 * size - 2 * 65536)
        data = pattern("seed", size)
        self.assert_content(self.only(capture.of(client.pid)).sent, data)
        self.assert_content(self.only(capture.of(server.pid)).received, data)
        self.assertIn("ring", capture.stderr)

    def test_small_ring(self):
        """The reader does its best; whether that is enough does not matter to the sum."""
        size = 8 * MB
        server, port = self.peer_server("upload", "--size", str(size))
        tap = self.tap(ring="64K")
        client, reports = self.overflow(tap, port, size, stopped=False)
        capture = tap.stop(status=None)
        self.assertEqual(capture.status, 5 if capture.gap_bytes else 0)
        self.assert_sums(capture, reports)
        data = pattern("seed", size)
        self.assert_content(self.only(capture.of(client.pid)).sent, data)
        self.assert_content(self.only(capture.of(server.pid)).received, data)

    def test_many_streams(self):
        """The sum is right for each stream, not only in all."""
        server, port = self.peer_server("echo")
        tap = self.tap(ring="64K")
        tap.process.send_signal(signal.SIGSTOP)
        clients = [self.peer_client(port, "talk", "--size", str(200000 + 1000 * number), "--seed",
                                    str(number)) for number in range(6)]
        for client in clients:
            client.wait()
        reports = self.reports(12)
        tap.process.send_signal(signal.SIGCONT)
        capture = tap.stop(status=5)
        self.assert_sums(capture, [report for report in reports if report["role"] == "client"])
        told = sorted((report["sent"]["len"], report["received"]["len"]) for report in reports
                      if report["role"] == "server")
        seen = sorted((conn.sent.length, conn.received.length)
                      for conn in capture.of(server.pid))
        self.assertEqual(seen, told)

    def test_after_the_overflow(self):
        """When the reader is back, everything is captured again."""
        server, port = self.peer_server("echo")
        driver = self.driver(port)
        tap = self.tap(ring="64K")
        driver.do("connect")
        driver.do("talk", "a", 1000)
        tap.wait_capture(lambda seen: seen.of(driver.pid), "the first bytes")
        tap.process.send_signal(signal.SIGSTOP)
        driver.do("talk", "b", 1000000)
        tap.process.send_signal(signal.SIGCONT)
        wait_for(lambda: self.talks_without_gap(driver, tap), "bytes without a gap")
        driver.do("close")
        reports = self.reports(2)
        capture = tap.stop(status=5)
        self.assert_sums(capture, reports)

    def talks_without_gap(self, driver, tap):
        driver.do("talk", "c", 500)
        stream = tap.poll().of(driver.pid)[0].sent
        start, length, _ = stream.gaps[-1] if stream.gaps else (0, 0, None)
        return stream.length > 1001000 and start + length < stream.length


if __name__ == "__main__":
    unittest.main()
