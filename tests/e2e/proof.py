# SPDX-License-Identifier: Apache-2.0
"""Proof that a key log is right: tshark reads with it what tcpdump captured.

A Wire is a running tcpdump on loopback. Its streams() are the TCP connections to the tested ports
as tshark shows them, decrypted with cleartap's key log and nothing else.
"""
import collections
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import tempfile

from harness import (Case, Certificate, DEADLINE, HarnessError, STARTED, free_port, need, read_file,
                     wait_for, wait_listening)
from peer import VERSIONS

# Everything that the NSS key log format defines for TLS over TCP.
TLS12 = "CLIENT_RANDOM"
TLS13 = ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
         "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0", "EXPORTER_SECRET")
EARLY = ("CLIENT_EARLY_TRAFFIC_SECRET", "EARLY_EXPORTER_SECRET")
LABELS = (TLS12, *TLS13, *EARLY)

# KiB. At once means that each packet takes the room of the largest: this is for 512 of them.
BUFFER = 128 << 10

Line = collections.namedtuple("Line", "label random secret")


def parse_keylog(text, strict=True):
    """The lines of a key log. strict: one of cleartap's, where every line must be perfect."""
    lines = []
    if strict and text and not text.endswith(b"\n"):
        raise HarnessError(f"the last line is not complete: {text[-100:]}")
    for raw in text.decode("ascii").split("\n"):
        match = re.fullmatch(r"([A-Z0-9_]+) ([0-9a-f]{64}) ([0-9a-f]+)", raw)
        if match and match[1] in LABELS:
            lines.append(Line(*match.groups()))
        elif strict and raw:
            raise HarnessError(f"no line of a key log: {raw!r}")
    return lines


def check_keylog(path):
    """Everything that is true of every key log of cleartap; returns its lines."""
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode != 0o600:
        raise HarnessError(f"{path} has mode {mode:o}")
    lines = parse_keylog(read_file(path))
    lengths = collections.defaultdict(set)
    for line in lines:
        if line.label == TLS12 and len(line.secret) != 96:
            raise HarnessError(f"a master secret of a strange length: {line}")
        if line.label != TLS12:
            lengths[line.random].add(len(line.secret))
    for random, known in lengths.items():
        if len(known) != 1 or not known <= {64, 96}:
            raise HarnessError(f"secrets of {random} with the lengths {known}")
    names = [(line.label, line.random) for line in lines]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise HarnessError(f"more than once: {twice}")
    if any(len(set(line.secret)) == 1 for line in lines):
        raise HarnessError("a secret of one and the same digit")
    return lines


class Stream:
    """One TCP connection as tshark understands it."""

    def __init__(self, number, client_port, server_port):
        self.number, self.client_port, self.server_port = number, client_port, server_port
        self.randoms = []  # of the client, in hexadecimal; more than one after a renegotiation
        self.version = None  # "1.2" or "1.3"; None if the server did not want it
        self.sent, self.received = b"", b""  # by the client

    @property
    def random(self):
        return self.randoms[0]

    def __repr__(self):
        return (f"<stream {self.number} {self.client_port}->{self.server_port} TLS "
                f"{self.version} {self.random} sent {self.sent[:200]!r} "
                f"received {self.received[:200]!r}>")


