#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the instruction decoder with objdump, instruction by instruction.

usage: decoder_check.py INSN_DUMP FILE...

INSN_DUMP is the helper built from tests/unit/insn_dump.c. Only x86-64 files. Where objdump prints
"(bad)", or a prefix that stands alone, there is no instruction to compare: the comparison goes on
after it. Exit status 1 when there is a difference, 77 (skipped) when objdump or all files are
missing.
"""

import os
import re
import shutil
import subprocess
import sys

SHOWN_MAX = 20
LINE = re.compile(r"^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+) *\t?(.*)$")
PREFIX = r"(?:rex(?:\.[WRXB]+)?|data16|addr32|lock|repz?|repnz|[c-gs]s|bnd|notrack|xacquire|xrelease)"
# What objdump prints in data: where it gives up, lone prefixes, vector instructions behind a prefix
# with which they are invalid, and branches that Intel's and AMD's processors read differently.
NOT_CODE = re.compile(r"\(bad\)|^\.byte|^(?:%s ?)+$|^(?:rex\S*|repn?z|data16|lock) (?:\S+ )*v|"
                      r"^(?:%s )*(?:jmpw|callw) +[0-9a-f]" % (PREFIX, PREFIX))


def listing(path):
    """objdump's instructions: (address, first byte, length, text, whether it is code)."""
    command = ["objdump", "-d", "-w", "-j", ".text", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            match = LINE.match(line)
            if match:
                text = match.group(3).strip()
                code = match.group(2).split()
                yield (int(match.group(1), 16), code[0], len(code), text,
                       bool(text) and not NOT_CODE.search(text))


def runs(instructions):
    """Splits into lists of instructions that follow each other."""
    run = []
    for address, first, length, text, code in instructions:
        if run and (not code or run[-1][0] + run[-1][1] != address):
            yield run
            run = []
        if not code:
            continue
        if first == "9b" and length > 1:
            # objdump shows fwait and the instruction after it as one.
            run.append((address, 1, "fwait"))
            address, length = address + 1, length - 1
        run.append((address, length, text))
    if run:
        yield run


def ours(dump, path, ranges):
    text = "".join(f"{run[0][0]:x} {run[-1][0] + run[-1][1]:x}\n" for run in ranges)
    output = subprocess.run([dump, path], input=text, capture_output=True, text=True, check=True)
    result = {}
    for line in output.stdout.splitlines():
        address, length = line.split()
        result[int(address, 16)] = int(length)
    return result


def check(dump, path):
    """Number of differences; prints the first ones."""
    expected = list(runs(listing(path)))
    got = ours(dump, path, expected)
    total = different = 0
    for run in expected:
        for address, length, text in run:
            total += 1
            if got.get(address) == length:
                continue
            different += 1
            if different <= SHOWN_MAX:
                print(f"  {address:x}: objdump {length}, ours {got.get(address)}: {text}")
            break
    print(f"{path}: {total} instructions compared, {different} differences")
    return different


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    files = [path for path in sys.argv[2:] if os.path.exists(path)]
    if not shutil.which("objdump") or not files:
        print("skipped: objdump or the files are missing")
        sys.exit(77)
    different = 0
    for path in files:
        different += check(sys.argv[1], path)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
