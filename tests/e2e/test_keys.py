# SPDX-License-Identifier: Apache-2.0
"""cleartap keys and -k: the command line, files, and rotation.

What the lines say of all the libraries is tested elsewhere.
"""
import os
import re
import shutil
import signal
import stat
import subprocess
import unittest

import harness
import servers
from harness import CLEARTAP, read_file, wait_for
from test_cli import NOBODY, Cli

SUDO = "1000"  # as sudo would tell it; no such user need exist


class Usage(Cli):

    def test_help(self):
        run = self.cleartap("keys", "--help")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        for option in ("--json", "--libssl", "--pid", "--children", "--uid", "--comm", "--exe",
                       "--output", "--keylog", "--duration", "--ring", "--ready-fd"):
            self.assertIn(option, run.stdout)
        self.assertNotIn("--hex", run.stdout)
        self.assertIn("--keylog", self.cleartap("tls", "--help").stdout)
        self.assertIn("keys", self.cleartap("--help").stdout)

    def test_bad_options(self):
        same = self.path("same")
        for args, words in (
                (["keys", "--hex"], ["hex", "cleartap keys --help"]),
                (["keys", "-k"], ["-k"]),
                (["keys", "-k", ""], ["keylog"]),
                (["keys", "-k", "-"], ["keylog", "cleartap keys"]),
                (["tls", "-k", "-"], ["keylog", "cleartap keys"]),
                (["keys", "--children"], ["children"]),
                (["keys", "--ring", "0"], ["ring"]),
                (["keys", "argument"], ["argument"]),
                (["keys", "--"], []),
                (["tls", "-o", same, "-k", same], ["same file"]),
                (["keys", "-o", same, "-k", f"{self.dir}/./same"], ["same file"]),
        ):
            with self.subTest(args=args):
                self.assert_refused(2, words, *args)

    def test_same_file_is_not_emptied(self):
        path = self.path("log", b"precious\n")
        self.assert_refused(2, ["same file"], "tls", "-o", path, "-k", path)
        self.assertEqual(read_file(path), b"precious\n")

    def test_not_root(self):
        binary = shutil.copy(CLEARTAP, self.path("cleartap"))
        os.chmod(binary, 0o755)
        self.assert_refused(3, ["root"], "keys", binary=binary, prefix=NOBODY)

    def test_nothing_to_attach_to(self):
        """A library without TLS, and one that is no library."""
        text = self.path("text", b"this is not a library\n")
        self.assert_refused(4, ["libcrypto", "secrets"], "keys", "--libssl",
                            "/usr/lib/x86_64-linux-gnu/libcrypto.so.3")
        self.assert_refused(4, [text, "ELF"], "keys", "--libssl", text)


