# SPDX-License-Identifier: Apache-2.0
"""Real programs, both ends tapped: what they said they sent is what was captured, byte for byte."""
import os
import re
import shutil
import socket
import subprocess
import threading
import unittest

from clients import build
from harness import Case, read_file, sha256, wait_for
import servers
from servers import Curl

BINARY = bytes(range(256)) * 300  # 76,800 bytes: several records, every byte value


class Programs(Case):

    def assert_bytes(self, stream, expected):
        self.assertEqual((stream.length, stream.sha256), (len(expected), sha256(expected)))

    def assert_curl(self, capture, curl):
        """curl's own trace and the capture agree; returns curl's connection."""
        conn = self.only(capture.of(curl.pid))
        self.assert_bytes(conn.sent, curl.sent)
        self.assert_bytes(conn.received, curl.received)
        self.assertEqual(conn.comms, {"curl"})
        return conn


class CurlNginx(Programs):

    def exchange(self, *args, files=None, path="file.bin"):
        proc, port = servers.nginx(self, files or {"file.bin": BINARY})
        pid = servers.worker(proc)
        tap = self.tap()
        curl = Curl(self, f"https://localhost:{port}/{path}", *args)
        capture = tap.stop()
        client = self.assert_curl(capture, curl)
        server = self.only(capture.of(pid))
        self.assert_mirrored(client, server)
        self.assertEqual(client.remote[1], port)
        self.assertEqual(client.exes, {"/usr/bin/curl"})
        return curl, client, server

    def check_download(self, version):
        curl, client, _ = self.exchange("--tlsv" + version, "--tls-max", version)
        self.assertEqual(curl.body, BINARY)
        self.assertTrue(client.received.data.endswith(BINARY))
        self.assertTrue(client.sent.data.startswith(b"GET /file.bin HTTP/1.1\r\n"))

    def test_download_tls13(self):
        self.check_download("1.3")

    def test_download_tls12(self):
        self.check_download("1.2")

    def test_post(self):
        body = self.path("body", BINARY)
        curl, client, _ = self.exchange("--data-binary", f"@{body}", "-H", "Expect:",
                                        path="short")
        self.assertTrue(client.sent.data.endswith(BINARY))
        self.assertTrue(client.received.data.endswith(b"short answer\n"))

    def test_text_stays_text(self):
        text = "grüße, 世界\n".encode() * 5000
        curl, client, _ = self.exchange(files={"text": text}, path="text")
        self.assertTrue(client.received.data.endswith(text))

    def test_http2(self):
        proc, port = servers.nginx(self, {"file.bin": BINARY}, http2=True)
        pid = servers.worker(proc)
        tap = self.tap()
        curl = self.run_program("curl", "-sS", "--http2", "--cacert", self.cert.cert,
                                f"https://localhost:{port}/file.bin")
        capture = tap.stop()
        self.assertEqual(curl.output(), BINARY)
        client, server = self.only(capture.of(curl.pid)), self.only(capture.of(pid))
        self.assert_mirrored(client, server)
        self.assertTrue(client.sent.data.startswith(b"PRI * HTTP/2.0\r\n"))

    def test_keep_alive_is_one_connection(self):
        proc, port = servers.nginx(self)
        tap = self.tap()
        url = f"https://localhost:{port}/short"
        curl = Curl(self, url, url, url)
        client = self.assert_curl(tap.stop(), curl)
        self.assertEqual(client.sent.data.count(b"GET /short"), 3)