class Wire:
    """tcpdump on loopback, for these ports. It captures when the constructor returns."""

    def __init__(self, case, *ports, interface="lo", prefix=()):
        need("tcpdump", "tshark")
        self.folder, self.ports = case.dir, ports
        self.pcap = tempfile.mktemp(prefix="wire-", suffix=".pcap", dir=case.dir)
        self.marks, self.mark_port, self.prefix = 0, free_port(), prefix
        only = " or ".join([f"udp port {self.mark_port}", *(f"tcp port {port}" for port in ports)])
        self.proc = case.start(*prefix, "tcpdump", "-i", interface, "-n", "-U", "-s", "0",
                               "--immediate-mode", "-B", str(BUFFER), "-Z", "root", "-w", self.pcap,
                               only)
        self.sync()

    def sync(self):
        """Returns when everything that happened before is in the file: packets keep their order."""
        self.marks += 1
        mark = f"mark {self.marks} of {self.mark_port}".encode()

        def fact():
            if self.proc.process.poll() is not None:
                raise HarnessError(f"tcpdump ended: {self.proc.messages()}")
            if os.path.exists(self.pcap) and mark in read_file(self.pcap):
                return True
            self.send(mark)
            return False
        wait_for(fact, "a packet in tcpdump's file")

    def send(self, mark):
        if self.prefix:  # tcpdump is in another network namespace
            subprocess.run([*self.prefix, "bash", "-c",
                            f"printf '{mark.decode()}' > /dev/udp/127.0.0.1/{self.mark_port}"],
                           check=False)
        else:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(mark, ("127.0.0.1", self.mark_port))

    def stop(self):
        self.sync()
        if self.proc.process.poll() is None:
            self.proc.process.send_signal(signal.SIGINT)
        self.proc.wait(None)
        if "\n0 packets dropped by kernel" not in self.proc.messages():
            raise HarnessError(f"tcpdump was too slow: {self.proc.messages()}")

    def tshark(self, *args, keylog=os.devnull):
        env = {**os.environ, "HOME": self.folder, "XDG_CONFIG_HOME": self.folder}  # no preferences
        argv = ["tshark", "-n", "-r", self.pcap, "-o", f"tls.keylog_file:{keylog}"]
        for port in self.ports:
            argv += ["-d", f"tcp.port=={port},tls"]
        run = subprocess.run([*argv, *args], env=env, stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=DEADLINE)
        if run.returncode:
            raise HarnessError(f"{argv + list(args)}: {run.stderr.decode()}")
        return run.stdout.decode()

    def handshakes(self, port=None, client_port=None, keylog=os.devnull):
        """The connections with a ClientHello, without their data; all, or those of some port."""
        streams = {}
        only = "(tls.handshake.type == 1 || tls.handshake.type == 2)"
        only += f" && tcp.port == {port}" if port else ""
        only += f" && tcp.port == {client_port}" if client_port else ""
        names = ("tcp.stream", "tcp.srcport", "tcp.dstport", "tls.handshake.type",
                 "tls.handshake.random", "tls.handshake.extensions.supported_version")
        fields = [word for name in names for word in ("-e", name)]
        for row in self.tshark("-Y", only, "-T", "fields", *fields, keylog=keylog).splitlines():
            number, source, target, kind, random, version = row.split("\t")
            if kind.split(",")[0] == "1":
                stream = streams.setdefault(number, Stream(number, int(source), int(target)))
                stream.randoms += random.replace(":", "").split(",")[:1]
            elif number in streams:
                streams[number].version = "1.3" if "0x0304" in version else "1.2"
        return list(streams.values())

    def streams(self, keylog, port=None, client_port=None):
        """The connections, decrypted with this key log."""
        streams = self.handshakes(port, client_port)
        wanted = [word for stream in streams
                  for word in ("-z", f"follow,tls,raw,{stream.number}")]
        text = self.tshark("-q", *wanted, keylog=keylog) if wanted else ""
        for stream in streams:
            match = re.search(rf"(?s)Filter: tcp\.stream eq {stream.number}\n(.*?)\n=====", text)
            if not match:
                raise HarnessError(f"tshark says nothing of {stream}: {text[:1000]}")
            first = re.search(r"(?m)^Node 0: .*:(\d+)$", match[1])
            for row in re.findall(r"(?m)^\t?[0-9a-f]+$", match[1]):
                by_first = row[0] != "\t"  # of the two ends, the one that sent something first
                if by_first == (int(first[1]) == stream.client_port):
                    stream.sent += bytes.fromhex(row)
                else:
                    stream.received += bytes.fromhex(row)
        return streams


def assert_same_lines(lines, truth, random, but=()):
    """What was found about one connection is exactly what another wrote about it."""
    found = {line for line in lines if line.random == random and line.label not in but}
    told = {line for line in truth if line.random == random and line.label not in but}
    if not told:
        raise HarnessError(f"the other key log does not know {random}")
    if found != told:
        raise HarnessError(f"missing: {told - found}; too much: {found - told}")


