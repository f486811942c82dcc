#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What cleartap costs the programs it taps: behind `make bench`.

nginx with one worker is loaded by wrk over TLS, in rounds: without cleartap, with it printing
text, JSON, or secrets only, in turn, so that a change of the machine's mood meets all of them.
Both wrk and nginx use the tapped library, so each byte is captured twice. Then the time to find
the places to probe in a file: see resolve.py. Prints tables and writes the same as JSON.
"""
import argparse
import json
import os
import platform
import re
import resource
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
sys.path.insert(0, os.path.join(ROOT, "tests"))

BIG_SEND = 100 * 1000 * 1000
MODES = {"none": None, "text": ["tls"], "json": ["tls", "--json"], "keys": ["keys"]}


class Run:
    """One cleartap: started, ready, stopped; what it cost."""

    def __init__(self, harness, arguments):
        reader, writer = os.pipe()
        self.errors = tempfile.TemporaryFile()
        argv = [harness.CLEARTAP, *arguments, "-o", "/dev/null", "--ready-fd", str(writer)]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=self.errors, pass_fds=[writer])
        os.close(writer)
        ready = select.select([reader], [], [], harness.DEADLINE)[0] and os.read(reader, 1)
        os.close(reader)
        if not ready:
            self.process.kill()
            self.process.wait()
            sys.exit(f"bench: cleartap did not get ready: {self.messages()}")
        self.before = self.cpu(harness)

    def cpu(self, harness):
        """Seconds used so far: starting is not what is measured."""
        fields = harness.read_file(f"/proc/{self.process.pid}/stat").rsplit(b")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def messages(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        text = self.messages()
        self.errors.close()
        if self.process.returncode not in (0, 5):
            sys.exit(f"bench: cleartap ended with {self.process.returncode}: {text}")
        gaps = re.search(r"(\d+) gaps?, (\d+) bytes? lost", text)
        taken = re.search(r"(\d+) bytes? received, (\d+) bytes? sent", text)
        return {
            "cpu_seconds": usage.ru_utime + usage.ru_stime - self.before,
            "max_rss_mb": usage.ru_maxrss / 1024,
            "gaps": int(gaps.group(1)) if gaps else 0,
            "gap_bytes": int(gaps.group(2)) if gaps else 0,
            "captured_bytes": int(taken.group(1)) + int(taken.group(2)) if taken else 0,
            "exit_status": self.process.returncode,
        }


def wrk(url, seconds, connections, headers):
    """Requests a second."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    for header in headers:
        argv += ["-H", header]
    run = subprocess.run([*argv, url], capture_output=True, text=True, check=True)
    failed = re.search(r"Socket errors: .*|Non-2xx.*", run.stdout)
    # wrk counts a connection that the server closed, as asked to, as a read error.
    if failed and not headers:
        print(f"  wrk: {failed.group(0)}", file=sys.stderr)
    return float(re.search(r"Requests/sec:\s*([\d.]+)", run.stdout).group(1))


def big_send(scene, harness):
    """MB a second of one sendall() of 100 MB in Python."""
    report = scene.path("report", b"")
    server = scene.start(harness.PYTHON, harness.PEER, "server", "--do", "upload", "--size",
                         str(BIG_SEND), "--cert", scene.cert.cert, "--key", scene.cert.key)
    port = int(harness.wait_for(lambda: re.match(rb"port (\d+)\n", server.output()),
                                "the peer's port").group(1))
    client = scene.run_program(harness.PYTHON, harness.PEER, "client", "--do", "upload", "--size",
                               str(BIG_SEND), "--port", str(port), "--report", report, "--timed")
    server.stop()
    return BIG_SEND / 1e6 / float(client.output())


def scenarios(scene, harness, servers, args):
    """name -> (unit, function that measures once)."""
    _, port = servers.nginx(scene, {"1k": b"x" * 1024, "100k": b"y" * 102400})
    url = f"https://127.0.0.1:{port}"

    def load(path, headers=()):
        return lambda: wrk(f"{url}/{path}", args.seconds, args.connections, headers)
    return {
        "1 KiB, keep-alive": ("requests/s", load("1k")),
        "100 KiB, keep-alive": ("requests/s", load("100k")),
        "1 KiB, new connection each": ("requests/s", load("1k", ["Connection: close"])),
        "100 KiB, new connection each": ("requests/s", load("100k", ["Connection: close"])),
        "100 MB, one Python sendall": ("MB/s", lambda: big_send(scene, harness)),
    }


def measure(harness, what, mode, extra):
    """One measurement in one mode."""
    run = Run(harness, MODES[mode] + extra) if MODES[mode] is not None else None
    try:
        begin = time.monotonic()
        rate = what()
        seconds = time.monotonic() - begin
    except BaseException:
        if run:
            run.process.kill()
            run.process.wait()
        raise
    return {"rate": rate, "seconds": seconds, **(run.stop() if run else {})}


