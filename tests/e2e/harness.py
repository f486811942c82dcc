# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on: cleartap under test, what it captured, and processes.

Nothing here waits for a time. Everything waits for a fact (a byte on a descriptor, a listening
socket, a line in a file) with a deadline that is long enough for a slow machine.
"""
import base64
import hashlib
import ipaddress
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("CLEARTAP_BUILD", os.path.join(ROOT, "build"))
CLEARTAP = os.path.join(BUILD, "cleartap")
PYTHON = "/usr/bin/python3"  # Debian's, which uses the system's libssl
PEER = os.path.join(HERE, "peer.py")
DEADLINE = 120  # seconds; only a hang comes near it
STARTED = set()  # the pids of all processes that the tests started
KEEP = 8 << 20  # bytes of a stream that are kept for looking at; the rest is only hashed


class HarnessError(AssertionError):
    """A fact that never came, or a program that could not do its part: the test fails."""


def wait_for(fact, what, deadline=DEADLINE):
    """Polls until fact() is true and returns its value."""
    end = time.monotonic() + deadline
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > end:
            raise HarnessError(f"waited {deadline} s for {what}")
        time.sleep(0.01)


def need(*programs):
    """A test without its program fails; it is not skipped."""
    for program in programs:
        if not shutil.which(program):
            raise HarnessError(f"{program} is not installed: run `make deps`")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def write_file(path, data):
    with open(path, "wb") as file:
        file.write(data)


# --- addresses


def address(text):
    """ADDR:PORT as a pair that can be compared; a v4-mapped address is the IPv4 one."""
    if text is None:
        return None
    host, port = text.rsplit(":", 1)
    ip = ipaddress.ip_address(host.strip("[]"))
    return (getattr(ip, "ipv4_mapped", None) or ip, int(port))


# --- what was captured


class Stream:
    """One direction of one connection, put together again."""

    def __init__(self):
        self.length = 0  # bytes handled: captured and in gaps
        self.captured = 0
        self.gaps = []  # (offset, len, reason)
        self.data = bytearray()  # the first KEEP captured bytes
        self.tids = set()
        self._sha = hashlib.sha256()

    def add(self, payload):
        self.length += len(payload)
        self.captured += len(payload)
        self._sha.update(payload)
        if len(self.data) < KEEP:
            self.data += payload

    def add_gap(self, length, reason):
        self.gaps.append((self.length, length, reason))
        self.length += length

    @property
    def gap_bytes(self):
        return sum(length for _, length, _ in self.gaps)

    @property
    def sha256(self):
        return self._sha.hexdigest()


class Conn:
    """One connection as one process sees it."""

    def __init__(self, number, event):
        self.number = number
        self.pid = event["pid"]
        self.open = event if event["type"] == "open" else None
        self.close = None
        self.comms, self.exes = set(), set()
        self.locals, self.remotes = set(), set()
        self.sent, self.received = Stream(), Stream()

    def stream(self, direction):
        return {"out": self.sent, "in": self.received}[direction]

    @property
    def local(self):
        return address(next(iter(self.locals), None))

    @property
    def remote(self):
        return address(next(iter(self.remotes), None))

    @property
    def ours(self):
        """Is it a process of this test run?"""
        parent = (self.open or {}).get("ppid")
        return self.pid in STARTED or parent in STARTED or parent == os.getpid()

    def truth(self):
        """In the form of peer.py's reports."""
        return {"pid": self.pid, "sent": (self.sent.length, self.sent.sha256),
                "received": (self.received.length, self.received.sha256)}

    def __repr__(self):
        return (f"<conn {self.number} pid {self.pid} {self.comms} {self.locals}->{self.remotes} "
                f"out {self.sent.length} in {self.received.length}>")


