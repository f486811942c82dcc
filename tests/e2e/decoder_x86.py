# SPDX-License-Identifier: Apache-2.0
"""What objdump says about x86-64 instructions, for decoder_check.py."""

import re

OBJDUMP = ["objdump", "-d", "-w", "-j", ".text"]
LINE = re.compile(r"^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+) *\t?(.*)$")
PREFIX = r"(?:rex(?:\.[WRXB]+)?|data16|addr32|lock|repz?|repnz|[c-gs]s|bnd|notrack|xacquire|xrelease)"
# What objdump prints in data: where it gives up, lone prefixes, vector instructions behind a prefix
# with which they are invalid, and branches that Intel's and AMD's processors read differently.
NOT_CODE = re.compile(r"\(bad\)|^\.byte|^(?:%s ?)+$|^(?:rex\S*|repn?z|data16|lock) (?:\S+ )*v|"
                      r"^(?:%s )*(?:jmpw|callw) +[0-9a-f]" % (PREFIX, PREFIX))

NAMES = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"]
WIDE = {f"r{name}": number for number, name in enumerate(NAMES)}
WIDE.update({f"r{number}": number for number in range(8, 16)})
NARROW = {f"e{name}": number for number, name in enumerate(NAMES)}
NARROW.update({f"r{number}d": number for number in range(8, 16)})

BRANCH = re.compile(r"^(?:%s )*(call|jmp|j[a-z]+|loop[a-z]*)(?:,p[nt])? +([0-9a-f]+)\b(?!.*\*)" % PREFIX)
INDIRECT = re.compile(r"^(?:%s )*l?(call|jmp) +\*" % PREFIX)
RETURN = re.compile(r"^(?:%s )*(?:l?ret|iret)[lqw]?\b" % PREFIX)
CONSTANT = re.compile(r"^(?:mov|movabs) +\$0x([0-9a-f]+),%(\w+)$")
ADDRESS = re.compile(r"^lea +-?0x[0-9a-f]+\(%rip\),%(\w+) +# ([0-9a-f]+)")
MOVE = re.compile(r"^(mov|xor) +%(\w+),%(\w+)$")


def instructions(line):
    match = LINE.match(line)
    if not match:
        return
    address, code, text = int(match.group(1), 16), match.group(2).split(), match.group(3).strip()
    if not text or NOT_CODE.search(text):
        yield address, 0, None
        return
    length = len(code)
    if code[0] == "9b" and length > 1:
        # objdump shows fwait and the instruction after it as one.
        yield address, 1, "fwait"
        address, length = address + 1, length - 1
    yield address, length, text


def moved(operation, source, target):
    for names, width in ((WIDE, 8), (NARROW, 4)):
        if source not in names or target not in names:
            continue
        if operation == "mov":
            return {"kind": "mov", "src": names[source], "dst": names[target], "width": width}
        if source == target:
            return {"kind": "zero", "dst": names[target]}
    return {}


def expected(text, _address):
    """Fields of the decoder's output; None: must not be there."""
    match = BRANCH.match(text)
    if match:
        kind = match.group(1) if match.group(1) in ("call", "jmp") else "jcc"
        return {"kind": kind, "target": int(match.group(2), 16)}
    match = INDIRECT.match(text)
    if match:
        return {"kind": match.group(1) + "_indirect"}
    if RETURN.match(text):
        return {"kind": "ret"}
    match = CONSTANT.match(text)
    if match and (match.group(2) in WIDE or match.group(2) in NARROW):
        register = WIDE.get(match.group(2), NARROW.get(match.group(2)))
        return {"kind": "const", "dst": register, "value": int(match.group(1), 16) or None}
    match = ADDRESS.match(text)
    if match and match.group(1) in WIDE:
        return {"kind": "lea", "dst": WIDE[match.group(1)], "src": None, "base": 254,
                "index": None, "target": int(match.group(2), 16)}
    match = MOVE.match(text)
    if match:
        return moved(*match.groups())
    if text.startswith("cmov"):
        return {"kind": "other"}
    return {}
