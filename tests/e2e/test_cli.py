# SPDX-License-Identifier: Apache-2.0
"""The command line, errors, output files, privileges, and that nothing stays behind."""
import os
import pty
import re
import select
import shutil
import signal
import stat
import subprocess
import time
import unittest

import harness
from clients import build
from harness import CLEARTAP, Case, read_file, wait_for
import servers

LIBSSL = "/usr/lib/x86_64-linux-gnu/libssl.so.3"
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
CAP_SYS_ADMIN = 1 << 21


class Cli(Case):

    def cleartap(self, *args, prefix=(), binary=CLEARTAP, **keywords):
        return subprocess.run([*prefix, binary, *args], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=30, check=False,
                              **keywords)

    def assert_refused(self, status, words, *args, **keywords):
        """The right status; one clear sentence with the given words; nothing on stdout."""
        try:
            run = self.cleartap(*args, **keywords)
        except subprocess.TimeoutExpired:
            self.fail(f"not refused: {args}")
        self.assertEqual((run.returncode, run.stdout), (status, ""), run.stderr)
        lines = run.stderr.splitlines()
        self.assertEqual(len(lines), 1, run.stderr)
        self.assertTrue(lines[0].startswith("cleartap: "), lines[0])
        for word in words:
            self.assertIn(word, lines[0])
        self.assertNotIn("libbpf", run.stderr)

    def exchange(self, path="short", files=None):
        """curl from nginx; returns what curl printed."""
        proc, port = servers.nginx(self, files)
        return self.run_program("curl", "-sSk", "--http1.1",
                                f"https://127.0.0.1:{port}/{path}").output()

    def text_tap(self, *args, stdout=None, **keywords):
        """cleartap with text output; returns the process when it is ready."""
        reader, writer = os.pipe()
        process = subprocess.Popen([CLEARTAP, "tls", "--ready-fd", str(writer), *args],
                                   stdin=subprocess.DEVNULL, stdout=stdout or subprocess.PIPE,
                                   stderr=subprocess.PIPE, pass_fds=[writer], **keywords)
        os.close(writer)
        self.addCleanup(self.end, process)
        readable, _, _ = select.select([reader], [], [], harness.DEADLINE)
        ready = readable and os.read(reader, 1)
        os.close(reader)
        if not ready:
            process.kill()
            self.fail(process.communicate()[1].decode())
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


class Usage(Cli):

    def test_help(self):
        for args in (["--help"], ["tls", "--help"], ["doctor", "--help"]):
            with self.subTest(args=args):
                run = self.cleartap(*args)
                self.assertEqual((run.returncode, run.stderr), (0, ""))
                self.assertIn("cleartap", run.stdout)
        for option in ("--json", "--hex", "--libssl", "--pid", "--children", "--uid", "--comm",
                       "--exe", "--duration", "--ring", "--ready-fd"):
            self.assertIn(option, self.cleartap("tls", "--help").stdout)

    def test_version(self):
        run = self.cleartap("--version")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertRegex(run.stdout, r"^cleartap \d+\.\d+")

    def test_no_arguments(self):
        run = self.cleartap()
        self.assertEqual((run.returncode, run.stdout), (2, ""))
        self.assertIn("cleartap", run.stderr)

    def test_bad_options(self):
        for args, words in (
                (["--nonsense"], ["nonsense"]),
                (["nonsense"], ["nonsense"]),
                (["tls", "--nonsense"], ["nonsense"]),
                (["tls", "-Z"], ["Z"]),
                (["tls", "argument"], ["argument"]),
                (["tls", "--pid"], ["pid"]),
                (["tls", "--pid", "abc"], ["pid", "abc"]),
                (["tls", "--pid", "-1"], ["pid", "-1"]),
                (["tls", "--pid", "0"], ["pid", "0"]),
                (["tls", "--pid", "99999999999999999999"], ["pid"]),
                (["tls", "--pid", "12x"], ["pid", "12x"]),
                (["tls", "--uid", "x"], ["uid"]),
                (["tls", "--uid", "-1"], ["uid"]),
                (["tls", "--comm", ""], ["comm"]),
                (["tls", "--comm", "longer-than-sixteen"], ["comm"]),
                (["tls", "--duration", "x"], ["duration"]),
                (["tls", "--duration", "-5"], ["duration"]),
                (["tls", "--ring", "12Q"], ["ring"]),
                (["tls", "--ring", "0"], ["ring"]),
                (["tls", "--ring", "999999G"], ["ring"]),
                (["tls", "--ready-fd", "x"], ["ready-fd"]),
                (["tls", "--ready-fd", "777"], ["ready-fd"]),
                (["tls", "--children"], ["children"]),
                (["tls", "--json", "--hex"], ["hex", "json"]),
                (["tls", "--"], []),
        ):
            with self.subTest(args=args):
                self.assert_refused(2, words, *args)

    def test_doctor(self):
        run = self.cleartap("doctor")
        self.assertEqual(run.returncode, 0, run.stderr)
        for word in ("uprobe", "ring", "BTF", "libssl.so.3"):
            self.assertIn(word.lower(), run.stdout.lower())

    def test_doctor_without_privileges(self):
        """It says what is missing, and that is its answer, not its failure to answer."""
        run = self.cleartap("doctor", prefix=NOBODY, binary=self.public_binary())
        self.assertEqual(run.returncode, 3, run.stderr)
        self.assertRegex(run.stdout, "(?i)not permitted|root")

    def public_binary(self):
        """A copy that everybody may execute, wherever the tree lies."""
        path = shutil.copy(CLEARTAP, self.path("cleartap"))
        os.chmod(path, 0o755)
        return path


