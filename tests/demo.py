#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `make demo` shows: a real HTTPS server, a real client, and cleartap between them.

Starts nginx and curl on loopback, lets cleartap print both directions of both processes, and
compares what it captured with what was sent, by SHA-256. Exits with 0 when all of it is right.
"""
import argparse
import os
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

PAGE = b"""Hello from nginx.
This page went over the wire encrypted, and cleartap shows it in clear:
no proxy, no certificate authority, no restart and no change in nginx or curl.
"""
FORM = b"user=alice&password=correct+horse+battery+staple"


class Scene:
    """What servers.py and harness.py want from a test case, without a test around it."""

    def __init__(self, folder, harness):
        self.dir, self.harness, self.procs = folder, harness, []
        self.cert = harness.Certificate.get()

    def path(self, name, data=None):
        path = os.path.join(self.dir, name)
        if data is not None:
            self.harness.write_file(path, data)
        return path

    def start(self, *argv, **keywords):
        proc = self.harness.Proc(self.dir, *argv, **keywords)
        self.procs.append(proc)
        return proc

    def run_program(self, *argv, status=0, **keywords):
        proc = self.start(*argv, **keywords)
        proc.wait(status)
        return proc

    def stop(self):
        for proc in reversed(self.procs):
            proc.stop()


def text_tap(harness, folder, pids):
    """A second cleartap, whose text is for the eye; returns it when it is ready."""
    reader, writer = os.pipe()
    errors = open(os.path.join(folder, "text.err"), "wb")
    with open(os.path.join(folder, "text.out"), "wb") as out, errors:
        process = subprocess.Popen([harness.CLEARTAP, "tls", "--ready-fd", str(writer), *pids],
                                   stdout=out, stderr=errors, stdin=subprocess.DEVNULL,
                                   pass_fds=[writer])
    os.close(writer)
    ready = os.read(reader, 1)
    os.close(reader)
    if not ready:
        process.wait()
        raise harness.HarnessError(harness.read_file(errors.name).decode())
    return process


def check(name, stream, expected, harness):
    """One line of the comparison; returns whether it is right."""
    sent, seen = harness.sha256(expected), stream.sha256
    good = sent == seen and stream.length == len(expected)
    print(f"  {'ok  ' if good else 'FAIL'} {name}: {len(expected)} bytes sent, "
          f"{stream.captured} captured")
    print(f"       sent     sha256 {sent}\n       captured sha256 {seen}")
    return good


def compare(capture, curl, worker, harness):
    clients, workers = capture.of(curl.pid), capture.of(worker)
    if len(clients) != 1 or len(workers) != 1:
        print(f"  FAIL one connection at each end expected, seen: {clients + workers}")
        return False
    (client,), (server,) = clients, workers
    results = [
        check("curl, sent", client.sent, curl.sent, harness),
        check("curl, received", client.received, curl.received, harness),
        check("nginx, received", server.received, curl.sent, harness),
        check("nginx, sent", server.sent, curl.received, harness),
    ]
    if (client.local, client.remote) != (server.remote, server.local) or not client.local:
        print(f"  FAIL addresses: {client} {server}")
        results.append(False)
    return all(results)


def play(scene, harness, servers):
    """Returns whether everything was right."""
    nginx, port = servers.nginx(scene, {"index.html": PAGE})
    worker = servers.worker(nginx)
    print(f"nginx serves https://localhost:{port}/ (pid {worker}); "
          "cleartap is attaching...", flush=True)
    # Only this demo's processes: what else goes on on the machine is nobody's business here.
    pids = ["--pid", str(worker), "--pid", str(os.getpid()), "--children"]
    tap = harness.Tap(scene.dir, *pids)
    try:
        text = text_tap(harness, scene.dir, pids)
        try:
            curl = servers.Curl(scene, f"https://localhost:{port}/index.html")
        finally:
            text.send_signal(signal.SIGINT)
            status = text.wait()
        capture = tap.stop()
    finally:
        tap.kill()
    print("\n$ cleartap tls\n", flush=True)
    sys.stdout.buffer.write(harness.read_file(scene.path("text.out")))
    print(f"\n(on stderr) {harness.read_file(scene.path('text.err')).decode().strip()}\n")
    print("Compared with what curl says that it sent and received:")
    good = compare(capture, curl, worker, harness)
    if status or PAGE.split(b"\n")[0] not in harness.read_file(scene.path("text.out")):
        print(f"  FAIL the text output is not right (exit status {status})")
        good = False
    return good


def main():
    parser = argparse.ArgumentParser(description="Shows cleartap at work.")
    parser.add_argument("--build", default="build", help="folder with the built cleartap")
    args = parser.parse_args()
    os.environ["CLEARTAP_BUILD"] = os.path.join(ROOT, args.build)
    import harness
    import servers
    import tempfile
    if os.geteuid() != 0:
        sys.exit("demo: cleartap needs root: sudo make demo")
    with tempfile.TemporaryDirectory(prefix="cleartap-demo-") as folder:
        os.chmod(folder, 0o755)
        scene = Scene(folder, harness)
        try:
            good = play(scene, harness, servers)
        except harness.HarnessError as error:
            print(f"demo: {error}")
            good = False
        finally:
            scene.stop()
    print("\ndemo: everything that was sent was captured, in both directions and at both ends"
          if good else "\ndemo: FAILED")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
