# SPDX-License-Identifier: Apache-2.0
"""Who is tapped and who is not, and running a command."""
import os
import signal
import subprocess
import unittest

from harness import Case, sha256, wait_for
import servers

NOBODY = "65534"
CURL_LOOP = "read go; for i in 1 2 3; do curl -sSk --http1.1 {url}; done"


class Filters(Case):
    """Two clients of one server; the filter lets one through."""

    def talkers(self):
        """An echo server and two connected clients, all before cleartap starts."""
        server, port = self.peer_server("echo")
        drivers = [self.driver(port), self.driver(port)]
        for driver in drivers:
            driver.do("connect")
        return server, drivers

    def talk(self, drivers):
        for number, driver in enumerate(drivers):
            driver.do("talk", number, 50000)
            driver.do("close")
        return self.reports(2 * len(drivers))

    def assert_only(self, capture, reports, *pids):
        """Those pids, whole, and nobody else."""
        self.assertEqual(capture.pids, set(pids))
        self.assert_reports(capture, [report for report in reports if report["pid"] in pids])


class Pid(Filters):

    def test_pid(self):
        server, (one, other) = self.talkers()
        tap = self.tap("--pid", str(one.pid))
        reports = self.talk([one, other])
        self.assert_only(tap.stop(), reports, one.pid)

    def test_several_pids(self):
        server, port = self.peer_server("echo")
        drivers = [self.driver(port) for _ in range(3)]
        for driver in drivers:
            driver.do("connect")
        tap = self.tap("--pid", str(drivers[0].pid), "--pid", str(drivers[2].pid))
        reports = self.talk(drivers)
        self.assert_only(tap.stop(), reports, drivers[0].pid, drivers[2].pid)

    def test_pid_of_all_threads(self):
        server, port = self.peer_server("echo")
        tap = self.tap("--pid", str(server.pid))
        client = self.peer_client(port, "threads", "--threads", "8")
        client.wait()
        self.assert_only(tap.stop(), self.reports(16), server.pid)

    def test_pid_that_forks_without_children(self):
        server, port = self.peer_server("echo")
        driver = self.driver(port)
        tap = self.tap("--pid", str(driver.pid))
        driver.do("connect")
        driver.do("talk", "parent", 2000)
        driver.do("fork", "child", 3000)
        self.assertEqual(tap.stop().pids, {driver.pid})

    def curls(self):
        """A shell that runs curl when told; returns (nginx port, shell)."""
        proc, port = servers.nginx(self)
        url = f"https://127.0.0.1:{port}/short"
        shell = self.start("/bin/sh", "-c", CURL_LOOP.format(url=url), stdin=subprocess.PIPE)
        return port, shell

    def go(self, port, shell):
        """Lets the shell work, and a curl that is none of its children."""
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        stranger = self.run_program("curl", "-sSk", "--http1.1", f"https://127.0.0.1:{port}/short")
        shell.wait()
        self.assertEqual(shell.output(), b"short answer\n" * 3)
        return stranger

    def test_children(self):
        port, shell = self.curls()
        tap = self.tap("--pid", str(shell.pid), "--children")
        stranger = self.go(port, shell)
        capture = tap.stop()
        self.assertEqual(len(capture.conns), 3)
        self.assertNotIn(stranger.pid, capture.pids)
        for conn in capture.conns.values():
            self.assertEqual(conn.comms, {"curl"})
            self.assertEqual(conn.open["ppid"], shell.pid)
            self.assertTrue(conn.received.data.endswith(b"short answer\n"))

    def test_children_that_exist_already(self):
        proc, port = servers.nginx(self)
        worker = servers.worker(proc)
        tap = self.tap("--pid", str(proc.pid), "--children")
        self.run_program("curl", "-sSk", "--http1.1", f"https://127.0.0.1:{port}/short")
        capture = tap.stop()
        self.assertEqual(capture.pids, {worker})

    def test_without_children(self):
        port, shell = self.curls()
        tap = self.tap("--pid", str(shell.pid))
        self.go(port, shell)
        self.assertEqual(tap.stop().conns, {})

    def test_pid_ends(self):
        """cleartap with nothing left to do still ends in order."""
        server, (one, other) = self.talkers()
        tap = self.tap("--pid", str(one.pid))
        reports = self.talk([one, other])
        one.proc.stop()
        self.assert_only(tap.stop(), reports, one.pid)


class Others(Filters):

    def request(self, *prefix):
        """curl through prefix; returns its Proc."""
        return self.run_program(*prefix, "curl", "-sSk", "--http1.1",
                                f"https://127.0.0.1:{self.port}/short")

    def nginx(self):
        proc, self.port = servers.nginx(self)
        return servers.worker(proc)

    def test_uid(self):
        self.nginx()
        tap = self.tap("--uid", NOBODY)
        self.request()
        nobody = self.request("setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups")
        capture = tap.stop()
        self.assertEqual(capture.pids, {nobody.pid})
        self.assertEqual(self.only(capture.of(nobody.pid)).open["uid"], int(NOBODY))

    def test_uid_0(self):
        """Zero is a user as well, not "no filter"."""
        worker = self.nginx()
        tap = self.tap("--uid", "0")
        root = self.request()
        nobody = self.request("setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups")
        pids = tap.stop().pids
        self.assertLessEqual({root.pid, worker}, pids)
        self.assertNotIn(nobody.pid, pids)

    def test_comm(self):
        worker = self.nginx()
        tap = self.tap("--comm", "curl")
        curl = self.request()
        pids = tap.stop().pids
        self.assertIn(curl.pid, pids)
        self.assertNotIn(worker, pids)

    def test_comm_is_not_a_prefix(self):
        self.nginx()
        tap = self.tap("--comm", "cur")
        curl = self.request()
        self.assertNotIn(curl.pid, tap.stop().pids)

    def test_exe(self):
        worker = self.nginx()
        tap = self.tap("--exe", "/usr/sbin/nginx")
        curl = self.request()
        pids = tap.stop().pids
        self.assertIn(worker, pids)
        self.assertNotIn(curl.pid, pids)

    def test_exe_of_a_process_that_starts_later(self):
        worker = self.nginx()
        tap = self.tap("--exe", "/usr/bin/curl")
        curls = [self.request() for _ in range(5)]
        pids = tap.stop().pids
        self.assertLessEqual({curl.pid for curl in curls}, pids)
        self.assertNotIn(worker, pids)

    def test_filters_together(self):
        """Each must let it through."""
        worker = self.nginx()
        tap = self.tap("--uid", NOBODY, "--comm", "curl")
        root = self.request()
        nobody = self.request("setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups")
        pids = tap.stop().pids
        self.assertIn(nobody.pid, pids)
        self.assertNotIn(root.pid, pids)
        self.assertNotIn(worker, pids)