class Errors(Cli):

    def test_not_root(self):
        binary = Usage.public_binary(self)
        self.assert_refused(3, ["root"], "tls", prefix=NOBODY, binary=binary)

    def test_no_such_library(self):
        self.assert_refused(4, ["/no/such/libssl.so.3"], "tls", "--libssl", "/no/such/libssl.so.3")

    def test_not_an_elf_file(self):
        path = self.path("text", b"this is not a library\n")
        self.assert_refused(4, [path, "ELF"], "tls", "--libssl", path)

    def test_empty_and_broken_files(self):
        head = read_file(LIBSSL)[:4096]
        for name, data in (("empty", b""), ("short", head[:20]), ("cut", head)):
            with self.subTest(name=name):
                path = self.path(name, data)
                self.assert_refused(4, [path], "tls", "--libssl", path)

    def test_a_library_without_tls(self):
        self.assert_refused(4, ["libcrypto"], "tls", "--libssl",
                            "/usr/lib/x86_64-linux-gnu/libcrypto.so.3")

    def test_stripped_static_binary(self):
        path = build("sslprog-stripped")
        self.assert_refused(4, [path], "tls", "--libssl", path)

    def test_directory_as_library(self):
        self.assert_refused(4, [self.dir], "tls", "--libssl", self.dir)

    def test_device_as_library(self):
        """A device or a pipe is not waited for."""
        os.mkfifo(self.path("pipe"))
        for path in ("/dev/zero", self.path("pipe")):
            with self.subTest(path=path):
                self.assert_refused(4, [path], "tls", "--libssl", path)

    def test_dead_pid(self):
        process = subprocess.Popen(["true"])
        process.wait()
        self.assert_refused(4, [str(process.pid)], "tls", "--pid", str(process.pid))

    def test_no_such_directory_for_output(self):
        self.assert_refused(1, ["/no/such/directory/file"], "tls", "-o", "/no/such/directory/file")