class Files(Cli):
    """The file of -k, in runs that print plaintext."""

    def run_with(self, path, *args, env=None):
        """A short run; returns what it said."""
        run = subprocess.run([CLEARTAP, "tls", "-k", path, "-d", "0.05", *args],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True, timeout=harness.DEADLINE,
                             env=env, check=False)
        self.assertIn(run.returncode, (0, 5), run.stderr)  # 5: others were in their calls
        return run.stderr

    def refused(self, path, *words):
        for args in (["tls", "-k", path], ["keys", "-k", path], ["keys", "-o", path]):
            with self.subTest(args=args):
                self.assert_refused(1, [path, *words], *args)

    def test_mode_0600_and_added_to(self):
        old = os.umask(0)
        try:
            self.run_with(self.path("new"))
        finally:
            os.umask(old)
        existing = self.path("existing", b"# a line\n")
        os.chmod(existing, 0o644)
        self.run_with(existing)
        for path in (self.path("new"), existing):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertTrue(read_file(existing).startswith(b"# a line\n"))

    def test_summary_speaks_of_what_was_asked_for(self):
        self.assertRegex(self.run_with(self.path("log")),
                         r" events?, .* sent, .*; \d+ secrets? of \d+ connections?")
        process = self.text_tap("-d", "0.05")
        process.wait(harness.DEADLINE)
        self.assertNotIn(b"secret", process.stderr.read())

    def test_links_are_refused(self):
        target = self.path("target", b"precious\n")
        os.symlink(target, self.path("link"))
        os.symlink(self.path("nowhere"), self.path("dangling"))
        os.link(target, self.path("other"))
        self.refused(self.path("link"), "symbolic link")
        self.refused(self.path("dangling"), "symbolic link")
        self.refused(self.path("other"), "one name")
        self.assertEqual(read_file(target), b"precious\n")
        self.assertFalse(os.path.exists(self.path("nowhere")))

    def test_file_of_somebody_else_is_refused(self):
        path = self.path("theirs", b"theirs\n")
        os.chown(path, 1000, 1000)
        self.refused(path, "somebody else")
        self.assertEqual(read_file(path), b"theirs\n")

    def test_no_such_folder_and_fifo_without_reader(self):
        os.mkfifo(self.path("fifo"))
        self.refused("/no/such/folder/file")
        self.refused(self.path("fifo"))
        self.refused(self.dir)

    def test_new_file_in_the_users_folder_is_the_users(self):
        os.chown(self.dir, int(SUDO), int(SUDO))
        self.run_with(self.path("log"), env={**os.environ, "SUDO_UID": SUDO, "SUDO_GID": SUDO})
        self.assertEqual(os.stat(self.path("log")).st_uid, int(SUDO))


class Rotation(Cli):
    """SIGHUP opens the file again by its path, whatever cleartap may still do by then."""

    def rotate(self, process, path):
        os.rename(path, path + ".1")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: os.path.exists(path), "the file by its old name")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)

    def open_files(self, process):
        found = []
        for fd in os.listdir(f"/proc/{process.pid}/fd"):
            try:
                found.append(os.readlink(f"/proc/{process.pid}/fd/{fd}"))
            except FileNotFoundError:
                pass
        return found

    def uid(self, process):
        status = read_file(f"/proc/{process.pid}/status").decode()
        uids = re.search(r"(?m)^Uid:\s*(.*)$", status).group(1).split()
        self.assertEqual(len(set(uids)), 1, status)
        self.assertRegex(status, r"(?m)^NoNewPrivs:\s*1$")
        caps = int(re.search(r"CapPrm:\s*(\w+)", status).group(1), 16)
        self.assertFalse(caps & ~(1 << 39), status)  # CAP_BPF at most
        return int(uids[0])

    def end_well(self, process):
        process.send_signal(signal.SIGINT)
        self.assertIn(process.wait(harness.DEADLINE), (0, 5))
        return process.stderr.read().decode()

    def test_roots_folder(self):
        os.chmod(self.dir, 0o700)
        path = self.path("log")
        process = self.text_tap("-k", path)
        for _ in range(20):
            self.rotate(process, path)
        self.assertEqual(self.uid(process), 0)
        # The old one is let go.
        wait_for(lambda: path + ".1" not in self.open_files(process), "the old file's end")
        self.assertNotIn("the old file", self.end_well(process))

    def test_folder_that_all_share(self):
        """Sticky, and root's, as /tmp is."""
        os.chmod(self.dir, 0o1777)
        path = self.path("log")
        process = self.text_tap("-k", path)
        self.rotate(process, path)
        self.assertNotIn("the old file", self.end_well(process))

    def test_folder_of_the_user_who_called_sudo(self):
        os.chmod(self.dir, 0o700)
        os.chown(self.dir, int(SUDO), int(SUDO))
        path = self.path("log")
        process = self.text_tap("-k", path,
                                env={**os.environ, "SUDO_UID": SUDO, "SUDO_GID": SUDO})
        self.rotate(process, path)
        self.assertEqual(self.uid(process), int(SUDO))
        self.assertNotIn("the old file", self.end_well(process))

    def test_failure_is_told_and_the_old_file_goes_on(self):
        path = self.path("log")
        process = self.text_tap("-k", path)
        os.rename(path, path + ".1")
        os.symlink(self.path("elsewhere"), path)
        process.send_signal(signal.SIGHUP)
        line = b""
        while b"again" not in line:  # there are other things to tell
            line = process.stderr.readline()
            self.assertTrue(line, "nothing was told")
        for word in (path, "old file", "symbolic link"):
            self.assertIn(word, line.decode())
        self.assertIn(path + ".1", self.open_files(process))
        self.assertFalse(os.path.exists(self.path("elsewhere")))
        self.end_well(process)

    def test_without_a_key_log_it_ends_the_run(self):
        process = self.text_tap("-o", self.path("out"))
        process.send_signal(signal.SIGHUP)
        self.assertIn(process.wait(harness.DEADLINE), (0, 5))

    def test_command_does_not_get_it(self):
        path = self.path("log")
        process = self.text_tap("-k", path, "--", "sleep", "1000")
        self.rotate(process, path)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(harness.DEADLINE), 128 + signal.SIGTERM)


