# SPDX-License-Identifier: Apache-2.0
"""What objdump says about AArch64 instructions, for decoder_check.py."""

import re

OBJDUMP = ["aarch64-linux-gnu-objdump", "-d", "-w", "-M", "no-aliases", "-j", ".text"]
LINE = re.compile(r"^ *([0-9a-f]+):\t([0-9a-f]{8}) *\t(.*)$")
# Of floating point, SIMD, SVE and SME the decoder does not know what is no instruction.
LENIENT = {0, 2, 7, 15}
ADDRESS = re.compile(r"\[([^]]*)\](!?)(?:, (.*))?$")
SCALABLE = re.compile(r"\b(?:[zp][0-9]+|za[0-9hvt]*|pn[0-9]+)\b")
ALL_BUT_SP = 0x7fffffff
PC, ANY = 254, 255

ATOMIC = re.compile(r"^(?:ld(?:add|clr|eor|set|[su]max|[su]min)|swp)(?!ur)(?:a?l?)[bh]?$")
SIZES = {"b": 1, "h": 2}
NO_RESULT = {"ccmp", "ccmn", "setf8", "setf16", "rmif", "wfet", "wfit", "ctermeq", "ctermne",
             "cbz", "cbnz", "tbz", "tbnz", "br", "blr", "ret"}
INDIRECT = {"br": "jmp", "braa": "jmp", "brab": "jmp", "braaz": "jmp", "brabz": "jmp",
            "blr": "call", "blraa": "call", "blrab": "call", "blraaz": "call", "blrabz": "call"}
STOPS = {"udf", "brk", "hlt", "dcps1", "dcps2", "dcps3"}
RETURNS = {"ret", "retaa", "retab", "eret", "eretaa", "eretab", "drps"}


def instructions(line):
    match = LINE.match(line)
    if not match:
        return
    address, word = int(match.group(1), 16), int(match.group(2), 16)
    text = match.group(3).replace("\t", " ").strip()
    if doubtful(text) or lacks_ones(word):
        yield address, 0, None
    elif "undefined" in text:
        yield address, 0, None if word >> 25 & 15 in LENIENT else text
    else:
        yield address, 4, text


def doubtful(text):
    """What processors need not do alike, what is for kernels, what objdump is not sure of."""
    if text.startswith(("ldgm", "stgm", "stzgm")) or "unpredictable" in text or "note:" in text or "NYI" in text:
        return True
    # System registers that do not exist.
    if re.search(r"\bs0_[0-9]_", text):
        return True
    name, operands = split(text)
    if not re.match(r"(?:ld|st)(?:n?p|psw|u?r|tr|ra|xp|axp)", name) or operands[0][0] not in "xw":
        return False
    base = re.search(r"\[(\w+)", text)
    registers = [register(op) for op in operands[:2] if op[0] in "xw"]
    if name[0] == "l" and len(operands) > 2 and operands[0] == operands[1]:
        return True
    changed = base and ("]!" in text or "], " in text)
    return bool(changed and base.group(1) != "sp" and register(base.group(1)) in registers)


def lacks_ones(word):
    """Exclusive and ordered accesses: registers that are not there should be 31."""
    if word & 0x3f000000 != 0x08000000:
        return False
    rs, rt2 = word >> 16 & 31, word >> 10 & 31
    ordered, load, two = word & 1 << 23, word & 1 << 22, word & 1 << 21
    if two and not ordered:
        return bool(load and word >> 31 and rs != 31)
    return rt2 != 31 or rs != 31 and bool(not two if ordered else load)


def register(text):
    """Number of a general register; 31 is the stack pointer, None the zero register or none."""
    if text in ("sp", "wsp"):
        return 31
    match = re.fullmatch(r"[xw]([0-9]+)", text)
    return int(match.group(1)) if match else None


def bit(text):
    number = register(text)
    return 0 if number is None else 1 << number


def number(text):
    return int(text.lstrip("#"), 0)


def split(text):
    """Mnemonic and operands; commas in brackets do not count."""
    text = re.sub(r" *(?://|;).*", "", text)
    name, _, rest = text.partition(" ")
    return name, re.findall(r"(?:\{[^}]*\}(?:\[[0-9]+\])?|\[[^]]*\]!?|[^,\[{]+)", rest.replace(", ", ","))


def shifted(operands):
    """A constant with the shift that may follow it."""
    value = number(operands[0])
    return value << number(operands[1].split()[1]) if len(operands) > 1 else value


