#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Includes point downwards only, and each header compiles alone.

Prints a line for each violation and exits with 1 when there is any. With --header FILE it only
compiles that header.
"""
import concurrent.futures
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What a folder of src/ may include directly; everything below that is allowed as well.
EDGES = {
    "cmd": {"app"},
    "app": {"ui", "out", "net", "flow", "tls", "audit", "probe", "proc"},
    "ui": {"event"},
    "out": {"event"},
    "net": {"event"},
    "event": {"proto"},
    "proto": {"util"},
    "flow": {"event", "util", "bpf"},
    "tls": {"elf", "event"},
    "audit": {"elf", "event"},
    "elf": {"util"},
    "probe": {"bpf", "util"},
    "proc": {"util"},
    "util": set(),
    "bpf": set(),
    "": {"cmd"},  # main.c
}
# Of bpf/ only this one is shared with user space.
SHARED = "bpf/abi.h"
# System headers that one folder alone may know.
ONLY = [
    (re.compile(r"^(bpf|linux/bpf|linux/btf)\b"), "probe"),
    (re.compile(r"^(gelf|libelf|elfutils)\b"), "elf"),
    (re.compile(r"^(curses|ncurses|ncursesw|microhttpd)\b"), "ui"),
    (re.compile(r"^(pcap|openssl)\b"), "net"),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def below(folder):
    """The folder and everything under it."""
    found, todo = {folder}, [folder]
    while todo:
        for lower in EDGES.get(todo.pop(), ()):
            if lower not in found:
                found.add(lower)
                todo.append(lower)
    return found


def sources(top, *suffixes):
    for folder, _, files in os.walk(os.path.join(ROOT, top)):
        for name in sorted(files):
            if name.endswith(suffixes):
                yield os.path.relpath(os.path.join(folder, name), ROOT)


def check_ours(path, folder, name):
    """One include with quotes."""
    if name.endswith(".skel.h"):
        return [] if folder == "probe" else [f"{path}: only src/probe includes {name}"]
    if "/" not in name:
        if os.path.exists(os.path.join(ROOT, os.path.dirname(path), name)):
            return []
        if name == "version.h":  # made by the build
            return []
        return [f"{path}: \"{name}\" needs its folder"]
    target = name.split("/")[0]
    if target == "bpf" and name != SHARED:
        return [f"{path}: of bpf/ only {SHARED} is shared, not {name}"]
    if target not in EDGES:
        return [f"{path}: {target} is no known folder: add it to tests/layers.py"]
    if target not in below(folder):
        return [f"{path}: {folder or 'main'} must not include {name}"]
    return []


def check_file(path):
    parts = path.split("/")
    folder = parts[1] if len(parts) > 2 else ""
    if folder not in EDGES:
        return [f"{path}: {folder} is no known folder: add it to tests/layers.py"]
    problems = []
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    for kind, name in INCLUDE.findall(text):
        if kind == '"':
            problems += check_ours(path, folder, name)
            continue
        for pattern, owner in ONLY:
            if pattern.match(name) and folder != owner:
                problems.append(f"{path}: only src/{owner} includes <{name}>")
    return problems


def check_licence(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        head = file.readline() + file.readline()
    return [] if "SPDX-License-Identifier:" in head else [f"{path}: no SPDX line at the top"]


def compile_header(path):
    run = subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                          "-fsyntax-only", "-I", f"{ROOT}/src", "-I", ROOT, "-x", "c",
                          f"{ROOT}/{path}"], capture_output=True, text=True, check=False)
    return [f"{path}: does not compile alone: {run.stderr.strip()}"] if run.returncode else []


def main():
    problems = []
    for path in sources("src", ".c", ".h"):
        problems += check_file(path)
    for top in ("src", "bpf", "tests"):
        for path in sources(top, ".c", ".h", ".py"):
            problems += check_licence(path)
    headers = list(sources("src", ".h")) + [SHARED]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for found in pool.map(compile_header, headers):
            problems += found
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