class Output(Cli):

    def test_mode_0600(self):
        old = os.umask(0)
        try:
            tap = self.tap()
        finally:
            os.umask(old)
        mode = os.stat(tap.output).st_mode
        tap.stop()
        self.assertEqual(stat.S_IMODE(mode), 0o600)

    def test_symbolic_link_is_refused(self):
        target = self.path("target", b"precious\n")
        link = self.path("link")
        os.symlink(target, link)
        self.assert_refused(1, [link], "tls", "-o", link)
        self.assertEqual(read_file(target), b"precious\n")

    def test_dangling_link_is_refused(self):
        link = self.path("link")
        os.symlink(self.path("target"), link)
        self.assert_refused(1, [link], "tls", "-o", link)
        self.assertFalse(os.path.exists(self.path("target")))

    def test_existing_file_becomes_private(self):
        path = self.path("existing", b"old text that is longer than nothing\n")
        os.chmod(path, 0o644)
        process = self.text_tap("-o", path)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertNotIn(b"old text", read_file(path))

    def test_full_disk(self):
        """Says so, once, and ends by itself."""
        process = self.text_tap("-o", "/dev/full")
        self.exchange()
        # It ends by itself when it writes; the signal is for the case that nothing was written.
        code = process.wait(harness.DEADLINE)
        errors = process.stderr.read().decode()
        self.assertEqual(code, 1, errors)
        self.assertIn("/dev/full", errors)
        self.assertEqual(errors.count("No space left"), 1, errors)

    def test_full_disk_keeps_what_fitted(self):
        """A file system with 64 KiB: what was written before stays, in whole lines."""
        folder = self.path("small")
        os.mkdir(folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", folder], check=True)
        process = self.text_tap("--json", "-o", f"{folder}/out")
        self.exchange("big", {"big": b"line\n" * 100000})
        self.assertEqual(process.wait(harness.DEADLINE), 1)
        data = read_file(f"{folder}/out")
        self.assertGreater(len(data), 1000)
        self.assertIn(b'"type":"open"', data.replace(b" ", b""))

    def test_closed_pipe(self):
        """cleartap tls | head -1"""
        reader, writer = os.pipe()
        process = self.text_tap(stdout=writer)
        os.close(writer)
        os.close(reader)
        self.exchange()
        code = process.wait(harness.DEADLINE)
        errors = process.stderr.read().decode()
        self.assertIn(code, (0, 1), errors)
        self.assertNotIn("Traceback", errors)
        self.assertLessEqual(len(errors.splitlines()), 4, errors)

    def test_text(self):
        process = self.text_tap()
        self.exchange()
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=harness.DEADLINE)
        self.assertIn(b"GET /short HTTP/1.1\n", out)
        self.assertIn(b"short answer\n", out)
        self.assertNotIn(b"\x1b", out)
        self.assertRegex(out, rb"curl\[\d+\] #\d+ 127\.0\.0\.1:\d+ > 127\.0\.0\.1:\d+ out\n")
        self.assertRegex(errors.decode(), r"\d+ events, \d+ connections, .* no gaps")

    def test_hex(self):
        process = self.text_tap("--hex")
        self.exchange()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=harness.DEADLINE)
        self.assertRegex(out, rb"(?m)^00000000  47 45 54 20 2f 73 68 6f  72 74 20 48 54 54 50 2f"
                              rb"  \|GET /short HTTP/\|$")

    HOSTILE = (b"\x1b]0;title\x07\x1b[2J\x1b[31mred\x9b31m\xc2\x9b31m\x00\x08\x7f"
               b"over\rwritten \xff\xfe \xe2\x80\xae reversed\n")

    def assert_harmless(self, out):
        """Nothing that a terminal would obey."""
        for byte in out:
            self.assertFalse(byte < 32 and byte not in b"\n\t" or byte == 127, out)
        for char in out.decode():
            self.assertFalse(0x80 <= ord(char) < 0xa0 or ord(char) == 0x202e, out)

    def test_hostile_peer(self):
        for args in ([], ["--hex"]):
            with self.subTest(args=args):
                self.fresh()
                process = self.text_tap(*args)
                self.assertEqual(self.exchange("x", {"x": self.HOSTILE * 10}), self.HOSTILE * 10)
                process.send_signal(signal.SIGINT)
                out, _ = process.communicate(timeout=harness.DEADLINE)
                self.assertIn(b"red", out)
                self.assert_harmless(out)

    def test_hostile_name(self):
        """A process calls itself an escape sequence."""
        server, port = self.peer_server("echo")
        process = self.text_tap()
        driver = self.driver(port)
        driver.do("name", b"\x1b[2Jx\n\xc2\x9b\r\xff".hex())
        driver.do("connect")
        driver.do("talk", "a", 10)
        driver.do("close")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=harness.DEADLINE)
        self.assertIn(b"[2Jx", out)
        self.assert_harmless(out)

    def test_hostile_name_in_json(self):
        server, port = self.peer_server("echo")
        tap = self.tap()
        driver = self.driver(port)
        driver.do("name", b"\x1b\"\\\n\xff".hex())
        driver.do("connect")
        driver.do("talk", "a", 10)
        driver.do("close")
        self.reports(2)
        conn = self.only(tap.stop().of(driver.pid))
        self.assertEqual(len(conn.comms), 1)
        self.assertNotIn(b"\x1b", read_file(tap.output))

    def on_terminal(self, env):
        """What cleartap prints on a terminal while curl talks."""
        main, terminal = pty.openpty()
        process = self.text_tap(stdout=terminal, env=env)
        os.close(terminal)
        self.exchange()
        process.send_signal(signal.SIGINT)
        out = b""
        while True:
            try:
                data = os.read(main, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not data:
                break
            out += data
        os.close(main)
        self.assertEqual(process.wait(harness.DEADLINE), 0)
        self.assertIn(b"short answer", out)
        return out

    def test_colours_on_a_terminal(self):
        env = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
        env["TERM"] = "xterm-256color"
        self.assertIn(b"\x1b[", self.on_terminal(env))

    def test_no_color(self):
        self.assertNotIn(b"\x1b", self.on_terminal({**os.environ, "NO_COLOR": "1",
                                                    "TERM": "xterm-256color"}))

    def test_empty_no_color_is_none(self):
        self.assertIn(b"\x1b[", self.on_terminal({**os.environ, "NO_COLOR": "",
                                                  "TERM": "xterm-256color"}))

    def test_help_into_a_full_disk(self):
        with open("/dev/full", "w") as full:
            run = subprocess.run([CLEARTAP, "--help"], stdout=full, stderr=subprocess.PIPE,
                                 check=False)
        self.assertEqual(run.returncode, 1, run.stderr)

    def test_reader_of_the_output_is_not_recorded(self):
        """cleartap tls | openssl s_client: the copy does not feed on itself."""
        sink, port = self.peer_server("sink")
        _, other = self.peer_server("echo")
        reader, writer = os.pipe()
        copy = self.start("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}",
                          stdin=reader)
        os.close(reader)
        process = self.text_tap("--json", "--comm", "openssl", stdout=writer)
        os.close(writer)
        visible = self.start("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{other}",
                             stdin=subprocess.PIPE)
        visible.stdin.write(b"visible\n")
        visible.stdin.flush()
        wait_for(lambda: visible.output() == b"visible\n", "the echo")
        visible.stop()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(harness.DEADLINE), 0)
        copy.stop()
        errors = process.stderr.read().decode()
        # One connection, of `visible`, and 8 bytes each way.
        self.assertRegex(errors, r" 1 connection, 8 bytes received, 8 bytes sent")