class Python(Programs):

    def check(self, do, *args, server_host="127.0.0.1", host="127.0.0.1", server=()):
        serve = {"upload": "upload"}.get(do, "echo")
        proc, port = self.peer_server(serve, *server, host=server_host)
        tap = self.tap()
        client = self.peer_client(port, do, "--host", host, *args)
        client.wait()
        reports = self.reports(2)
        capture = tap.stop()
        self.assert_reports(capture, reports)
        one, other = self.only(capture.of(client.pid)), self.only(capture.of(proc.pid))
        self.assert_mirrored(one, other)
        return one, other

    def test_tls13(self):
        one, other = self.check("talk", "--size", "300000", "--chunk", "5000", "--tls", "1.3")
        self.assertEqual(one.sent.length, 300000)
        self.assertEqual(other.close["reason"], "freed")

    def test_tls12(self):
        self.check("talk", "--size", "300000", "--chunk", "5000", "--tls", "1.2")

    def test_record_sizes(self):
        """Around the size of a record, and one byte at a time."""
        for chunk in (1, 16383, 16384, 16385, 32768):
            with self.subTest(chunk=chunk):
                self.fresh()
                self.check("talk", "--size", str(min(chunk * 5, 100000)), "--chunk", str(chunk))

    def test_big_single_call(self):
        self.check("upload", "--size", "1000000", server=("--size", "1000000"))

    def test_ipv6(self):
        one, _ = self.check("talk", server_host="::1", host="::1")
        self.assertEqual(str(one.remote[0]), "::1")

    def test_dual_stack_server_ipv4_client(self):
        one, other = self.check("talk", server_host="dual", host="127.0.0.1")
        self.assertEqual(str(one.local[0]), "127.0.0.1")
        self.assertEqual(str(other.remote[0]), "127.0.0.1")

    def test_dual_stack_server_ipv6_client(self):
        one, other = self.check("talk", server_host="dual", host="::1")
        self.assertEqual(str(other.local[0]), "::1")

    def test_memory_bio(self):
        """No socket inside the library: addresses are absent or right, never invented."""
        proc, port = self.peer_server("echo")
        tap = self.tap()
        client = self.peer_client(port, "membio", "--size", "200000", "--chunk", "40000")
        client.wait()
        reports = self.reports(2)
        capture = tap.stop()
        self.assert_reports(capture, reports, addresses=False)
        conn = self.only(capture.of(client.pid))
        told = [report for report in reports if report["pid"] == client.pid][0]
        for name, known in (("local", conn.locals), ("remote", conn.remotes)):
            self.assertLessEqual(known, {told[name]})

    def test_identity(self):
        """The open event says who it is."""
        one, _ = self.check("talk")
        event = one.open
        self.assertEqual(event["uid"], 0)
        self.assertEqual(event["gid"], 0)
        self.assertEqual(event["ppid"], os.getpid())
        self.assertTrue(event["library"].endswith("libssl.so.3"), event["library"])
        self.assertEqual(one.exes, {os.path.realpath("/usr/bin/python3")})
        self.assertRegex(event["start"], r"^\d{4}-\d\d-\d\dT")
        self.assertIn("cgroup", event)
        self.assertIn("cgroup_id", event)