def rounds(harness, name, what, args, extra):
    """All rounds of one scenario; the order turns, so that no mode is always the first."""
    modes, found = list(MODES), {mode: [] for mode in MODES}
    for number in range(args.rounds):
        turn = number % len(modes)
        for mode in modes[turn:] + modes[:turn]:
            found[mode].append(measure(harness, what, mode, extra))
            print(f"  {name}: round {number + 1}, {mode}: {found[mode][-1]['rate']:.0f}",
                  file=sys.stderr, flush=True)
    return found


def summarize(unit, found):
    base = [item["rate"] for item in found["none"]]
    result = {"unit": unit, "none": {"rate": statistics.median(base), "rates": base}}
    for mode in MODES:
        if MODES[mode] is None:
            continue
        items = found[mode]
        kept = [item["rate"] / rate for item, rate in zip(items, base)]
        result[mode] = {
            "rate": statistics.median(item["rate"] for item in items),
            "rates": [item["rate"] for item in items],
            "kept_median": statistics.median(kept), "kept_min": min(kept), "kept_max": max(kept),
            "gaps": sum(item["gaps"] for item in items),
            "gap_bytes": sum(item["gap_bytes"] for item in items),
            "captured_bytes": sum(item["captured_bytes"] for item in items),
            "cpu_seconds": sum(item["cpu_seconds"] for item in items),
            "seconds": sum(item["seconds"] for item in items),
            "max_rss_mb": max(item["max_rss_mb"] for item in items),
        }
    return result


def output_of(*argv):
    run = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (run.stdout + run.stderr).strip().split("\n")[0]


def machine(args):
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1])
    return {
        "cpu": model.group(1) if model else platform.machine(),
        "cores": os.cpu_count(), "memory_mb": memory // 1024,
        "kernel": platform.release(),
        "openssl": output_of("openssl", "version"),
        "nginx": output_of("/usr/sbin/nginx", "-v"),
        "cleartap": output_of(os.path.join(ROOT, args.build, "cleartap"), "--version"),
        "rounds": args.rounds, "seconds": args.seconds, "connections": args.connections,
        "tapped": args.scope,
    }


def table(results):
    lines = ["| scenario | without | output | with | kept: median (min..max) | gaps | "
             "CPU of cleartap | peak RSS |",
             "|---|---|---|---|---|---|---|---|"]
    for name, result in results.items():
        for mode in MODES:
            if MODES[mode] is None:
                continue
            item = result[mode]
            lines.append(
                f"| {name} | {result['none']['rate']:.0f} {result['unit']} | {mode} | "
                f"{item['rate']:.0f} | {item['kept_median']:.2f} "
                f"({item['kept_min']:.2f}..{item['kept_max']:.2f}) | {item['gaps']} | "
                f"{item['cpu_seconds']:.1f} s of {item['seconds']:.0f} s | "
                f"{item['max_rss_mb']:.0f} MB |")
    return "\n".join(lines)


def parse():
    parser = argparse.ArgumentParser(description="Measures what cleartap costs.")
    parser.add_argument("--build", default="build", help="folder with the built cleartap")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of one measurement")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--scope", choices=["both", "server"], default="both",
                        help="tap nginx and wrk, or nginx only")
    parser.add_argument("--only", metavar="PATTERN", help="scenarios whose names match this regex")
    parser.add_argument("--output", default=None, help="JSON file (BUILD/bench.json)")
    return parser.parse_args()


def main():
    args = parse()
    os.environ["CLEARTAP_BUILD"] = os.path.join(ROOT, args.build)
    import harness
    import servers
    from demo import Scene
    if os.geteuid() != 0:
        sys.exit("bench: cleartap needs root: sudo make bench")
    harness.need("wrk", "openssl")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(
        resource.RLIMIT_NOFILE)[1]))
    results = {}
    with tempfile.TemporaryDirectory(prefix="cleartap-bench-") as folder:
        os.chmod(folder, 0o755)
        scene = Scene(folder, harness)
        try:
            extra = ["--exe", servers.program("nginx")] if args.scope == "server" else []
            for name, (unit, what) in scenarios(scene, harness, servers, args).items():
                if args.only and not re.search(args.only, name):
                    continue
                results[name] = summarize(unit, rounds(harness, name, what, args, extra))
        finally:
            scene.stop()
    looks = {}
    if not args.only or re.search(args.only, "resolve"):
        import resolve
        looks = resolve.measure(harness, args.rounds)
    info = machine(args)
    path = args.output or os.path.join(ROOT, args.build, "bench.json")
    with open(path, "w") as file:
        json.dump({"machine": info, "results": results, "resolve": looks}, file, indent=2)
    print("\n" + "\n".join(f"{key}: {value}" for key, value in info.items()))
    if results:
        print("\n" + table(results))
    if looks:
        print("\n" + resolve.table(looks))
    print(f"\nas JSON: {path}")


if __name__ == "__main__":
    main()