class Command(Filters):

    def test_command_from_its_first_byte(self):
        proc, port = servers.nginx(self, {"file": b"content\n" * 1000})
        worker = servers.worker(proc)
        tap = self.tap(command=["curl", "-sSk", "--http1.1", f"https://127.0.0.1:{port}/file"])
        capture = tap.finish()
        conn = self.only(list(capture.conns.values()))
        self.assertEqual(conn.comms, {"curl"})
        self.assertTrue(conn.sent.data.startswith(b"GET /file HTTP/1.1\r\n"))
        self.assertTrue(conn.received.data.endswith(b"content\n" * 1000))
        self.assertNotIn(worker, capture.pids)

    def test_command_without_tls_subcommand(self):
        """cleartap -- COMMAND prints text, beside what the command prints."""
        from harness import CLEARTAP
        proc, port = servers.nginx(self)
        run = self.run_program(CLEARTAP, "--", "curl", "-sSk", "--http1.1", "-o",
                               self.path("body"), f"https://127.0.0.1:{port}/short")
        self.assertIn(b"GET /short HTTP/1.1\n", run.output())
        self.assertIn(b"short answer\n", run.output())
        self.assertRegex(run.messages(), r"(?m)^\S*\s*ready: ")

    def test_children_of_the_command(self):
        proc, port = servers.nginx(self)
        url = f"https://127.0.0.1:{port}/short"
        tap = self.tap(command=["/bin/sh", "-c", f"curl -sSk {url}; curl -sSk {url}"])
        capture = tap.finish()
        self.assertEqual([conn.comms for conn in capture.conns.values()], [{"curl"}] * 2)

    def test_big_transfer_of_a_command(self):
        """The command ends right after its last byte; nothing of it is lost."""
        data = bytes(range(256)) * 30000
        proc, port = servers.nginx(self, {"big": data})
        tap = self.tap(command=["curl", "-sSk", "--http1.1", f"https://127.0.0.1:{port}/big"])
        conn = self.only(list(tap.finish().conns.values()))
        self.assertEqual(sha256(conn.received.data.split(b"\r\n\r\n", 1)[1]), sha256(data))

    def check_status(self, command, status):
        self.tap(command=command, wait=False).finish(status)

    def test_status_0(self):
        self.check_status(["true"], 0)

    def test_status_7(self):
        self.check_status(["/bin/sh", "-c", "exit 7"], 7)

    def test_killed_by_a_signal(self):
        """As shells say it: 128 and the signal's number."""
        self.check_status(["/bin/sh", "-c", "kill -KILL $$"], 128 + 9)

    def test_no_such_command(self):
        tap = self.tap(command=["/no/such/program"], wait=False)
        self.assertIn(tap.process.wait(60), (126, 127, 1))
        self.assertIn("/no/such/program", tap.stderr())

    def test_interrupt_reaches_the_command(self):
        """Ctrl-C in a terminal goes to both; the command is not left behind."""
        tap = self.tap(command=["sleep", "1000"])
        from harness import children_of
        child = wait_for(lambda: children_of(tap.pid), "the command")[-1]
        os.kill(child, signal.SIGINT)
        self.assertEqual(tap.finish(None).status, 128 + 2)

    def test_command_has_its_own_privileges_and_streams(self):
        """Standard streams, signals and privileges are those that cleartap was started with."""
        import harness
        script = "grep -E '^(CapEff|NoNewPrivs|SigIgn|SigBlk|Seccomp):' /proc/self/status; cat"
        plain = subprocess.run(["/bin/sh", "-c", script], input=b"in", capture_output=True,
                               check=True)
        tapped = subprocess.run([harness.CLEARTAP, "tls", "-o", self.path("o"), "--", "/bin/sh",
                                 "-c", script], input=b"in", capture_output=True, check=True)
        self.assertEqual(tapped.stdout, plain.stdout)


class Duration(Filters):

    def test_duration(self):
        server, (one, other) = self.talkers()
        tap = self.tap("--duration", "2")
        self.talk([one, other])
        capture = tap.finish()
        self.assertEqual(capture.status, 0)

    def test_ready_line(self):
        """One line on stderr says that everything is attached, before the byte."""
        tap = self.tap()
        ready = [line for line in tap.stderr().splitlines() if "ready: " in line]
        self.assertEqual(len(ready), 1, tap.stderr())
        tap.stop()

    def test_ready_with_command_comes_before_it(self):
        tap = self.tap(command=["true"], wait=False)
        capture = tap.finish()
        self.assertIn("ready: ", capture.stderr)


if __name__ == "__main__":
    unittest.main()