class Lines(Cli):
    """Of the system's OpenSSL: every way to get them says the same."""

    def keylog(self, path):
        """Its lines, each checked."""
        lines = read_file(path).decode().split("\n")
        self.assertEqual(lines.pop(), "")
        for line in lines:
            self.assertRegex(line, r"\A[A-Z0-9_]+ [0-9a-f]{64} ([0-9a-f]{64}|[0-9a-f]{96})\Z")
        self.assertEqual(len(lines), len(set(lines)))
        return set(lines)

    def fresh(self):
        super().fresh()
        self.port = None

    def handshake(self, *args):
        """One connection; returns the client's own key log."""
        own = self.path("own")
        if not self.port:
            _, self.port = servers.nginx(self)
        self.run_program("curl", "-sSk", *args, f"https://127.0.0.1:{self.port}/short",
                         env={**os.environ, "SSLKEYLOGFILE": own})
        return {line for line in read_file(own).decode().split("\n")
                if line and not line.startswith("#")}

    def test_all_sinks_agree(self):
        log, other = self.path("log"), self.path("other")
        tap = self.tap("-k", log, subcommand="keys")
        plain = self.text_tap("-k", other)
        truth = self.handshake() | self.handshake("--tls-max", "1.2")
        for path in (log, other):
            wait_for(lambda: truth <= self.keylog(path), "all lines, while it runs")
        capture = tap.stop()
        plain.send_signal(signal.SIGINT)
        plain.wait(harness.DEADLINE)
        events = {f"{ev['label']} {ev['client_random']} {ev['secret']}"
                  for ev in capture.secrets}
        self.assertEqual(events, self.keylog(log))
        # Client and server are on this machine: each secret has two events and one line.
        for line in truth:
            self.assertEqual([f"{ev['label']} {ev['client_random']} {ev['secret']}"
                              for ev in capture.secrets].count(line), 2)

    def test_nothing_is_lost_in_rotation(self):
        path = self.path("log")
        tap = self.tap("-k", path, subcommand="keys")
        truth = set()
        for i in range(5):
            truth |= self.handshake()
            os.rename(path, f"{path}.{i}")
            tap.process.send_signal(signal.SIGHUP)
        wait_for(lambda: os.path.exists(path), "the last file")
        tap.stop()
        lines = set()
        for name in [path] + [f"{path}.{i}" for i in range(5)]:
            lines |= self.keylog(name) if os.path.exists(name) else set()
        self.assertLessEqual(truth, lines)

    def test_full_disk(self):
        for subcommand in ("keys", "tls"):
            with self.subTest(subcommand=subcommand):
                self.fresh()
                tap = self.tap("-k", "/dev/full", subcommand=subcommand)
                self.handshake()
                self.assertEqual(tap.process.wait(harness.DEADLINE), 1)
                self.assertIn("can't write to /dev/full: No space left", tap.stderr())


if __name__ == "__main__":
    unittest.main()
