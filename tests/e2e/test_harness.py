# SPDX-License-Identifier: Apache-2.0
"""The harness itself: a checker that accepts everything would make every other test green."""
import json
import unittest

from harness import Capture, address, sha256
from peer import pattern
from servers import traced
from harness import Case

TIME = "2026-01-02T03:04:05.000000006Z"


def event(kind, **fields):
    return {"type": kind, "time": TIME, "pid": 7, "tid": 7, "comm": "x", "exe": "/x", "conn": 1,
            **fields}


def stats(**fields):
    sums = {"events": 5, "connections": 1, "bytes_in": 3, "bytes_out": 2, "gap_bytes": 4,
            "secrets": 0}
    return {"type": "stats", "time": TIME, **sums, **fields}


GOOD = [
    event("open", ppid=1),
    event("data", dir="out", offset=0, len=2, text="hi", local="127.0.0.1:1", remote="[::1]:2"),
    event("data", dir="in", offset=0, len=3, base64="AAEC"),
    event("gap", dir="in", offset=3, len=4, reason="ring-full"),
    event("close", reason="freed", **{"in": 7, "out": 2}),
    stats(),
]


class Checker(unittest.TestCase):

    def capture(self, events):
        capture = Capture()
        for item in events:
            capture.feed(json.dumps(item))
        return capture

    def test_good(self):
        capture = self.capture(GOOD)
        self.assertEqual(capture.problems, [])
        conn = capture.conns[1]
        self.assertEqual((conn.received.length, conn.received.captured), (7, 3))
        self.assertEqual(conn.received.gaps, [(3, 4, "ring-full")])
        self.assertEqual(conn.sent.sha256, sha256(b"hi"))
        self.assertEqual(bytes(conn.received.data), b"\0\1\2")
        self.assertEqual(conn.remote, address("[::1]:2"))

    def test_bad(self):
        """Each of these changes must be noticed."""
        changes = {
            "type": (1, {"type": "dada"}),
            "time": (1, {"time": "2026-01-02T03:04:05Z"}),
            "pid": (2, {"pid": 8}),
            "hole": (2, {"offset": 1}),
            "length": (2, {"len": 2}),
            "both payloads": (1, {"base64": "aGk="}),
            "control byte": (1, {"text": "h\x1b"}),
            "reason": (3, {"reason": "bad luck"}),
            "overlap": (3, {"offset": 2}),
            "close in": (4, {"in": 8}),
            "close out": (4, {"out": 3}),
            "unspecified address": (1, {"local": "0.0.0.0:0"}),
            "second open": (1, {"type": "open"}),
            "stats": (5, {"bytes_in": 2}),
            "stats of gaps": (5, {"gap_bytes": 0}),
            "events": (5, {"events": 6}),
            "secrets": (5, {"secrets": 1}),
        }
        for name, (index, change) in changes.items():
            with self.subTest(name=name):
                events = [dict(item) for item in GOOD]
                events[index].update(change)
                self.assertNotEqual(self.capture(events).problems, [])

    SECRET = event("secret", label="CLIENT_RANDOM", client_random="0a" * 32, secret="1b" * 48)

    def test_good_secrets(self):
        """Before the connection opens, or of one that never does."""
        other = {**self.SECRET, "conn": 2, "label": "EXPORTER_SECRET", "secret": "1b" * 32}
        capture = self.capture([self.SECRET, *GOOD[:5], other, stats(events=7, secrets=2)])
        self.assertEqual(capture.problems, [])
        self.assertEqual(capture.secrets, [self.SECRET, other])

    def test_bad_secrets(self):
        for change in ({"label": "client_random"}, {"client_random": "0a" * 31},
                       {"client_random": "0A" * 32}, {"secret": "1b" * 32}, {"secret": ""},
                       {"secret": "1B" * 48}, {"label": "EXPORTER_SECRET", "secret": "1b" * 64}):
            with self.subTest(change=change):
                self.assertNotEqual(self.capture([{**self.SECRET, **change}]).problems, [])
        self.assertNotEqual(self.capture([self.SECRET, self.SECRET]).problems, [])

    def test_bad_order(self):
        for name, order in (("open later", [1, 0, 2, 3, 4, 5]), ("data twice", [0, 1, 1, 2, 3, 4]),
                            ("gap missing", [0, 1, 2, 4, 5]), ("data after close", [0, 4, 1, 2, 3]),
                            ("stats first", [5, 0, 1, 2, 3, 4])):
            with self.subTest(name=name):
                self.assertNotEqual(self.capture([GOOD[index] for index in order]).problems, [])

    def test_mapped_address(self):
        self.assertEqual(address("[::ffff:127.0.0.1]:5"), address("127.0.0.1:5"))
        self.assertNotEqual(address("127.0.0.1:5"), address("127.0.0.1:6"))

    def test_pattern(self):
        self.assertEqual(pattern("a", 3000000)[:100], pattern("a", 2000000)[:100])
        self.assertNotEqual(pattern("a", 100), pattern("b", 100))
        self.assertEqual(len(pattern("a", 3000001)), 3000001)
        self.assertEqual(pattern("a", 0), b"")


class Reports(Case):

    REPORT = {"pid": 7, "local": "127.0.0.1:1", "remote": "[::1]:2",
              "sent": {"len": 2, "sha256": sha256(b"hi")},
              "received": {"len": 0, "sha256": sha256(b"")}}

    def capture(self):
        capture = Capture()
        for item in GOOD[:2]:
            capture.feed(json.dumps(item))
        return capture

    def test_equal(self):
        self.assert_reports(self.capture(), [self.REPORT])

    def test_different(self):
        for change in ({"pid": 8}, {"local": "127.0.0.1:9"},
                       {"sent": {"len": 2, "sha256": sha256(b"ho")}},
                       {"received": {"len": 1, "sha256": sha256(b"x")}}):
            with self.subTest(change=change), self.assertRaises(AssertionError):
                self.assert_reports(self.capture(), [{**self.REPORT, **change}])
        with self.assertRaises(AssertionError):
            self.assert_reports(self.capture(), [self.REPORT, self.REPORT])

    def test_curl_trace(self):
        text = ("== Info: x\n=> Send header, 20 bytes (0x14)\n"
                "0000: 47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a GET / HTTP/1.1..\n"
                "0010: 0d 0a 41 42                                     ..AB\n"
                "=> Send SSL data, 1 bytes (0x1)\n0000: 01 " + " " * 45 + ".\n"
                "<= Recv data, 2 bytes (0x2)\n0000: ff 00 " + " " * 42 + "..\n")
        path = self.path("trace", text.encode())
        self.assertEqual(traced(path, "=> Send"), b"GET / HTTP/1.1\r\n\r\nAB")
        self.assertEqual(traced(path, "<= Recv"), b"\xff\0")


if __name__ == "__main__":
    unittest.main()