class OpenSSLTool(Programs):

    def test_s_client_and_s_server(self):
        """Interactive both: the standard input of each is what it sends."""
        server, port = servers.s_server(self, "-quiet", stdin=subprocess.PIPE)
        tap = self.tap()
        client = self.start("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}",
                            stdin=subprocess.PIPE)
        hello, answer = b"from the client\n" * 3000, b"from the server\n" * 2000
        client.stdin.write(hello)
        client.stdin.flush()
        wait_for(lambda: len(server.output()) == len(hello), "the client's text")
        server.stdin.write(answer)
        server.stdin.flush()
        wait_for(lambda: len(client.output()) == len(answer), "the server's text")
        client.stop()
        capture = tap.stop()
        one, other = self.only(capture.of(client.pid)), self.only(capture.of(server.pid))
        self.assert_bytes(one.sent, hello)
        self.assert_bytes(one.received, answer)
        self.assert_mirrored(one, other)

    def check_rev(self, version):
        """s_server -rev reads and writes through BIO_f_ssl."""
        server, port = servers.s_server(self, "-rev", version)
        tap = self.tap()
        client = self.start("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}",
                            stdin=subprocess.PIPE)
        line = b"0123456789 abcdefghij " * 300
        client.stdin.write(line + b"\n")
        client.stdin.flush()
        expected = line[::-1] + b"\n"
        wait_for(lambda: len(client.output()) == len(expected), "the reversed line")
        self.assertEqual(client.output(), expected)
        client.stop()
        capture = tap.stop()
        one, other = self.only(capture.of(client.pid)), self.only(capture.of(server.pid))
        self.assert_bytes(one.sent, line + b"\n")
        self.assert_bytes(other.received, line + b"\n")
        self.assert_bytes(other.sent, expected)
        self.assert_mirrored(one, other)

    def test_rev_tls13(self):
        self.check_rev("-tls1_3")

    def test_rev_tls12(self):
        self.check_rev("-tls1_2")

    def check_web(self, option, path):
        """Answers through BIO_f_ssl: the library's internal functions, not SSL_write."""
        server, port = servers.s_server(self, option, cwd=self.dir)
        tap = self.tap()
        curl = self.run_program("curl", "-sS", "--http0.9", "--cacert", self.cert.cert,
                                "--trace", self.path("trace"), f"https://localhost:{port}/{path}")
        capture = tap.stop()
        one, other = self.only(capture.of(curl.pid)), self.only(capture.of(server.pid))
        self.assert_bytes(one.sent, servers.traced(self.path("trace"), "=> Send"))
        self.assert_bytes(one.received, servers.traced(self.path("trace"), "<= Recv"))
        # s_server stops reading at the empty line's first byte or after it: what it read is
        # a prefix of what was sent, and all of the request line.
        self.assertEqual(one.received.sha256, other.sent.sha256)
        self.assertTrue(one.sent.data.startswith(bytes(other.received.data)))
        self.assertIn(b"GET /", other.received.data)
        return curl, other

    def test_www_status_page(self):
        curl, other = self.check_web("-www", "")
        self.assertIn(b"s_server", other.sent.data)

    def test_WWW_file(self):
        data = b"line of a file\n" * 5000
        self.path("page.txt", data)
        curl, other = self.check_web("-WWW", "page.txt")
        self.assertTrue(other.sent.data.endswith(data))

    def test_key_update_and_renegotiation(self):
        """Key changes in the middle leave no trace in the plaintext."""
        for version, command in (("-tls1_3", b"K"), ("-tls1_2", b"R")):
            with self.subTest(version=version):
                self.fresh()
                server, port = servers.s_server(self, "-rev", version, "-client_renegotiation",
                                                "-legacy_renegotiation")
                tap = self.tap()
                client = self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}",
                                    "-legacy_renegotiation", stdin=subprocess.PIPE)
                self.send_line(client, b"before", b"erofeb")
                # s_client takes a line that begins with K or R as a command, alone.
                client.stdin.write(command + b"\n")
                client.stdin.flush()
                wait_for(lambda: re.search("KEYUPDATE|RENEGOTIATING", client.messages() +
                                           client.output().decode(errors="replace")), "command")
                self.send_line(client, b"after", b"retfa")
                client.stop()
                capture = tap.stop()
                one = self.only(capture.of(client.pid))
                self.assert_bytes(one.sent, b"before\nafter\n")
                self.assert_bytes(one.received, b"erofeb\nretfa\n")
                self.assert_mirrored(one, self.only(capture.of(server.pid)))

    def send_line(self, client, line, answer):
        client.stdin.write(line + b"\n")
        client.stdin.flush()
        wait_for(lambda: answer in client.output(), f"{answer}")


class Redis(Programs):

    def check(self, *args):
        server, port = servers.redis(self, *args)
        tap = self.tap()
        value = b"value\x00\xff" * 40000
        cli = ["redis-cli", "-h", "127.0.0.1", "-p", str(port), "--tls", "--cacert",
               self.cert.cert]
        with open(self.path("value", value), "rb") as file:
            put = self.run_program(*cli, "-x", "set", "key", stdin=file)
        get = self.run_program(*cli, "--raw", "get", "key")
        capture = tap.stop()
        one, two = self.only(capture.of(put.pid)), self.only(capture.of(get.pid))
        request = b"*3\r\n$3\r\nset\r\n$3\r\nkey\r\n$%d\r\n%s\r\n" % (len(value), value)
        self.assert_bytes(one.sent, request)
        self.assert_bytes(one.received, b"+OK\r\n")
        self.assert_bytes(two.sent, b"*2\r\n$3\r\nget\r\n$3\r\nkey\r\n")
        self.assert_bytes(two.received, b"$%d\r\n%s\r\n" % (len(value), value))
        first, second = sorted(capture.of(server.pid), key=lambda conn: conn.number)
        self.assert_mirrored(one, first)
        self.assert_mirrored(two, second)

    def test_tls13(self):
        self.check("--tls-protocols", "TLSv1.3")

    def test_tls12(self):
        self.check("--tls-protocols", "TLSv1.2")

    def test_io_threads(self):
        """Other threads than the main one read and write."""
        self.check("--io-threads", "2", "--io-threads-do-reads", "yes")


