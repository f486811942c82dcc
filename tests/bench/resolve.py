# SPDX-License-Identifier: Apache-2.0
"""How long it takes to find what there is to probe in a file, a part of bench.py.

Each file is looked into by `cleartap explain` in three ways, in turn: with the file out of the page
cache, with it there, and with the answer of an earlier look. Starting the program is included.
"""
import os
import statistics
import subprocess
import time

WAYS = ("disk", "memory", "cached")


def files(harness):
    """Name -> path of what the machine has; the rest is fetched as the tests do."""
    import programs

    found = {"libssl.so.3": "/usr/lib/x86_64-linux-gnu/libssl.so.3"}
    for name, program in (("Node", "node24"), ("Bun", "bun1.4")):
        found[f"{name} {programs.PROGRAMS[program][1]}"] = programs.get(program)
    found["Chromium"] = "/usr/lib/chromium/chromium"
    for name, path in found.items():
        if not os.path.exists(path):
            raise harness.HarnessError(f"{name}: there is no {path}")
    return found


def forget_pages(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def look(harness, path, way):
    """Seconds and the largest resident set in KiB."""
    if way == "disk":
        forget_pages(path)
    argv = [harness.CLEARTAP, "explain", *(["--no-cache"] if way != "cached" else []), path]
    begin = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise harness.HarnessError(f"{' '.join(argv)} ended with {process.returncode}")
    return seconds, usage.ru_maxrss


def measure(harness, rounds):
    results = {}
    for name, path in files(harness).items():
        look(harness, path, "cached")  # leaves its answer
        found = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                found[way].append(look(harness, path, way))
        results[name] = {"bytes": os.path.getsize(path)}
        for way in WAYS:
            seconds = [one[0] for one in found[way]]
            results[name][way] = {"median_s": statistics.median(seconds), "min_s": min(seconds),
                                  "max_s": max(seconds),
                                  "peak_rss_kib": max(one[1] for one in found[way])}
    return results


def table(results):
    lines = ["| file | size | " + " | ".join(f"{way}: ms, median (min..max)" for way in WAYS)
             + " | peak RSS |", "|---|---|" + "---|" * (len(WAYS) + 1)]
    for name, one in results.items():
        cells = [f"{one[way]['median_s'] * 1e3:.1f} ({one[way]['min_s'] * 1e3:.1f}.."
                 f"{one[way]['max_s'] * 1e3:.1f})" for way in WAYS]
        peak = max(one[way]["peak_rss_kib"] for way in WAYS)
        lines.append(f"| {name} | {one['bytes'] / 1e6:.1f} MB | " + " | ".join(cells)
                     + f" | {peak / 1024:.0f} MB |")
    return "\n".join(lines)