class Capture:
    """Everything in a --json output, checked against the rules of cleartap-events(5)."""

    TYPES = {"open", "data", "gap", "close", "secret", "stats"}
    REASONS = {"ring-full", "fault", "sendfile", "untracked"}

    def __init__(self):
        self.conns = {}
        self.problems = []
        self.stats = None
        self.events = 0
        self.untracked = []  # gaps that belong to no connection
        self.secrets = []
        self.nameless = False  # was there an event without tid or comm?
        self.status = None
        self.stderr = ""

    def problem(self, text, event):
        if len(self.problems) < 20:
            short = {key: value for key, value in event.items() if key not in ("text", "base64")}
            self.problems.append(f"{text}: {short}")

    def feed(self, line):
        event = json.loads(line)
        self.events += 1
        if self.stats is not None:
            self.problem("event after stats", event)
        if event.get("type") not in self.TYPES:
            return self.problem("unknown type", event)
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d)",
                            event.get("time", "")):
            self.problem("time is not RFC 3339 with nanoseconds", event)
        if event["type"] == "stats":
            return self.feed_stats(event)
        if event["type"] == "gap" and "conn" not in event:
            return self.untracked.append(event)
        for field in ("pid", "conn"):
            if field not in event:
                return self.problem(f"no {field}", event)
        self.nameless |= not {"tid", "comm"} <= event.keys()
        if event["type"] == "secret":
            return self.feed_secret(event)
        conn = self.conns.get(event["conn"])
        if conn is None:
            conn = self.conns[event["conn"]] = Conn(event["conn"], event)
            if event["type"] != "open":
                self.problem("first event of a connection is not open", event)
        elif event["type"] == "open":
            self.problem("second open", event)
        self.feed_conn(conn, event)
        return None

    def feed_secret(self, event):
        """May come before the connection's open, or without one."""
        self.secrets.append(event)
        if not re.fullmatch(r"[A-Z0-9_]+", event.get("label", "")):
            self.problem("strange label", event)
        if not re.fullmatch(r"[0-9a-f]{64}", event.get("client_random", "")):
            self.problem("strange client random", event)
        lengths = (48,) if event.get("label") == "CLIENT_RANDOM" else (32, 48)
        if not re.fullmatch(r"[0-9a-f]+", event.get("secret", "")) or \
                len(event["secret"]) not in [2 * length for length in lengths]:
            self.problem("strange secret", event)
        names = ("conn", "label", "client_random")
        if [event[name] for name in names] in [[other[name] for name in names]
                                               for other in self.secrets[:-1]]:
            self.problem("the same secret twice", event)

    def feed_stats(self, event):
        """The sums at the end are those of the events."""
        self.stats = event
        streams = [(name, conn.stream(name)) for conn in self.conns.values()
                   for name in ("in", "out")]
        seen = {
            "events": self.events - 1,
            "connections": len(self.conns),
            "bytes_in": sum(stream.captured for name, stream in streams if name == "in"),
            "bytes_out": sum(stream.captured for name, stream in streams if name == "out"),
            "secrets": len(self.secrets),
            "gap_bytes": self.gap_bytes + sum(gap["len"] for gap in self.untracked),
        }
        for name, value in seen.items():
            if event.get(name) != value:
                self.problem(f"stats say {name} {event.get(name)}, seen {value}", event)

    def feed_conn(self, conn, event):
        if conn.close is not None:
            self.problem("event after close", event)
        if event["pid"] != conn.pid:
            self.problem("pid of a connection changes", event)
        conn.comms.add(event.get("comm"))
        conn.exes.add(event.get("exe"))
        for name, known in (("local", conn.locals), ("remote", conn.remotes)):
            if name in event:
                known.add(event[name])
                if address(event[name])[0].is_unspecified:
                    self.problem("unspecified address", event)
            if len(known) > 1:
                self.problem(f"{name} changes", event)
        if event["type"] in ("data", "gap"):
            self.feed_bytes(conn, event)
        elif event["type"] == "close":
            conn.close = event
            for name, stream in (("out", conn.sent), ("in", conn.received)):
                if event.get(name) != stream.length:
                    self.problem(f"close says {name} {event.get(name)}, seen {stream.length}",
                                 event)

    def feed_bytes(self, conn, event):
        stream = conn.stream(event["dir"])
        stream.tids.add(event.get("tid"))
        if event["offset"] != stream.length:
            self.problem(f"offset is not {stream.length}", event)
        if event["type"] == "gap":
            if event.get("reason") not in self.REASONS or event["len"] <= 0:
                self.problem("strange gap", event)
            return stream.add_gap(event["len"], event.get("reason"))
        if ("text" in event) == ("base64" in event):
            return self.problem("not exactly one of text and base64", event)
        if "text" in event:
            payload = event["text"].encode()
            if any(byte < 32 and byte not in b"\t\r\n" or byte == 127 for byte in payload):
                self.problem("control byte in text", event)
        else:
            payload = base64.b64decode(event["base64"], validate=True)
        if len(payload) != event["len"]:
            self.problem(f"payload has {len(payload)} bytes", event)
        return stream.add(payload)

    # Looking at it

    def of(self, pid):
        return [conn for conn in self.conns.values() if conn.pid == pid]

    @property
    def pids(self):
        """Those of this test run; other programs of the machine are tapped as well."""
        return {conn.pid for conn in self.conns.values() if conn.ours}

    @property
    def lost_reasons(self):
        return {reason for conn in self.conns.values() for stream in (conn.sent, conn.received)
                for _, _, reason in stream.gaps}

    def only_others_lost(self):
        """Were programs that are no part of the tests in the middle of their own calls?

        What is under way when cleartap attaches can't be captured and makes exit status 5. On a
        quiet machine there are no such programs, and then nothing is excused."""
        others = [conn for conn in self.conns.values() if not conn.ours]
        lost = [conn for conn in self.conns.values()
                if conn.ours and (conn.sent.gaps or conn.received.gaps)]
        return bool(others) and not lost

    @property
    def gap_bytes(self):
        return sum(conn.sent.gap_bytes + conn.received.gap_bytes for conn in self.conns.values())