def simd_bytes(name, operands):
    """Bytes that a SIMD store writes."""
    first = operands[0]
    if first[0] == "{":
        names = first[1:].split("}")[0].replace(" ", "")
        match = re.search(r"\.([0-9]*)([bhsd])", names)
        size = {"b": 1, "h": 2, "s": 4, "d": 8}[match.group(2)]
        count = names.count(",") + 1
        if "-" in names:
            low, high = [int(n) for n in re.findall(r"v([0-9]+)", names)]
            count = (high - low) % 32 + 1
        return count * size * (1 if first.endswith("]") else int(match.group(1)))
    size = {"b": 1, "h": 2, "s": 4, "d": 8, "q": 16}[first[0]]
    return size * (2 if name in ("stp", "stnp") else 1)


def place(text):
    """The fields of an address, and the bit of its base when that changes."""
    inside, mark, after = ADDRESS.search(text).groups()
    base, *rest = inside.split(",")
    rest = [part.strip() for part in rest]
    fields = {"memory": 1, "base": register(base), "index": None, "disp": None, "step": None}
    changed = 0
    if rest and rest[0].startswith("#"):
        fields["disp"] = number(rest[0]) or None
    elif rest:
        fields["index"] = register(rest[0])
    if mark:
        fields["step"] = fields["disp"]
    elif after:
        fields["step"] = number(after) or None if after.startswith("#") else None
    if mark or after:
        changed = 1 << fields["base"]
    return fields, changed


def stored(name, operands, fields):
    """A store of general registers."""
    size = SIZES.get(name[-1], 8 if operands[0][0] == "x" else 4)
    pair = name in ("stp", "stnp")
    fields.update({"kind": "store", "width": size, "src": register(operands[0]),
                   "src2": register(operands[1]) if pair else None,
                   "stores": 2 * size if pair else size})


def loaded(name, operands, fields):
    """A load of general registers."""
    pair = name in ("ldp", "ldnp")
    extends = re.fullmatch(r"ld(?:r|ur|tr|apur)[bh]?|ldn?p", name)
    if extends and register(operands[0]) is not None:
        fields.update({"kind": "load",
                       "width": SIZES.get(name[-1], 8 if operands[0][0] == "x" else 4),
                       "dst": register(operands[0]),
                       "dst2": register(operands[1]) if pair else None})


def access(name, operands, text):
    """Fields of an instruction with an address in brackets."""
    fields, writes = place(re.sub(r" *(?://|;).*", "", text[text.index(" [") + 1:]))
    before = [op for op in operands if not op.startswith("[")]
    if fields["step"] or writes and len(operands) and not operands[-1].startswith("["):
        before = before[:-1] if not operands[-1].startswith("[") else before
    fields.update({"kind": "other", "stores": None})
    if name.startswith(("prf", "rprfm")):
        return {"kind": "nop", "writes": None, "memory": None, "base": None}
    if ATOMIC.match(name):
        writes |= bit(before[1])
        size = SIZES.get(name[-1], 8 if before[1][0] == "x" else 4)
        fields["stores"] = size
    elif name.startswith("cas"):
        for op in before[:2 if name.startswith("casp") else 1]:
            writes |= bit(op)
        fields.pop("stores")
    elif name == "ld64b":
        first = register(before[0])
        writes |= sum(1 << first + i for i in range(8) if first + i < 31)
    elif name.startswith("ld"):
        for op in before:
            writes |= bit(op)
        if name.startswith("ldapur") or not name.startswith(("ldra", "ldx", "ldax", "lda", "ldl")):
            loaded(name, before, fields)
        if name.startswith("ldra"):
            for unknown in ("disp", "step"):
                fields.pop(unknown)
    elif re.match(r"st(?:xr|lxr|xp|lxp|64bv)", name):
        writes |= bit(before[0])
        fields.pop("stores")
    elif name.startswith(("st64", "st2g", "stg", "stz", "stlr", "stllr")):
        for unknown in ("stores", "kind"):
            fields.pop(unknown)
    elif before[0][0] in "xw":
        stored(name, before, fields)
    else:
        fields["stores"] = simd_bytes(name, before)
    fields["writes"] = writes or None
    return fields


def sum_of(operands):
    """add of two registers, 64 bits."""
    target, left, right = [register(op) for op in operands[:3]]
    extension = operands[3].split() if len(operands) > 3 else ["lsl", "#0"]
    if right is None or extension[0] not in ("lsl", "uxtx", "sxtx"):
        return {"kind": "other"}
    amount = len(extension) > 1 and number(extension[1])
    if not amount and target in (left, right):
        return {"kind": "add", "width": 8, "dst": target, "memory": None,
                "src": right if target == left else left}
    return {"kind": "lea", "dst": target, "src": None, "base": left, "index": right}


