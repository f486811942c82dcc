#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what the sinks print with the expected files: run.py RENDER [--update]."""

import base64
import difflib
import json
import pathlib
import re
import subprocess
import sys

FORMATS = ("text", "text-colour", "hex", "json", "keylog")
HERE = pathlib.Path(__file__).parent


def render(binary, fmt):
    return subprocess.run([binary, fmt], check=True, stdout=subprocess.PIPE, timeout=60).stdout


def lines(data):
    """Lines without a control character, so that a diff can be shown on any terminal."""
    text = data.decode("utf-8", "backslashreplace").replace("\x1b", "<ESC>")
    return [line + "\n" for line in text.split("\n")]


def compare(fmt, got, update):
    path = HERE / (fmt + ".out")
    if update:
        path.write_bytes(got)
        return True
    want = path.read_bytes() if path.exists() else b""
    if got == want:
        return True
    sys.stdout.writelines(
        difflib.unified_diff(lines(want), lines(got), path.name, "render " + fmt))
    return False


def json_payloads(output):
    """The payload of each data event, as (connection, direction, offset, bytes)."""
    for number, line in enumerate(output.decode("utf-8").splitlines(), 1):
        event = json.loads(line)
        if event["type"] != "data":
            continue
        if ("text" in event) == ("base64" in event):
            raise ValueError(f"line {number}: neither or both of text and base64")
        if "text" in event:
            data = event["text"].encode("utf-8")
        else:
            data = base64.b64decode(event["base64"], validate=True)
        if len(data) != event["len"]:
            raise ValueError(f"line {number}: {len(data)} bytes, but len is {event['len']}")
        if data:
            yield event["conn"], event["dir"], event["offset"], data


def hex_payloads(output):
    """The same from the hex dump, which is made by other code; chunks of a stream joined."""
    header = re.compile(r".* #(\d+) (?:\S+ [<>] \S+ )?(in|out)$")
    dump = re.compile(r"([0-9a-f]{8,16})  ((?:[0-9a-f]{2} {1,2})+) *\|.*\|$")
    stream = None
    for line in output.decode("utf-8").splitlines():
        match = header.match(line)
        if match:
            stream = (int(match[1]), match[2])
            continue
        match = dump.match(line)
        if match:
            yield *stream, int(match[1], 16), bytes.fromhex(match[2])


def json_secrets(output):
    """The key log that the secret events make: the first of each label and client random."""
    seen = {}
    for line in output.decode("utf-8").splitlines():
        event = json.loads(line)
        if event["type"] == "secret":
            seen.setdefault((event["label"], event["client_random"]), event["secret"])
    return "".join(f"{label} {random} {secret}\n" for (label, random), secret in seen.items())


def joined(payloads):
    """{(connection, direction, offset): byte}: independent of where the chunks end."""
    return {(conn, way, offset + i): byte
            for conn, way, offset, data in payloads for i, byte in enumerate(data)}


def main():
    if len(sys.argv) < 2 or (len(sys.argv) > 2 and sys.argv[2:] != ["--update"]):
        sys.exit("usage: run.py RENDER [--update]")
    outputs = {fmt: render(sys.argv[1], fmt) for fmt in FORMATS}
    ok = True
    for fmt, output in outputs.items():
        ok &= compare(fmt, output, len(sys.argv) > 2)
    if joined(json_payloads(outputs["json"])) != joined(hex_payloads(outputs["hex"])):
        print("the payload bytes in json and hex differ")
        ok = False
    if json_secrets(outputs["json"]).encode() != outputs["keylog"]:
        print("the secrets in json and keylog differ")
        ok = False
    colourless = re.sub(rb"\x1b\[[0-9;]*m", b"", outputs["text-colour"])
    if colourless != outputs["text"]:
        print("text-colour without its colours is not text")
        ok = False
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