# --- cleartap


class Tap:
    """One run of cleartap. Ready when the constructor returns."""

    def __init__(self, folder, *args, command=(), env=None, ring=None, wait=True, stdin=None,
                 subcommand="tls"):
        fd, self.output = tempfile.mkstemp(prefix="tap-", suffix=".json", dir=folder)
        os.close(fd)
        os.unlink(self.output)  # cleartap makes it
        self.errors = self.output + ".err"
        self.capture = Capture()
        self._file, self._rest = None, b""
        reader, writer = os.pipe()
        argv = [CLEARTAP, subcommand, "--json", "-o", self.output, "--ready-fd", str(writer)]
        argv += ["--ring", ring] if ring else []
        argv += list(args) + (["--", *command] if command else [])
        try:
            with open(self.errors, "wb") as errors:
                self.process = subprocess.Popen(argv, pass_fds=[writer], stderr=errors, env=env,
                                                stdin=stdin, stdout=subprocess.DEVNULL)
            STARTED.add(self.process.pid)
        except OSError as error:
            os.close(reader)
            raise HarnessError(f"{CLEARTAP}: {error.strerror}: build it first") from error
        finally:
            os.close(writer)
        try:
            if wait:
                self.wait_ready(reader)
        finally:
            os.close(reader)

    def wait_ready(self, reader):
        readable, _, _ = select.select([reader], [], [], DEADLINE)
        if not readable or not os.read(reader, 1):
            self.kill()
            raise HarnessError(f"cleartap did not get ready: {self.stderr()}")

    @property
    def pid(self):
        return self.process.pid

    def stderr(self):
        return read_file(self.errors).decode(errors="replace")

    def poll(self):
        """Takes what was written since the last time; returns the capture so far."""
        if self._file is None:
            try:
                self._file = open(self.output, "rb")
            except FileNotFoundError:
                return self.capture
        while True:
            block = self._file.read(1 << 22)
            if not block:
                return self.capture
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                self.capture.feed(line)

    def wait_capture(self, fact, what):
        wait_for(lambda: fact(self.poll()), what)

    def stop(self, status=0):
        """Ends it as Ctrl-C does; returns the capture, complete and checked."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.finish(status)

    def finish(self, status=0):
        """Waits until it ends by itself."""
        try:
            code = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise HarnessError("cleartap did not end") from error
        capture = self.poll()
        if self._file:
            self._file.close()
            self._file = None
        capture.status, capture.stderr = code, self.stderr()
        if self._rest:
            capture.problems.append(f"last line is not complete: {self._rest[:80]}")
        if capture.stats is None:
            capture.problems.append("no stats at the end")
        if capture.nameless and "ring-full" not in capture.lost_reasons:
            # Only where records were lost may it be unknown who it was.
            capture.problems.append("an event has no tid or comm")
        if status == 0 and code == 5 and capture.only_others_lost():
            code = 0
        if capture.problems or (status is not None and code != status):
            raise HarnessError(f"exit status {code}, expected {status}; problems: "
                               f"{capture.problems}; stderr: {capture.stderr}")
        return capture

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self._file:
            self._file.close()
            self._file = None


# --- other processes


class Proc:
    """A program in the background, its output in files. Ended by pid, with its children."""

    def __init__(self, folder, *argv, stdin=subprocess.DEVNULL, env=None, cwd=None, stdout=None):
        need(argv[0])
        name = os.path.basename(argv[0])
        fd, self.log = tempfile.mkstemp(prefix=f"{name}-", suffix=".log", dir=folder)
        self.out = self.log + ".out"
        with open(fd, "wb") as log, open(self.out, "wb") as out:
            self.process = subprocess.Popen(argv, stdin=stdin, stdout=stdout or out, stderr=log,
                                            env=env, cwd=cwd)

        STARTED.add(self.process.pid)

    @property
    def pid(self):
        return self.process.pid

    @property
    def stdin(self):
        return self.process.stdin

    def output(self):
        return read_file(self.out)

    def messages(self):
        return read_file(self.log).decode(errors="replace")

    def wait(self, status=0):
        try:
            code = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise HarnessError(f"{self.process.args} did not end: {self.messages()}") from error
        if status is not None and code != status:
            raise HarnessError(f"{self.process.args} ended with {code}: {self.messages()}")
        return code

    def kill(self):
        """For a test that wants a sudden death; the others call stop()."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def stop(self):
        family = children_of(self.pid) + [self.pid] if self.process.poll() is None else []
        if self.process.stdin:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        if self.process.stdout:
            self.process.stdout.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid, start in [(pid, start_time(pid)) for pid in family]:
            # Workers end with their master; those of a killed one do not.
            if start and start == START_TIMES.get(pid):
                os.kill(pid, signal.SIGKILL)