def arithmetic(name, operands):
    """add, adds, sub, subs"""
    target, source = register(operands[0]), register(operands[1])
    wide = operands[0] == "sp" or operands[0][0] == "x" and operands[0] != "xzr"
    if target is None and name == "subs" and operands[2].startswith("#") and "sp" not in operands[1]:
        return {"kind": "compare", "src": source, "value": shifted(operands[2:]) or None}
    if target is None:
        return {"kind": "other"}
    if not operands[2].startswith("#"):
        if name.startswith("add") and wide and source is not None:
            return sum_of(operands)
        return {"kind": "other"}
    value = shifted(operands[2:])
    if not value:
        return {"kind": "mov", "dst": target, "src": source, "width": 8 if wide else 4}
    if not wide:
        return {"kind": "other"}
    return {"kind": "lea", "dst": target, "src": source, "base": source,
            "disp": -value if name.startswith("sub") else value}


def constant(target, value):
    if register(target) is None:
        return {"kind": "other"}
    if target[0] == "w":
        value &= 0xffffffff
    return {"kind": "const" if value else "zero", "dst": register(target), "value": value or None}


def moved(name, operands):
    """movz, movn and orr, which all may be called mov."""
    target = operands[0]
    if name == "movz":
        return constant(target, shifted(operands[1:]))
    if name == "movn":
        return constant(target, ~shifted(operands[1:]) & 0xffffffffffffffff)
    if register(target) is None or operands[1] not in ("xzr", "wzr") or len(operands) > 3:
        return {"kind": "other"}
    if operands[2].startswith("#"):
        return constant(target, number(operands[2]))
    if register(operands[2]) is None:
        return {"kind": "zero", "dst": register(target), "src": None}
    return {"kind": "mov", "dst": register(target), "src": register(operands[2]),
            "width": 8 if target[0] == "x" else 4}


def hinted(value):
    if value in (8, 10, 12, 14):
        return {"kind": "other", "writes": 1 << 17}
    if value == 40:
        return {"kind": "other", "writes": 1 << 16}
    return {"kind": "nop", "writes": 1 << 30 if value == 7 or 24 <= value <= 31 else None}


def branch(name, operands):
    """Fields of what goes elsewhere or nowhere."""
    if name in ("b", "bl"):
        return {"kind": "jmp" if name == "b" else "call", "target": int(operands[0].split()[0], 16)}
    if name.startswith(("b.", "bc.")) or name in ("cbz", "cbnz", "tbz", "tbnz"):
        return {"kind": "jcc", "target": int(operands[-1].split()[0], 16) or None, "writes": None}
    if name in INDIRECT:
        return {"kind": INDIRECT[name] + "_indirect", "src": register(operands[0]),
                "writes": 1 << 30 if INDIRECT[name] == "call" else None, "memory": None}
    if name in RETURNS:
        return {"kind": "ret", "writes": None}
    if name in STOPS:
        return {"kind": "stop", "writes": None}
    return {}


def expected(text, address):
    """Fields of the decoder's output; None: must not be there."""
    name, operands = split(text)
    fields = branch(name, operands)
    if fields:
        return fields
    if name == "hint":
        return hinted(number(operands[0]))
    if name in ("svc", "hvc", "smc"):
        return {"kind": "other", "writes": ALL_BUT_SP}
    if SCALABLE.search(text) and " [" not in text and bit(operands[0]):
        return {"kind": "other", "writes": bit(operands[0])}
    if SCALABLE.search(text):
        return {"kind": "other"} | ({"memory": 1} if " [" in text and name != "adr" else {})
    if name.startswith(("cpy", "set")) and " [" in text:
        writes = sum(bit(op.strip("[]!")) for op in operands[:2 if name[0] == "s" else 3])
        return {"kind": "other", "memory": 1, "stores": ANY, "writes": writes}
    if " [" in text:
        return access(name, operands, text)
    writes = bit(operands[0]) if operands and name not in NO_RESULT else 0
    if name in ("adr", "adrp"):
        target = int(operands[1].split()[0], 16)
        return {"kind": "lea" if writes else "other", "target": target if writes else None,
                "base": PC if writes else None, "writes": writes or None}
    if name in ("add", "adds", "sub", "subs") and operands[0][0] in "xws":
        fields = arithmetic(name, operands) if register_like(operands[0]) else {"kind": "other"}
    elif name in ("movz", "movn") or name == "orr" and register_like(operands[0]):
        fields = moved(name, operands)
    elif name.startswith("ld") and len(operands) == 2:  # from a place that is named
        target = int(operands[1].split()[0], 16)
        fields = {"kind": "other", "base": PC, "target": target or None, "memory": 1}
        if name == "ldr":
            loaded(name, operands, fields)
    elif name == "prfm":
        fields = {"kind": "nop"}
    elif name == "sys":
        fields = {}
    else:
        fields = {"kind": "other", "memory": None, "stores": None}
    fields["writes"] = writes or None
    return fields


def register_like(text):
    return text in ("sp", "wsp", "xzr", "wzr") or register(text) is not None