class Running(Cli):

    def own_objects(self, pid):
        """(kind, id) of every BPF object that the process holds."""
        found = set()
        for fd in os.listdir(f"/proc/{pid}/fdinfo"):
            try:
                text = read_file(f"/proc/{pid}/fdinfo/{fd}").decode()
            except FileNotFoundError:
                continue
            found |= set(re.findall(r"(?m)^(prog|map|link)_id:\s*(\d+)", text))
        return found

    def exists(self, kind, number):
        return subprocess.run(["bpftool", kind, "show", "id", number], capture_output=True,
                              check=False).returncode == 0

    def assert_nothing_left(self, objects):
        self.assertTrue(objects)
        # The kernel frees them a little later.
        wait_for(lambda: not [item for item in objects if self.exists(*item)],
                 f"the end of {objects}")

    def setUp(self):
        super().setUp()
        os.environ["PATH"] += ":/usr/sbin:/sbin"  # bpftool

    def test_interrupt(self):
        """Ends in time, and the kernel is as before."""
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                tap = self.tap()
                self.exchange()
                objects = self.own_objects(tap.pid)
                begin = time.monotonic()
                tap.process.send_signal(number)
                capture = tap.finish()
                self.assertLess(time.monotonic() - begin, 10)
                self.assertTrue(capture.conns)
                self.assertRegex(capture.stderr, r"\d+ events, ")
                self.assert_nothing_left(objects)
                self.fresh()

    def test_nothing_left_after_kill(self):
        tap = self.tap()
        objects = self.own_objects(tap.pid)
        tap.kill()
        self.assert_nothing_left(objects)

    def test_interrupt_while_starting(self):
        """At any moment: a signal during attach ends it as well."""
        tap = self.tap(wait=False)
        wait_for(lambda: self.signals_handled(tap.pid) or tap.process.poll() is not None,
                 "a handler")
        tap.process.send_signal(signal.SIGINT)
        self.assertIn(tap.process.wait(harness.DEADLINE), (0, 130, -2))

    def signals_handled(self, pid):
        status = read_file(f"/proc/{pid}/status").decode()
        caught = int(re.search(r"SigCgt:\s*(\w+)", status).group(1), 16)
        blocked = int(re.search(r"SigBlk:\s*(\w+)", status).group(1), 16)
        return (caught | blocked) & (1 << (signal.SIGINT - 1))

    def test_privileges_are_dropped(self):
        tap = self.tap()
        status = read_file(f"/proc/{tap.pid}/status").decode()
        tap.stop()
        for name in ("CapEff", "CapPrm"):
            caps = int(re.search(name + r":\s*(\w+)", status).group(1), 16)
            self.assertFalse(caps & CAP_SYS_ADMIN, status)
        self.assertRegex(status, r"NoNewPrivs:\s*1")

    def test_two_at_once(self):
        server, port = self.peer_server("echo")
        taps = [self.tap(), self.tap()]
        client = self.peer_client(port, "talk", "--size", "500000")
        client.wait()
        reports = self.reports(2)
        for tap in taps:
            self.assert_reports(tap.stop(), reports)

    def test_one_ends_and_the_other_goes_on(self):
        server, port = self.peer_server("echo")
        driver = self.driver(port)
        one, other = self.tap(), self.tap()
        driver.do("connect")
        driver.do("talk", "a", 1000)
        one.stop()
        driver.do("talk", "b", 1000)
        driver.do("close")
        self.assert_reports(other.stop(), self.reports(2))

    def test_verbose_says_what_is_attached(self):
        tap = self.tap("-v")
        capture = tap.stop()
        for name in (LIBSSL, "SSL_read", "SSL_write", "SSL_free"):
            self.assertIn(name, capture.stderr)


if __name__ == "__main__":
    unittest.main()