START_TIMES = {}  # of children seen, so that a pid used again is never hit


def start_time(pid):
    try:
        return read_file(f"/proc/{pid}/stat").rsplit(b")", 1)[1].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def children_of(pid):
    """All descendants, the youngest first."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in read_file(f"/proc/{pid}/task/{task}/children").split():
                found = children_of(int(child)) + [int(child)] + found
                START_TIMES[int(child)] = start_time(int(child))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def free_port():
    import socket
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def listening(port):
    wanted = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        with open(f"/proc/net/{table}") as file:
            for line in file:
                fields = line.split()
                if fields[3] == "0A" and fields[1].endswith(wanted):
                    return True
    return False


def wait_listening(proc, port):
    def fact():
        if proc.process.poll() is not None:
            raise HarnessError(f"{proc.process.args} ended: {proc.messages()}")
        return listening(port)
    wait_for(fact, f"a listening socket on port {port}")


# --- a test case with a folder, a certificate and programs that end with it


class Certificate:
    """Self-signed, for localhost; made once in a run."""

    _made = None

    @classmethod
    def get(cls):
        if cls._made is None:
            cls._made = cls()
        return cls._made

    def __init__(self):
        need("openssl")
        self._folder = tempfile.TemporaryDirectory(prefix="cleartap-cert-")
        folder = self._folder.name
        os.chmod(folder, 0o755)  # clients of other users check the certificate as well
        self.cert, self.key = f"{folder}/cert.pem", f"{folder}/key.pem"
        self.both = f"{folder}/both.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out",
                        self.cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"],
                       check=True, capture_output=True)
        write_file(self.both, read_file(self.key) + read_file(self.cert))
        os.chmod(self.both, 0o600)


class Driver:
    """peer.py as a driver: does one thing at a time, when the test says so."""

    def __init__(self, proc):
        self.proc, self.pid = proc, proc.pid
        self.answer("ready")

    def answer(self, expected):
        readable, _, _ = select.select([self.proc.process.stdout], [], [], DEADLINE)
        line = self.proc.process.stdout.readline().decode().strip() if readable else ""
        if not line.startswith(expected):
            raise HarnessError(f"driver said {line!r}, not {expected!r}: {self.proc.messages()}")
        return line[len(expected):].strip()

    def tell(self, *words):
        self.proc.stdin.write((" ".join(str(word) for word in words) + "\n").encode())
        self.proc.stdin.flush()

    def do(self, *words):
        self.tell(*words)
        return self.answer("ok")


class Case(unittest.TestCase):
    """A folder, a certificate, a report file; ends every process it started."""

    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise HarnessError("the end-to-end tests need root: sudo make check")

    def setUp(self):
        self.fresh()

    def fresh(self):
        """A new empty folder and report; a test that does a thing several times calls it again."""
        folder = tempfile.TemporaryDirectory(prefix="cleartap-test-")
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        os.chmod(self.dir, 0o755)
        self.cert = Certificate.get()
        self.report = f"{self.dir}/report"
        write_file(self.report, b"")

    def path(self, name, data=None):
        path = os.path.join(self.dir, name)
        if data is not None:
            write_file(path, data)
        return path

    def tap(self, *args, **keywords):
        tap = Tap(self.dir, *args, **keywords)
        self.addCleanup(tap.kill)
        return tap

    def start(self, *argv, **keywords):
        proc = Proc(self.dir, *argv, **keywords)
        self.addCleanup(proc.stop)
        return proc

    def run_program(self, *argv, status=0, **keywords):
        """Runs a program to its end; returns the Proc."""
        proc = self.start(*argv, **keywords)
        proc.wait(status)
        return proc

    # Python peers

    def peer_server(self, do="echo", *args, host="127.0.0.1", prefix=()):
        """Returns (process, port)."""
        proc = self.start(*prefix, PYTHON, PEER, "server", "--do", do, "--host", host, "--cert",
                          self.cert.cert, "--key", self.cert.key, "--report", self.report, *args)

        def port():
            if proc.process.poll() is not None:
                raise HarnessError(f"peer ended: {proc.messages()}")
            match = re.match(rb"port (\d+)\n", proc.output())
            return match and int(match.group(1))
        return proc, wait_for(port, "the peer's port")

    def peer_client(self, port, do="talk", *args, **keywords):
        return self.start(PYTHON, PEER, "client", "--do", do, "--port", str(port), "--report",
                          self.report, *args, **keywords)

    def driver(self, port, *args):
        proc = self.start(PYTHON, PEER, "driver", "--port", str(port), "--report", self.report,
                          *args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return Driver(proc)

    def reports(self, count):
        """Waits for that many finished connections; returns them."""
        def fact():
            lines = read_file(self.report).split(b"\n")
            return lines[:-1] if len(lines) > count else None
        lines = wait_for(fact, f"{count} reports")
        self.assertEqual(len(lines), count)
        return [json.loads(line) for line in lines]

    def assert_reports(self, capture, reports, addresses=True):
        """Captured = told by the peers: each connection, each byte, and no connection more."""
        def key(item):
            return (item["pid"], *item["sent"], *item["received"])

        def with_addresses(item, local, remote):
            return key(item) + ((address(local), address(remote)) if addresses else ())
        told, seen = [], []
        for report in reports:
            item = {"pid": report["pid"],
                    "sent": (report["sent"]["len"], report["sent"]["sha256"]),
                    "received": (report["received"]["len"], report["received"]["sha256"])}
            told.append(with_addresses(item, report["local"], report["remote"]))
        pids = {report["pid"] for report in reports}
        for conn in capture.conns.values():
            if conn.pid in pids:
                seen.append(with_addresses(conn.truth(), next(iter(conn.locals), None),
                                           next(iter(conn.remotes), None)))
        self.assertEqual(sorted(map(str, seen)), sorted(map(str, told)))

    def only(self, conns):
        """The one connection of a list."""
        self.assertEqual(len(conns), 1, conns)
        return conns[0]

    def assert_addresses(self, conn, local, remote):
        self.assertEqual((conn.local, conn.remote), (address(local), address(remote)))

    def assert_mirrored(self, one, other):
        """Two ends of one connection saw the same bytes and each other's address."""
        self.assertEqual(one.sent.sha256, other.received.sha256)
        self.assertEqual(one.received.sha256, other.sent.sha256)
        self.assertEqual((one.local, one.remote), (other.remote, other.local))
        self.assertIsNotNone(one.local)
        self.assertIsNotNone(one.remote)
