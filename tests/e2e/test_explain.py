# SPDX-License-Identifier: Apache-2.0
"""cleartap explain: files, processes, addresses from the user, debug files, and the cache."""
import json
import os
import re
import shutil
import subprocess

import servers
from clients import build
from harness import CLEARTAP, PYTHON, read_file, wait_for, write_file
from test_cli import LIBSSL, NOBODY, Cli, Usage

CACHE = "/var/cache/cleartap"


class Explain(Cli):

    def explain(self, *args, status=0, **keywords):
        """The objects that it prints with --json."""
        run = self.cleartap("explain", "--json", *map(str, args), **keywords)
        self.assertEqual((run.returncode, run.stderr), (status, ""), run.stdout)
        return [json.loads(line) for line in run.stdout.splitlines()]

    def functions(self, library):
        return {function["name"]: function for function in library["functions"]}

    def symbol(self, path, name):
        """The offset in the file of a function of a program that is not stripped."""
        text = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
        vaddr = int(re.search(rf"(?m)^([0-9a-f]+) . {name}$", text)[1], 16)
        for line in subprocess.run(["readelf", "-lW", path], capture_output=True, text=True,
                                   check=True).stdout.splitlines():
            fields = line.split()
            if fields[:1] == ["LOAD"]:
                offset, start, size = (int(fields[i], 16) for i in (1, 2, 4))
                if start <= vaddr < start + size:
                    return vaddr - start + offset
        raise AssertionError(f"{name} is in no segment")

    def rungs(self, path):
        return {function["rung"] for library in self.explain(path)
                for function in library["functions"]}

    def assert_tapped(self, path, *options):
        """All bytes of a program that talks, as the library told it."""
        _, port = self.peer_server("echo")
        tap = self.tap("--libssl", path, *options)
        client = self.run_program(path, "talk", str(port), self.dir)
        self.reports(1)
        conn = self.only(tap.stop().of(client.pid))
        self.assertEqual(bytes(conn.sent.data), read_file(self.path("0.out")))
        self.assertEqual(bytes(conn.received.data), read_file(self.path("0.in")))

    def stripped(self, name="prog"):
        """A static program without any symbol, and the file with its symbols."""
        whole, path, debug = build("sslprog-static"), self.path(name), self.path(f"{name}.debug")
        subprocess.run(["objcopy", "--only-keep-debug", whole, debug], check=True)
        subprocess.run(["strip", "-s", "-o", path, whole], check=True)
        return path, debug


