#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs all tests: what `make check` calls.

A line for each test with its result and duration; what a failed test printed; and at the very end
one line "N passed, N failed, N skipped". The exit status is 1 when anything failed.
"""
import argparse
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FUZZ_SECONDS = 10
# Real code of different kinds; the decoder must find every instruction of it.
DECODED = ["/usr/lib/x86_64-linux-gnu/libssl.so.3", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
           "/usr/bin/openssl", "/usr/sbin/nginx", "/usr/aarch64-linux-gnu/lib/libc.so.6"]
STEP_TIMEOUT = 600  # of one program that is run; only a hang comes near it


class Results:
    """Counts, and prints each result as it comes."""

    def __init__(self):
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.failures = []

    def add(self, result, name, seconds, details=""):
        self.counts[result] += 1
        mark = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}[result]
        print(f"{mark} {name} ({seconds:.2f} s)", flush=True)
        if result == "failed":
            self.failures.append(name)
        if details and result != "passed":
            for line in details.rstrip().splitlines()[-60:]:
                print(f"     | {line}", flush=True)

    def summary(self):
        if self.failures:
            print("\nfailed:")
            for name in self.failures:
                print(f"  {name}")
        print(f"{self.counts['passed']} passed, {self.counts['failed']} failed, "
              f"{self.counts['skipped']} skipped", flush=True)
        return 1 if self.failures or not self.counts["passed"] else 0


class Runner:

    def __init__(self, args):
        self.args, self.results = args, Results()

    def wanted(self, name):
        return not self.args.only or re.search(self.args.only, name)

    def run(self, argv, env=None, timeout=STEP_TIMEOUT):
        """(exit status, everything it printed, seconds)."""
        begin = time.monotonic()
        try:
            run = subprocess.run(argv, cwd=ROOT, env={**os.environ, **(env or {})}, text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, errors="replace", timeout=timeout,
                                 check=False)
            code, text = run.returncode, run.stdout
        except subprocess.TimeoutExpired as error:
            code, text = -1, f"{error.stdout or ''}\nstill running after {timeout} s"
        except OSError as error:
            code, text = -1, str(error)
        return code, text, time.monotonic() - begin

    def step(self, name, argv, env=None, quiet=False):
        """One program that is one test; quiet: any output is a failure."""
        if not self.wanted(name):
            return True
        code, text, seconds = self.run(argv, env)
        good = code == 0 and not (quiet and text.strip())
        if not good:
            text = f"$ {' '.join(argv)}\n{text}\nexit status {code}"
        self.results.add("passed" if good else "failed", name, seconds, text)
        return good

    # Unit tests: cmocka programs that speak TAP

    def unit(self, build, label, env=None):
        programs = sorted(path for path in glob.glob(os.path.join(ROOT, build, "tests/unit/test_*"))
                          if os.access(path, os.X_OK) and os.path.isfile(path))
        if not programs and self.wanted(label):
            self.results.add("failed", f"{label}: no programs", 0, f"none in {build}/tests/unit")
        for path in programs:
            name = f"{label}/{os.path.basename(path)[5:]}"
            if self.wanted(name):
                self.tap_program(name, path, env)

    def tap_program(self, name, path, env):
        code, text, seconds = self.run([path], {"CMOCKA_MESSAGE_OUTPUT": "TAP", **(env or {})})
        planned = sum(int(count) for count in re.findall(r"(?m)^1\.\.(\d+)", text))
        tests = re.findall(r"(?m)^(not ok|ok)\b\s*\d*\s*-?\s*(.*)$", text)
        seen, failed = 0, 0
        for verdict, title in tests:
            title, _, directive = title.partition("#")
            seen += 1
            if directive.strip().upper().startswith("SKIP"):
                result, title = "skipped", title.strip() or directive.strip()[4:]  # "# SKIP name"
            else:
                result = "passed" if verdict == "ok" else "failed"
            failed += result == "failed"
            # cmocka gives the time of no single test in this form: the program's is shared out.
            self.results.add(result, f"{name}: {title.strip()}", seconds / len(tests),
                             text if result == "failed" else "")
        if seen != planned or not seen:
            self.results.add("failed", f"{name}: {seen} of {planned} tests reported", seconds,
                             f"{text}\nexit status {code}")
        elif code and not failed:
            self.results.add("failed", f"{name}: exit status {code}", seconds, text)

    # Builds

    def build(self, folder, name, options, env=None, warnings=False):
        """Configures and builds; returns whether it worked."""
        if not self.wanted(name):
            return True
        begin = time.monotonic()
        log = ""
        setup = ["meson", "setup", folder, *options]
        if os.path.exists(f"{ROOT}/{folder}/build.ninja"):
            setup = ["meson", "configure", folder, *options]
        elif os.path.exists(f"{ROOT}/{folder}"):
            shutil.rmtree(f"{ROOT}/{folder}")  # a setup that was interrupted
        for argv in (setup, ["ninja", "-C", folder, "-j2"]):
            code, text, _ = self.run(argv, env)
            log += f"$ {' '.join(argv)}\n{text}"
            if code:
                break
        good = code == 0 and not (warnings and re.search(r"\bwarning:", text))
        self.results.add("passed" if good else "failed", name, time.monotonic() - begin, log)
        return good

    def builds(self):
        werror = ["-Dwerror=true", "-Dwarning_level=2"]
        self.build("build-gcc", "build/gcc without warnings", werror, {"CC": "gcc"}, True)
        self.build("build-clang", "build/clang without warnings", werror, {"CC": "clang"}, True)

    def sanitizers(self):
        if self.build("build-asan", "build/asan and ubsan",
                      ["-Db_sanitize=address,undefined", "-Db_lundef=false"], {"CC": "gcc"}):
            self.unit("build-asan", "asan", {"UBSAN_OPTIONS": "halt_on_error=1",
                                             "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1"})

    def fuzzers(self):
        if not self.build("build-fuzz", "build/fuzzers", ["-Dfuzz=true"], {"CC": "clang"}):
            return
        names = sorted(os.path.basename(path)[5:-2]
                       for path in glob.glob(f"{ROOT}/tests/fuzz/fuzz_*.c"))
        if not names and self.wanted("fuzz"):
            self.results.add("failed", "fuzz: none", 0, "no tests/fuzz/fuzz_*.c")
        for name in names:
            if not self.wanted(f"fuzz/{name}"):
                continue
            corpus = f"{ROOT}/tests/fuzz/corpus/{name}"
            if not os.path.isdir(corpus):
                self.results.add("failed", f"fuzz/{name}", 0, f"{corpus} is missing")
                continue
            # New inputs go to the build folder; the corpus in the tree is only read.
            found = f"{ROOT}/build-fuzz/found/{name}"
            os.makedirs(found, exist_ok=True)
            self.step(f"fuzz/{name}", [f"build-fuzz/tests/fuzz/fuzz_{name}",
                                       f"-max_total_time={FUZZ_SECONDS}", "-timeout=10",
                                       "-rss_limit_mb=2048", "-print_final_stats=1",
                                       f"-artifact_prefix={found}-", found, corpus])

    # Everything that looks at the source only

    def lint(self):
        files = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "*.c", "*.h"],
                               cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
        files = [name for name in files if not name.endswith("vmlinux.h")]
        self.step("lint/clang-format", ["clang-format", "--dry-run", "-Werror", *files])
        self.step("lint/layers", [sys.executable, "tests/layers.py"], quiet=True)
        for page in sorted(glob.glob(f"{ROOT}/docs/man/*.[1-9]")):
            self.step(f"lint/man {os.path.basename(page)}",
                      ["mandoc", "-T", "lint", "-W", "warning", page], quiet=True)

    # End to end

    def e2e(self):
        folder = f"{ROOT}/tests/e2e"
        sys.path.insert(0, folder)
        os.environ["CLEARTAP_BUILD"] = os.path.join(ROOT, self.args.build)
        result = StreamedResult(self.results)
        # As one: with several, unittest would tear down the last class of each a second time.
        unittest.TestSuite(self.e2e_suites(folder)).run(result)

    def e2e_suites(self, folder):
        """The tests that are wanted, grouped by class so that class set-up runs once."""
        begin = time.monotonic()
        try:
            found = unittest.TestLoader().discover(folder, top_level_dir=folder)
        except Exception:  # an import that fails is a failed test, not the end of the run
            self.results.add("failed", "e2e: discovery", time.monotonic() - begin,
                             traceback.format_exc())
            return []
        return [suite for suite in (self.chosen(suite) for suite in found)
                if suite.countTestCases()]

    def chosen(self, suite):
        kept = unittest.TestSuite()
        for item in suite:
            if isinstance(item, unittest.TestSuite):
                inner = self.chosen(item)
                if inner.countTestCases():
                    kept.addTest(inner)
            elif self.args.fast and item.id().startswith("test_volume."):
                continue
            elif self.wanted(f"e2e/{item.id()}"):
                kept.addTest(item)
        return kept


class StreamedResult(unittest.TestResult):
    """unittest's results, a line each as they come."""

    def __init__(self, results):
        super().__init__()
        self.results = results
        self.begin = time.monotonic()
        self.subtests = []

    def startTest(self, test):
        super().startTest(test)
        self.begin, self.subtests = time.monotonic(), []

    def tell(self, result, test, details=""):
        name = test.id() if hasattr(test, "id") else str(test)
        self.results.add(result, f"e2e/{name}", time.monotonic() - self.begin, details)

    def addSuccess(self, test):
        self.tell("passed", test)

    def addFailure(self, test, err):
        self.tell("failed", test, "".join(traceback.format_exception(*err)))

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        # unittest reports a test with failed parts neither as success nor as failure.
        if err is not None:
            self.tell("failed", subtest, "".join(traceback.format_exception(*err)))

    def addSkip(self, test, reason):
        self.tell("skipped", test, reason)

    def addExpectedFailure(self, test, err):
        self.tell("passed", test)

    def addUnexpectedSuccess(self, test):
        self.tell("failed", test, "was expected to fail")


def main():
    parser = argparse.ArgumentParser(description="Runs all tests of cleartap.")
    parser.add_argument("--build", default="build", help="folder with the built cleartap")
    parser.add_argument("--only", metavar="PATTERN", help="tests whose names match this regex")
    parser.add_argument("--fast", action="store_true",
                        help="no further builds (sanitizers, clang, fuzzers), no test_volume")
    args = parser.parse_args()
    # A shell starts background jobs with SIGINT ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runner = Runner(args)
    begin = time.monotonic()
    runner.unit(args.build, "unit")
    runner.step("golden", [sys.executable, "tests/golden/run.py",
                           f"{args.build}/tests/golden/render"])
    runner.step("unit/decoder agrees with objdump",
                [sys.executable, "tests/e2e/decoder_check.py", f"{args.build}/tests/unit/insn_dump",
                 *DECODED])
    runner.lint()
    if not args.fast:
        runner.builds()
        runner.sanitizers()
        runner.fuzzers()
    runner.e2e()
    print(f"\n{time.monotonic() - begin:.0f} seconds")
    sys.exit(runner.results.summary())


if __name__ == "__main__":
    main()