class HAProxy(Programs):

    def check(self, mode):
        """Its own BIO, TLS on both sides of one process."""
        backend, back = self.peer_server("http", "--size", "200000")
        proxy, port = servers.haproxy(self, back, mode)
        tap = self.tap()
        curl = Curl(self, f"https://localhost:{port}/path", "--data-binary", "x" * 30000)
        report = self.reports_of_backend()
        capture = tap.stop()
        client = self.assert_curl(capture, curl)
        conns = capture.of(proxy.pid)
        self.assertEqual(len(conns), 2, conns)
        front = self.only([conn for conn in conns if conn.local[1] == port])
        behind = self.only([conn for conn in conns if conn.remote[1] == back])
        server = self.only(capture.of(backend.pid))
        self.assert_mirrored(client, front)
        self.assert_mirrored(behind, server)
        self.assertEqual(server.received.sha256, report["received"]["sha256"])
        self.assertEqual(server.sent.sha256, report["sent"]["sha256"])
        return client, server

    def reports_of_backend(self):
        return self.reports(1)[0]

    def test_tcp(self):
        client, server = self.check("tcp")
        self.assertEqual(client.sent.sha256, server.received.sha256)
        self.assertEqual(client.received.sha256, server.sent.sha256)

    def test_http(self):
        client, server = self.check("http")
        self.assertEqual(client.received.data.split(b"\r\n\r\n", 1)[1],
                         server.sent.data.split(b"\r\n\r\n", 1)[1])


class Stunnel(Programs):

    def test_both_sides_in_one_process(self):
        backend = self.start_plain_echo()
        proc, plain, tls = servers.stunnel(self, backend)
        tap = self.tap()
        data = BINARY
        with socket.create_connection(("127.0.0.1", plain)) as sock:
            for start in range(0, len(data), 10000):
                piece = data[start:start + 10000]
                sock.sendall(piece)
                left = len(piece)
                while left:
                    left -= len(sock.recv(left))
        wait_for(lambda: "closed" in proc.messages(), "stunnel's end of the connection")
        capture = tap.stop()
        conns = capture.of(proc.pid)
        self.assertEqual(len(conns), 2, conns)
        client = self.only([conn for conn in conns if conn.remote[1] == tls])
        server = self.only([conn for conn in conns if conn.local[1] == tls])
        for stream in (client.sent, client.received, server.sent, server.received):
            self.assert_bytes(stream, data)
        self.assert_mirrored(client, server)

    def start_plain_echo(self):
        """The echo server without TLS behind stunnel, in a thread of the test."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def serve():
            sock, _ = listener.accept()
            with sock:
                while data := sock.recv(65536):
                    sock.sendall(data)
        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]


class OtherLibraries(Programs):
    """--libssl: a library somewhere else, and a program that has OpenSSL inside."""

    def check(self, tap, program, env=None):
        proc, port = self.peer_server("echo")
        client = self.run_program(program, "talk", str(port), self.dir, env=env)
        self.reports(1)
        conn = self.only(tap.stop().of(client.pid))
        self.assert_bytes(conn.sent, read_file(self.path("0.out")))
        self.assert_bytes(conn.received, read_file(self.path("0.in")))
        self.assertEqual(conn.remote[1], port)
        return conn

    def test_library_at_another_place(self):
        folder = self.path("lib")
        os.mkdir(folder)
        copy = shutil.copy("/usr/lib/x86_64-linux-gnu/libssl.so.3", folder)
        tap = self.tap("--libssl", copy)
        conn = self.check(tap, build("sslprog"), {**os.environ, "LD_LIBRARY_PATH": folder})
        self.assertEqual(conn.open["library"], copy)

    def test_static_binary(self):
        program = build("sslprog-static")
        tap = self.tap("--libssl", program)
        conn = self.check(tap, program)
        self.assertEqual(conn.open["library"], program)


if __name__ == "__main__":
    unittest.main()
