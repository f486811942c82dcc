#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the instruction decoder with objdump, instruction by instruction.

usage: decoder_check.py INSN_DUMP FILE...

INSN_DUMP is the helper built from tests/unit/insn_dump.c. x86-64 and AArch64 files: lengths, and of
what the decoder says that which decoder_x86.py and decoder_arm64.py can read from objdump's text.
Where objdump finds no instruction there is nothing to compare, or the decoder must refuse it; the
comparison goes on after it. Exit status 1 when there is a difference, 77 (skipped) when objdump or
all files are missing.
"""

import os
import shutil
import subprocess
import sys

import decoder_arm64
import decoder_x86

SHOWN_MAX = 20
MACHINES = {62: decoder_x86, 183: decoder_arm64}  # EM_...


def machine_of(path):
    with open(path, "rb") as file:
        header = file.read(20)
    return MACHINES[int.from_bytes(header[18:20], "little")]


def listing(machine, path):
    """objdump's instructions: (address, length, text), all that machine.instructions() yields."""
    with subprocess.Popen([*machine.OBJDUMP, path], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            yield from machine.instructions(line)


def runs(instructions):
    """Splits into lists of instructions that follow each other; length 0 is none, on its own."""
    run = []
    for address, length, text in instructions:
        if run and (not length or run[-1][0] + run[-1][1] != address):
            yield run
            run = []
        if length:
            run.append((address, length, text))
        elif text is not None:
            yield [(address, 0, text)]
    if run:
        yield run


def ours(dump, path, ranges):
    """What the decoder says: address to length and the fields after it."""
    text = "".join(f"{run[0][0]:x} {run[-1][0] + (run[-1][1] or 1):x}\n" for run in ranges)
    output = subprocess.run([dump, path], input=text, capture_output=True, text=True, check=True)
    result = {}
    for line in output.stdout.splitlines():
        address, length, *fields = line.split(" ", 2)
        result[int(address, 16)] = (int(length), fields[0] if fields else "")
    return result


def disagreement(machine, address, text, fields):
    """Names of the fields that contradict objdump's text, with its and our value."""
    expected = machine.expected(text, address)
    if not expected:
        return ""
    got = dict(field.split("=") for field in fields.split(" "))
    return ", ".join(f"{name}: objdump {value}, ours {got.get(name)}"
                     for name, value in expected.items()
                     if got.get(name) != (None if value is None else str(value)))


def check(dump, path):
    """Number of differences; prints the first ones."""
    machine = machine_of(path)
    expected = list(runs(listing(machine, path)))
    got = ours(dump, path, expected)
    total = refused = different = 0
    for run in expected:
        for address, length, text in run:
            if length:
                total += 1
            else:
                refused += 1
            our_length, fields = got.get(address, (None, ""))
            wrong = ""
            if our_length != length:
                wrong = f"length: objdump {length}, ours {our_length}"
            elif length:
                wrong = disagreement(machine, address, text, fields)
            if not wrong:
                continue
            different += 1
            if different <= SHOWN_MAX:
                print(f"  {address:x}: {text}: {wrong}")
            if our_length != length:
                break
    print(f"{path}: {total} instructions compared, {refused} that are none, "
          f"{different} differences")
    return different


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    files = [path for path in sys.argv[2:] if os.path.exists(path)]
    files = [path for path in files if shutil.which(machine_of(path).OBJDUMP[0])]
    if not files:
        print("skipped: objdump or the files are missing")
        sys.exit(77)
    different = 0
    for path in files:
        different += check(sys.argv[1], path)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
