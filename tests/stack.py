#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that every uprobe program in a BPF object stays below 64 bytes of stack.

From 64 bytes on newer kernels give a program a private stack for each CPU; a uprobe program can be
preempted there, and another one would overwrite it (docs/design). The figure is the deepest use of
r10 in each function, in whole words as the verifier counts it, added up along the deepest chain of
calls. bpf_loop callbacks are calls.

stack.py OBJECT...; exits with 1 when a program uses too much; -v prints all figures.
"""
import re
import subprocess
import sys

LIMIT = 64
PROBES = ("uprobe", "uretprobe")


class Function:
    def __init__(self, section, name):
        self.section, self.name = section, name
        self.depth = 0
        self.callees = set()


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def symbols(path):
    """(section, address) -> function name."""
    found = {}
    for line in run("llvm-objdump", "-t", path).splitlines():
        match = re.match(r"([0-9a-f]+) [lgw ]\s+F (\S+)\s+[0-9a-f]+ (?:\.\w+ )?(\S+)$", line)
        if match:
            found[match.group(2), int(match.group(1), 16)] = match.group(3)
    return found


def parse(path):
    """name -> Function, from the disassembly with its relocations."""
    names, functions = symbols(path), {}
    section, function, pending, last = "", None, {}, ""
    text = run("llvm-objdump", "-dr", "--no-show-raw-insn", path)
    for line in text.splitlines():
        if match := re.match(r"Disassembly of section (\S+):", line):
            section = match.group(1)
        elif match := re.match(r"([0-9a-f]+) <", line):
            name = names.get((section, int(match.group(1), 16)))
            if name:
                function = functions.setdefault(name, Function(section, name))
                pending = {}
        elif "R_BPF" in line:
            relocation(line, last, function, names)
        elif function and (match := re.match(r"\s*\d+:\s+(.*)", line)):
            last = match.group(1)
            instruction(last, function, pending)
    return functions


def instruction(text, function, pending):
    """pending: registers that hold r10 and whether their offset is still to come."""
    for offset in re.findall(r"\(r10 - (0x[0-9a-f]+|\d+)\)", text):
        function.depth = max(function.depth, int(offset, 0))
    if match := re.match(r"(r\d) = r10$", text):
        pending[match.group(1)] = True
    elif match := re.match(r"(r\d) \+= -(0x[0-9a-f]+|\d+)$", text):
        if pending.pop(match.group(1), False):
            function.depth = max(function.depth, int(match.group(2), 0))


def relocation(line, last, function, names):
    """A call, or the address of a callback, of a function in .text."""
    match = re.search(r"R_BPF_(64_32|64_64)\s+(\S+)", line)
    kind, target = match.groups()
    if target in names.values():
        function.callees.add(target)
    elif target == ".text":
        # The place in the section is in the instruction: in instructions from the next one for a
        # call, in bytes for an address.
        if kind == "64_32":
            where = (int(last.split()[1], 0) + 1) * 8
        else:
            where = int(re.search(r"= (0x[0-9a-f]+|\d+)", last).group(1), 0)
        function.callees.add(names[".text", where])


def chain(functions, name, above=()):
    """The deepest chain of calls from a function: (bytes, names)."""
    if name in above:
        raise SystemExit(f"{name} calls itself")
    function = functions[name]
    deepest, path = 0, ()
    for callee in sorted(function.callees):
        below, names = chain(functions, callee, (*above, name))
        if below > deepest or not path:
            deepest, path = below, names
    own = (function.depth + 7) // 8 * 8
    return own + deepest, ((name, function.depth), *path)


def main():
    args = sys.argv[1:]
    verbose = "-v" in args
    bad = probes = 0
    for path in [arg for arg in args if arg != "-v"]:
        functions = parse(path)
        for name, function in sorted(functions.items()):
            if function.section.split("/")[0].split(".")[0] not in PROBES:
                continue
            probes += 1
            total, path_of = chain(functions, name)
            if verbose or total >= LIMIT:
                steps = " > ".join(f"{step} {depth}" for step, depth in path_of)
                print(f"{name}: {total} bytes of stack ({steps})")
            bad += total >= LIMIT
    if not probes:
        raise SystemExit("no uprobe program found")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
