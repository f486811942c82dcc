# SPDX-License-Identifier: Apache-2.0
"""Builds sslprog.c, once in a run, in each way that a test wants it."""
import os
import subprocess
import tempfile

from harness import HERE, HarnessError, need

WAYS = {
    "sslprog": ["-lssl", "-lcrypto"],
    "sslprog-static": ["-static", "-lssl", "-lcrypto", "-lpthread", "-ldl"],
    "sslprog-stripped": ["-static", "-s", "-lssl", "-lcrypto", "-lpthread", "-ldl"],
}
_folder = None


def build(name):
    """Returns the path of the program."""
    global _folder
    need("gcc")
    if _folder is None:
        _folder = tempfile.TemporaryDirectory(prefix="cleartap-clients-")
        os.chmod(_folder.name, 0o755)
    path = os.path.join(_folder.name, name)
    if not os.path.exists(path):
        run = subprocess.run(["gcc", "-O1", "-Wall", "-o", path, f"{HERE}/sslprog.c",
                              *WAYS[name]], capture_output=True, text=True)
        if run.returncode:
            raise HarnessError(f"{name} does not build: {run.stderr}")
    return path