class Files(Explain):

    def test_library(self):
        library, = self.explain(LIBSSL)
        self.assertEqual((library["type"], library["file"], library["library"]),
                         ("library", LIBSSL, "openssl"))
        self.assertEqual(self.functions(library)["SSL_free"]["rung"], "dynsym")
        for function in library["functions"]:
            self.assertLess(function["offset"], os.path.getsize(LIBSSL))

    def test_text(self):
        run = self.cleartap("explain", LIBSSL)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        lines = run.stdout.splitlines()
        self.assertEqual(lines[0], LIBSSL)
        self.assertIn("  library     openssl", lines)
        self.assertRegex(run.stdout, r"(?m)^  end +0x[0-9a-f]+ +dynsym +SSL_free$")

    def test_name_cannot_drive_the_terminal(self):
        path = self.path("lib\x1b[31m\n")
        shutil.copy(LIBSSL, path)
        run = self.cleartap("explain", path)
        self.assertEqual(run.returncode, 0)
        self.assertEqual(run.stdout.splitlines()[0], self.path("lib") + r"\x1b[31m\x0a")

    def test_nothing_in_it(self):
        self.assert_refused(4, ["/bin/true", "no TLS"], "explain", "/bin/true")

    def test_bad_files(self):
        whole = read_file(LIBSSL)
        os.mkfifo(self.path("pipe"))
        paths = [self.path("pipe"), self.dir, "/dev/null", "/dev/zero", "/no/such/file"]
        for name, data in (("empty", b""), ("short", whole[:40]), ("head", whole[:4096]),
                           ("half", whole[:len(whole) // 2]), ("script", b"#!/bin/sh\n"),
                           ("noise", os.urandom(65536)), ("elf", b"\x7fELF" + bytes(4092))):
            paths.append(self.path(name, data))
        for path in paths:
            with self.subTest(path=path):
                self.assert_refused(4, [path], "explain", path)

    def test_not_readable(self):
        path = self.path("secret", read_file(LIBSSL))
        os.chmod(path, 0)
        self.assert_refused(3, [path], "explain", path, prefix=NOBODY,
                            binary=Usage.public_binary(self))

    def test_without_root(self):
        run = self.cleartap("explain", LIBSSL, prefix=NOBODY, binary=Usage.public_binary(self))
        self.assertEqual((run.returncode, run.stderr), (0, ""))

    def test_usage(self):
        for args, words in (([], ["file"]), (["--nonsense", "x"], ["nonsense"]),
                            (["a", "b"], ["b"]), (["0"], ["./0"]), ([""], []),
                            (["99999999999999999999"], ["./99999999999999999999"]),
                            (["--probe", "x", LIBSSL], ["FUNCTION=OFFSET"])):
            with self.subTest(args=args):
                self.assert_refused(2, words, "explain", *args)

    def test_a_file_with_a_number_as_name(self):
        shutil.copy(LIBSSL, self.path("1"))
        library, = self.explain("./1", cwd=self.dir)
        self.assertEqual(library["file"], "./1")


class Processes(Explain):

    def test_nginx(self):
        proc, _ = servers.nginx(self)
        library, = self.explain(proc.pid)
        self.assertEqual((library["pid"], library["comm"], library["exe"], library["file"]),
                         (proc.pid, "nginx", os.path.realpath(servers.program("nginx")), LIBSSL))

    def test_text(self):
        proc, _ = servers.nginx(self)
        run = self.cleartap("explain", str(proc.pid))
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertTrue(run.stdout.startswith(f"process {proc.pid} nginx /usr/sbin/nginx\n"),
                        run.stdout)

    def test_without_tls(self):
        proc = self.start("sleep", "1000")
        self.assert_refused(4, [str(proc.pid), "sleep"], "explain", str(proc.pid))

    def test_deleted_file(self):
        """The file that is mapped, although there is another one of that name."""
        path = self.path("libssl.so.3")
        shutil.copy(LIBSSL, path)
        proc = self.start(PYTHON, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1]); "
                          "print('ready', flush=True); sys.stdin.read()", path,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(proc.process.stdout.readline(), b"ready\n")
        os.unlink(path)
        write_file(path, b"another file")
        found = [library for library in self.explain(proc.pid) if path in library["file"]]
        self.assertEqual(len(found), 1)
        self.assertIn("SSL_free", self.functions(found[0]))

    def test_gone(self):
        process = subprocess.Popen(["true"])
        process.wait()
        self.assert_refused(4, [str(process.pid)], "explain", str(process.pid))

    def test_somebody_elses(self):
        proc = self.start("sleep", "1000")
        self.assert_refused(3, [str(proc.pid)], "explain", str(proc.pid), prefix=NOBODY,
                            binary=Usage.public_binary(self))


class Probe(Explain):

    def test_stripped_program(self):
        whole = build("sslprog-static")
        path, _ = self.stripped()
        read, write = self.symbol(whole, "SSL_read"), self.symbol(whole, "SSL_write")
        library, = self.explain("--probe", f"SSL_read={read:#x}", "--probe", f"SSL_write={write}",
                                path)
        functions = self.functions(library)
        self.assertEqual((functions["SSL_read"]["rung"], functions["SSL_read"]["offset"]),
                         ("user", read))
        self.assertEqual((functions["SSL_write"]["rung"], functions["SSL_write"]["offset"]),
                         ("user", write))

    def test_refused(self):
        whole = build("sslprog-static")
        path, _ = self.stripped()
        read = self.symbol(whole, "SSL_read")
        for offset, words in ((read + 1, ["no function begins"]), (0, ["no code"]),
                              (1 << 62, ["no code"]), (os.path.getsize(path), ["no code"])):
            with self.subTest(offset=offset):
                self.assert_refused(2, ["SSL_read", *words], "explain", "--probe",
                                    f"SSL_read={offset}", path)
        self.assert_refused(2, ["no function begins"], "explain", "--probe", "SSL_read=0x35440",
                            LIBSSL)
        self.assert_refused(2, ["SSL_raed", "SSL_read,", "ssl_log_secret"], "explain", "--probe",
                            "SSL_raed=1", path)
        for text in ("SSL_read", "SSL_read=", "=1", "SSL_read=0x", "SSL_read=-1", "SSL_read=1z",
                     "SSL_read=99999999999999999999999"):
            with self.subTest(text=text):
                self.assert_refused(2, ["FUNCTION=OFFSET"], "explain", "--probe", text, path)
        self.assert_refused(2, ["twice"], "explain", "--probe", "SSL_read=1", "--probe",
                            "SSL_read=2", path)
        self.assert_refused(2, ["one file"], "explain", "--probe", "SSL_read=1", "1")
        self.assert_refused(2, ["--libssl"], "tls", "--probe", "SSL_read=1")

    def test_tap(self):
        """A stripped static program is tapped at the addresses."""
        whole = build("sslprog-static")
        path, _ = self.stripped()
        options = []
        for name in ("SSL_read", "SSL_write", "SSL_free"):
            options += ["--probe", f"{name}={self.symbol(whole, name)}"]
        self.assert_tapped(path, *options)


class DebugFile(Explain):

    def link(self):
        path, debug = self.stripped()
        subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", path], check=True)
        return path, debug

    def test_link(self):
        whole = build("sslprog-static")
        path, _ = self.link()
        library, = self.explain(path)
        self.assertEqual({function["rung"] for function in library["functions"]
                          if function["name"].startswith("SSL_")}, {"debug file"})
        self.assertEqual(self.functions(library)["SSL_free"]["offset"],
                         self.symbol(whole, "SSL_free"))

    def test_tap(self):
        path, _ = self.link()
        self.assert_tapped(path)

    def test_wrong_file(self):
        """One of another build, a damaged one, none."""
        path, debug = self.link()
        good = read_file(debug)
        other = self.path("other")
        subprocess.run(["gcc", "-g", "-o", other, "-x", "c", "-"], input=b"int main(void){}",
                       check=True)
        self.assertIn("debug file", self.rungs(path))
        for data in (read_file(other), good[:len(good) // 2], b"", read_file(path)):
            write_file(debug, data)
            self.assertNotIn("debug file", self.rungs(path))

    def test_in_the_root_of_a_process(self):
        """A process in a root of its own has its debug file there, whatever links it has."""
        root = self.path("root")
        path, debug = self.link()
        os.makedirs(f"{root}/opt/.debug")
        os.mkdir(f"{root}/real")
        shutil.copy(path, f"{root}/opt/prog")
        shutil.copy(debug, f"{root}/real/file")
        os.symlink("/real/file", f"{root}/opt/.debug/prog.debug")
        os.unlink(debug)
        _, port = self.peer_server("echo")
        proc = self.start("chroot", root, "/opt/prog", "whole", str(port), "/",
                          stdin=subprocess.PIPE)
        wait_for(lambda: b"connected" in proc.output(), "the handshake")
        self.assertIn("debug file", self.rungs(proc.pid))

    def test_new_debug_file(self):
        """What was kept in the cache does not hide a debug file that comes later."""
        path, debug = self.stripped()
        text = subprocess.run(["readelf", "-n", path], capture_output=True, text=True,
                              check=True).stdout
        build_id = re.search(r"Build ID: ([0-9a-f]+)", text)[1]
        folder = f"/usr/lib/debug/.build-id/{build_id[:2]}"
        if not os.path.isdir(folder):
            os.makedirs(folder)
            self.addCleanup(os.rmdir, folder)
        place = f"{folder}/{build_id[2:]}.debug"
        self.addCleanup(lambda: os.path.exists(place) and os.unlink(place))
        self.assertNotIn("debug file", self.rungs(path))
        shutil.copy(debug, place)
        self.assertIn("debug file", self.rungs(path))
        os.unlink(place)
        self.assertNotIn("debug file", self.rungs(path))


class Cache(Explain):

    def reads(self, *args):
        """Bytes that were read from the file."""
        log = self.path("strace")
        subprocess.run(["strace", "-f", "-y", "-e", "trace=pread64,read,mmap", "-o", log, CLEARTAP,
                        "explain", *args, LIBSSL], check=True, stdout=subprocess.DEVNULL)
        return sum(int(match[1]) for match in
                   re.finditer(rf"(?m)<{re.escape(os.path.realpath(LIBSSL))}>.*= (\d+)$",
                               read_file(log).decode()))

    def test_second_start(self):
        shutil.rmtree(CACHE, ignore_errors=True)
        first, = self.explain(LIBSSL)
        second, = self.explain(LIBSSL)
        self.assertEqual((first.pop("cached"), second.pop("cached")), (False, True))
        self.assertEqual(first, second)
        self.assertFalse(self.explain("--no-cache", LIBSSL)[0]["cached"])
        self.assertEqual(os.stat(CACHE).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(f"{CACHE}/files").st_mode & 0o777, 0o600)

    def test_second_start_reads_next_to_nothing(self):
        self.explain(LIBSSL)
        self.assertLessEqual(self.reads(), 8192)
        self.assertGreater(self.reads("--no-cache"), os.path.getsize(LIBSSL) // 2)

    def test_damaged(self):
        self.explain(LIBSSL)
        good = read_file(f"{CACHE}/files")
        for data in (b"", good[:100], good[:-1], bytes(len(good)), os.urandom(len(good)),
                     good[:200] + b"\xff" + good[201:]):
            write_file(f"{CACHE}/files", data)
            self.assertFalse(self.explain(LIBSSL)[0]["cached"])
            self.assertTrue(self.explain(LIBSSL)[0]["cached"])

    def test_folder_of_somebody_else(self):
        shutil.rmtree(CACHE, ignore_errors=True)
        self.addCleanup(shutil.rmtree, CACHE, True)
        os.mkdir(CACHE, 0o700)
        os.chown(CACHE, 65534, 65534)
        self.assertFalse(self.explain(LIBSSL)[0]["cached"])
        self.assertFalse(self.explain(LIBSSL)[0]["cached"])
        self.assertEqual(os.listdir(CACHE), [])

    def test_new_file(self):
        path = self.path("libssl.so.3")
        shutil.copy(LIBSSL, path)
        self.assertFalse(self.explain(path)[0]["cached"])
        self.assertFalse(self.explain(path)[0]["cached"])

    def test_tap(self):
        """What a tap found counts for the next one."""
        shutil.rmtree(CACHE, ignore_errors=True)
        self.tap("--libssl", LIBSSL).stop()
        self.assertTrue(self.explain(LIBSSL)[0]["cached"])