def exchange(port, request, answer, keylog, tls=None, session=None):
    """Sends something and waits for an answer; returns the session, which can be resumed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.keylog_filename = keylog
    if tls:
        context.minimum_version = context.maximum_version = VERSIONS[tls]
    resumed = session
    if resumed:
        context, session = resumed  # it belongs to its context
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
        with context.wrap_socket(sock, server_hostname="localhost", session=session) as conn:
            conn.sendall(request)
            data = b""
            while answer not in data:
                more = conn.recv(65536)
                if not more:
                    raise HarnessError(f"no answer, but {data}")
                data += more
            if resumed and not conn.session_reused:
                raise HarnessError("the session was not resumed")
            return context, conn.session


class Authority(Certificate):
    """A certificate with an issuer: browsers and others refuse one that is both."""

    _made = None

    def __init__(self):
        super().__init__()
        self._files = tempfile.TemporaryDirectory(prefix="cleartap-ca-")
        folder = self._files.name
        os.chmod(folder, 0o755)
        self.issuer, issuer_key = self.cert, self.key
        self.cert, self.key = f"{folder}/cert.pem", f"{folder}/key.pem"
        with open(f"{folder}/extensions", "w") as file:
            file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
                       "extendedKeyUsage=serverAuth\n")
        self.run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out",
                 f"{folder}/request", "-subj", "/CN=server")
        self.run("openssl", "x509", "-req", "-in", f"{folder}/request", "-CA", self.issuer,
                 "-CAkey", issuer_key, "-CAcreateserial", "-CAserial", f"{folder}/serial", "-days",
                 "2", "-out", self.cert, "-extfile", f"{folder}/extensions")

    @staticmethod
    def run(*argv):
        need(argv[0])
        run = subprocess.run(argv, capture_output=True, text=True)
        if run.returncode:
            raise HarnessError(f"{argv}: {run.stdout}{run.stderr}")


class AloneCase:
    """With ProofCase: every test has a scene and a cleartap of its own."""

    @classmethod
    def setUpClass(cls):
        Case.setUpClass.__func__(cls)

    @classmethod
    def tearDownClass(cls):
        pass

    def scene(self, prefix=()):
        self.set_scene(self, self, prefix)

    def keys(self, *args, **keywords):
        self.start_tap(self, self, *args, **keywords)

    def end(self):
        self.end_scene(self)


class ProofCase(Case):
    """The tests of a class share one cleartap, one tcpdump and one peer: starting costs the most.

    Only the programs under test may be tapped, not their peers, which know the same secrets; so
    each class says what to probe."""

    OTHERS_ON_WIRE = False  # do the programs connect to other places as well?
    LABELS = TLS13  # what a connection of TLS 1.3 has
    CERT = None  # a class of certificates, where that of all tests will not do
    NOT_MADE = ()  # labels that the library does not make and its peer does

    @classmethod
    def tap_args(cls):
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = Case()
        cls.addClassCleanup(cls.shared.doCleanups)
        cls.shared.setUp()
        cls.shared.cert = cls.CERT.get() if cls.CERT else cls.shared.cert
        cls.set_scene(cls, cls.shared)
        cls.start_tap(cls, cls.shared, *cls.tap_args())

    def fresh(self):
        super().fresh()
        self.cert = self.CERT.get() if self.CERT else self.cert

    @staticmethod
    def set_scene(target, case, prefix=()):
        """Everything but cleartap, as attributes of a class or of one of its tests.

        prefix: a command that runs others in a network namespace."""
        target.truth = case.path("truth")  # what the peers know
        target.keylog = case.path("keylog")
        target.peer, target.peer_port = case.peer_server("mark", "--keylog", target.truth,
                                                         prefix=prefix)
        # For clients that can't be told which version to take.
        target.peer12, target.peer12_port = case.peer_server("mark", "--keylog", target.truth,
                                                             "--tls", "1.2", prefix=prefix)
        target.server_port = free_port()  # for programs that serve
        target.wire = Wire(case, target.peer_port, target.peer12_port, target.server_port,
                           prefix=prefix)

    @staticmethod
    def start_tap(target, case, *args, subcommand="keys", **keywords):
        target.tap = case.tap("-k", target.keylog, *args, subcommand=subcommand, **keywords)

    @classmethod
    def tearDownClass(cls):
        cls.end_scene(cls)

    @staticmethod
    def end_scene(target):
        """Everything in the key log is of connections that there were."""
        capture = target.tap.stop()
        target.wire.stop()
        lines = check_keylog(target.keylog)
        if {(line.label, line.random) for line in lines} != \
                {(event["label"], event["client_random"]) for event in capture.secrets}:
            raise HarnessError("key log and JSON do not have the same secrets")
        known = {random for stream in target.wire.handshakes(keylog=target.keylog)
                 for random in stream.randoms}
        # Other programs of the machine may run the same files.
        ours = {event["client_random"] for event in capture.secrets if event["pid"] in STARTED}
        strangers = [line for line in lines if line.random in ours - known]
        if strangers and not target.OTHERS_ON_WIRE:
            raise HarnessError(f"lines of connections that never were: {strangers}")

    def mark(self):
        """A request and the answer that it must get, which nothing else has."""
        self.marks = getattr(self, "marks", 0) + 1
        word = f"{self._testMethodName.replace('_', '')}{self.marks}x{os.urandom(6).hex()}"
        return f"request-{word}.".encode(), f"answer-{word}.".encode()

    def ask(self, port, mark, tls=None, session=None):
        """A client of the tests' own, not tapped. Returns its session, for resumption."""
        request, answer = mark
        return exchange(port, b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (len(request), request), answer,
                        self.truth, tls, session)

    def lines(self):
        return check_keylog(self.keylog)

    def prove_server(self, server, versions):
        """A full and a resumed session with each version of TLS, at server_port."""
        wait_listening(server, self.server_port)
        marks, expected = [], []
        for tls in versions:
            session = None
            for _ in range(2):
                marks.append(self.mark())
                expected.append(tls)
                session = self.ask(self.server_port, marks[-1], tls, session)
        streams = self.prove(*marks, pid=server.pid, port=self.server_port)
        self.assertEqual([stream.version for stream in streams], expected)

    def prove(self, *marks, pid=None, truth=None, labels=None, tls=None, alone=(),
              **which):
        """tshark shows each request with its answer, and the lines are the very ones of the peer.

        pid: who must have been seen. truth: another key log, of the program itself. alone: labels
        of secrets that the program has and its peer does not."""
        labels = labels or self.LABELS
        self.wire.sync()

        def complete():
            known = collections.Counter(line.random for line in self.lines())
            return all(known[stream.random] >= (1 if stream.version == "1.2" else len(self.LABELS))
                       for stream in self.wire.handshakes(**which) if stream.version)
        try:
            wait_for(complete, "all lines", 5)
        except HarnessError:
            pass  # what tshark says now is the better message
        streams = self.wire.streams(self.keylog, **which)
        lines, proven = self.lines(), []
        for request, answer in marks:
            found = [stream for stream in streams
                     if request in stream.sent and answer in stream.received]
            if len(found) != 1:
                known = {line.random for line in lines}
                raise HarnessError(f"{request} is in {len(found)} decrypted connections of "
                                   f"{[(stream, stream.random in known) for stream in streams]}; "
                                   f"{self.tap.stderr()[-2000:]}")
            proven += found
        for stream in proven:
            self.prove_stream(stream, lines, pid, truth, labels, tls, alone)
        return proven

    def prove_stream(self, stream, lines, pid, truth, labels, tls, alone=()):
        seen = {line.label for line in lines if line.random == stream.random}
        self.assertEqual(seen, {TLS12} if stream.version == "1.2" else set(labels), stream)
        if tls:
            self.assertEqual(stream.version, tls)
        told = parse_keylog(read_file(self.truth), strict=False)
        labels = {line.label for line in told if line.random == stream.random}
        # Some libraries derive the early secrets with every resumption, others when they use them.
        unused = tuple(label for label in EARLY if label not in labels)
        assert_same_lines(lines, told, stream.random, self.NOT_MADE + unused + tuple(alone))
        if truth:
            assert_same_lines(lines, parse_keylog(read_file(truth), strict=False), stream.random)
        if pid:
            events = [event for event in self.tap.poll().secrets
                      if event["client_random"] == stream.random]
            self.assertEqual({event["pid"] for event in events}, {pid})
