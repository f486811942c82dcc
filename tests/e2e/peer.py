#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""TLS programs for the tests, on Python's ssl module (libssl underneath), that tell the truth.

Each finished connection is one JSON line in the file --report: what was sent and what was received
(length and SHA-256 of what the ssl module took and gave), both addresses and the TLS version. The
tests compare that with what cleartap captured. --keylog has the ssl module write its secrets.

server: says "port N" when it listens, then serves until it is killed.
client: one run of --do, then exits.
driver: obeys a line of standard input at a time and answers each with a line.
"""
import argparse
import hashlib
import json
import os
import random
import re
import select
import socket
import ssl
import struct
import sys
import threading
import time

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
CHUNK = 65536


def pattern(seed, size):
    """The same bytes for the same seed, everywhere; any value occurs, so no text form is spared."""
    block = random.Random(seed).randbytes(min(size, 1 << 20))
    return (block * (size // max(len(block), 1) + 1))[:size]


def text_address(addr):
    return f"[{addr[0]}]:{addr[1]}" if ":" in addr[0] else f"{addr[0]}:{addr[1]}"


class Report:
    """The file that the truth is written to, a line at a time."""

    def __init__(self, path):
        self.file = open(path, "a", buffering=1) if path else None
        self.lock = threading.Lock()

    def write(self, **fields):
        if self.file:
            with self.lock:
                self.file.write(json.dumps(fields) + "\n")


class Counter:
    def __init__(self):
        self.len = 0
        self.sha = hashlib.sha256()

    def add(self, data):
        self.len += len(data)
        self.sha.update(data)

    def result(self):
        return {"len": self.len, "sha256": self.sha.hexdigest()}


class Conn:
    """A TLS connection that counts what passes through it."""

    def __init__(self, sock, context, server_side, report):
        self.report = report
        self.role = "server" if server_side else "client"
        self.local = text_address(sock.getsockname())
        self.remote = text_address(sock.getpeername())
        self.sent, self.received = Counter(), Counter()
        self.reported = False
        self.tls = context.wrap_socket(sock, server_side=server_side)
        self.version = self.tls.version()

    def send(self, data):
        self.tls.sendall(data)
        self.sent.add(data)

    def recv(self, size=CHUNK):
        data = self.tls.recv(size)
        self.received.add(data)
        return data

    def recv_exactly(self, size):
        left = size
        while left:
            data = self.recv(min(left, CHUNK))
            if not data:
                raise EOFError(f"peer closed with {left} bytes missing")
            left -= len(data)

    def tell(self):
        if self.reported:
            return
        self.reported = True
        self.report.write(pid=os.getpid(), role=self.role, local=self.local, remote=self.remote,
                          sent=self.sent.result(), received=self.received.result(),
                          tls=self.version, resumed=self.tls.session_reused)

    def close(self):
        """Ends the connection in order, so that the other side has read everything."""
        try:
            self.tls.unwrap()
        except (OSError, ValueError):
            pass
        self.tell()
        self.tls.close()


def client_context(args):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    set_up(context, args)
    return context


def server_context(args):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.cert, args.key)
    set_up(context, args)
    return context


def set_up(context, args):
    if args.tls:
        context.minimum_version = context.maximum_version = VERSIONS[args.tls]
    if args.keylog:
        context.keylog_filename = args.keylog


# --- server


def serve_echo(conn, args):
    while True:
        data = conn.recv()
        if not data:
            return
        conn.send(data)


def serve_sink(conn, args):
    while conn.recv():
        pass


def serve_upload(conn, args):
    conn.recv_exactly(args.size)
    conn.send(b"done\n")
    while conn.recv():
        pass


def serve_some(conn, args):
    """Reads --size bytes and no more, says so, and keeps the connection."""
    conn.recv_exactly(args.size)
    conn.tell()
    threading.Event().wait()


def serve_http(conn, args):
    """Answers each request with --body (a file) or --size bytes; enough of HTTP for curl."""
    body = open(args.body, "rb").read() if args.body else pattern("body", args.size)
    head = (f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = conn.recv()
            if not more:
                return
            data += more
        request, data = data.split(b"\r\n\r\n", 1)
        length = 0
        for line in request.split(b"\r\n")[1:]:
            name, value = line.split(b":", 1)
            if name.lower() == b"content-length":
                length = int(value)
        while len(data) < length:
            data += conn.recv()
        data = data[length:]
        conn.send(head + body)


def serve_mark(conn, args):
    """Answers answer-X in HTTP to whatever has request-X in it; only then it is sure who asked."""
    data = b""
    while True:
        more = conn.recv()
        if not more:
            return
        data += more
        match = re.search(rb"request-([0-9a-z]+)\.", data)
        if match:
            body = b"<p>answer-" + match[1] + b".</p>\n"
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"
                      % len(body) + body)
            data = b""


SERVE = {"echo": serve_echo, "sink": serve_sink, "upload": serve_upload, "some": serve_some,
         "http": serve_http, "mark": serve_mark}


def serve_connection(sock, context, report, args):
    try:
        conn = Conn(sock, context, True, report)
    except OSError as error:
        print(f"handshake: {error}", flush=True)
        sock.close()
        return
    try:
        SERVE[args.do](conn, args)
    except (OSError, EOFError) as error:
        print(f"connection: {error}", flush=True)
    conn.close()


def listen(args):
    if args.host == "dual":
        return socket.create_server(("::", args.port), family=socket.AF_INET6, dualstack_ipv6=True,
                                    backlog=256)
    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    return socket.create_server((args.host, args.port), family=family, backlog=256)


def server(args):
    context, report, listener = server_context(args), Report(args.report), listen(args)
    print(f"port {listener.getsockname()[1]}", flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve_connection, args=(sock, context, report, args),
                         daemon=True).start()


# --- client


def connect(args, report, sndbuf=0):
    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    sock = socket.socket(family)
    if sndbuf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
    sock.connect((args.host, args.port))
    return Conn(sock, client_context(args), False, report)


def talk(conn, data, chunk):
    """Sends data in pieces and reads the echo of each: nobody waits for full buffers."""
    for start in range(0, len(data), chunk):
        piece = data[start:start + chunk]
        conn.send(piece)
        conn.recv_exactly(len(piece))


def client_talk(args, report):
    conn = connect(args, report)
    talk(conn, pattern(args.seed, args.size), args.chunk)
    conn.close()


def client_upload(args, report):
    """One single call with everything in it."""
    conn, data = connect(args, report), pattern(args.seed, args.size)
    begin = time.monotonic()
    conn.tls.sendall(data)
    conn.recv_exactly(5)
    if args.timed:
        print(time.monotonic() - begin, flush=True)
    conn.sent.add(data)
    conn.close()


def client_threads(args, report):
    def work(number):
        conn = connect(args, report)
        talk(conn, pattern(f"{args.seed}-{number}", args.size), args.chunk + number)
        conn.close()
    run_threads(args.threads, work)


def client_shared(args, report):
    """Many threads, one connection, a lock: the order of the bytes is the order of the lock."""
    conn, lock = connect(args, report), threading.Lock()

    def work(number):
        random_source = random.Random(f"{args.seed}-{number}")
        for turn in range(args.size):
            fill = "x" * random_source.randrange(0, args.chunk)
            message = f"<thread {number} message {turn} {fill}>\n".encode()
            with lock:
                talk(conn, message, 1 << 20)
    run_threads(args.threads, work)
    conn.close()


def client_membio(args, report):
    """The library never sees a socket: it works on two buffers in memory."""
    sock = socket.create_connection((args.host, args.port))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(args).wrap_bio(incoming, outgoing)
    sent, received = Counter(), Counter()

    def step(call, *arguments):
        while True:
            try:
                result = call(*arguments)
                sock.sendall(outgoing.read())
                return result
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                data = sock.recv(CHUNK)
                incoming.write(data) if data else incoming.write_eof()

    step(tls.do_handshake)
    data = pattern(args.seed, args.size)
    for start in range(0, len(data), args.chunk):
        piece = data[start:start + args.chunk]
        while piece:
            count = step(tls.write, piece)
            sent.add(piece[:count])
            piece = piece[count:]
        while received.len < sent.len:
            received.add(step(tls.read, CHUNK))
    report.write(pid=os.getpid(), role="client", local=text_address(sock.getsockname()),
                 remote=text_address(sock.getpeername()), sent=sent.result(),
                 received=received.result(), tls=tls.version())
    step(tls.unwrap)
    sock.close()


def run_threads(count, work):
    errors = []

    def guarded(number):
        try:
            work(number)
        except Exception as error:  # told to the test by the exit status
            errors.append(error)
    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        sys.exit(f"thread failed: {errors[0]!r}")


CLIENT = {"talk": client_talk, "upload": client_upload, "threads": client_threads,
          "shared": client_shared, "membio": client_membio}


# --- driver


class Driver:
    """A client that does one thing for each line it reads."""

    def __init__(self, args):
        self.args, self.report, self.conn = args, Report(args.report), None

    def connect(self, sndbuf=0):
        self.conn = connect(self.args, self.report, int(sndbuf))
        return self.conn.local

    def talk(self, seed, size):
        talk(self.conn, pattern(seed, int(size)), CHUNK)

    def send(self, seed, size):
        self.conn.send(pattern(seed, int(size)))

    def recv(self, size):
        self.conn.recv_exactly(int(size))

    def nonblocking(self, seed, size):
        """Sends without blocking, answers "wait" at the first WANT_WRITE and goes on."""
        data, waits, tls = pattern(seed, int(size)), 0, self.conn.tls
        tls.setblocking(False)
        while data:
            try:
                count = tls.send(data)
                self.conn.sent.add(data[:count])
                data = data[count:]
            except ssl.SSLWantWriteError:
                waits += 1
                if waits == 1:
                    print("wait", flush=True)
                select.select([], [tls], [])
        tls.setblocking(True)
        return str(waits)

    def shut(self):
        """Ends the sending half underneath TLS: every later write fails."""
        socket.socket(fileno=os.dup(self.conn.tls.fileno())).shutdown(socket.SHUT_WR)

    def failing(self, size):
        failures = 0
        for _ in range(3):
            try:
                self.conn.tls.send(pattern("never", int(size)))
            except OSError:
                failures += 1
        return str(failures)

    def fork(self, seed, size):
        """A child uses the connection that its parent made; the parent waits."""
        self.conn.tell()
        child = os.fork()
        if child == 0:
            self.conn.sent, self.conn.received = Counter(), Counter()
            self.conn.reported = False
            talk(self.conn, pattern(seed, int(size)), CHUNK)
            self.conn.tell()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        return f"{child} {status}"

    def name(self, hexname):
        with open("/proc/self/comm", "wb") as file:
            file.write(bytes.fromhex(hexname))

    def exec(self):
        self.conn.tell()
        print("ok", flush=True)
        os.execv("/bin/cat", ["cat"])

    def close(self):
        self.conn.close()

    def reset(self):
        """Closes with a TCP reset."""
        self.conn.tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.conn.tls.close()

    def run(self):
        print("ready", flush=True)
        for line in sys.stdin:
            verb, *arguments = line.split()
            result = getattr(self, verb)(*arguments)
            print("ok" if result is None else f"ok {result}", flush=True)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["server", "client", "driver"])
    parser.add_argument("--do", default="talk")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", choices=sorted(VERSIONS))
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--report")
    parser.add_argument("--keylog")
    parser.add_argument("--body")
    parser.add_argument("--seed", default="seed")
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--chunk", type=int, default=CHUNK)
    parser.add_argument("--timed", action="store_true", help="say how long an upload took")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main():
    args = parse()
    if args.role == "server":
        server(args)
    elif args.role == "client":
        CLIENT[args.do](args, Report(args.report))
    else:
        Driver(args).run()


if __name__ == "__main__":
    main()
