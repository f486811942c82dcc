# SPDX-License-Identifier: Apache-2.0
# The front door; Meson does the work. As root: make demo, make check.

BUILD := build

# What the product is built from and runs with, then what the tests drive. All from Debian 12.
PACKAGES := gcc clang llvm meson ninja-build bpftool pkg-config libbpf-dev libelf-dev libcap-dev \
	uthash-dev
TEST_PACKAGES := $(PACKAGES) libcmocka-dev libclang-rt-14-dev clang-format mandoc binutils \
	python3 curl openssl libssl-dev nginx-light redis-server redis-tools haproxy stunnel4 \
	iproute2 procps util-linux binutils-aarch64-linux-gnu libc6-arm64-cross golang-go caddy strace \
	tcpdump tshark npm:npm chromium firefox-esr libnss3-tools gnutls-bin wget git
BENCH_PACKAGES := $(TEST_PACKAGES) wrk

all: $(BUILD)/build.ninja
	ninja -C $(BUILD) -j2

# A tree that was set up elsewhere or half is set up anew.
$(BUILD)/build.ninja: meson.build
	@tests/packages $(PACKAGES)
	meson setup $(BUILD) >/dev/null || meson setup --wipe $(BUILD)

deps:
	@tests/packages $(PACKAGES)

demo: demo-deps all
	python3 tests/demo.py --build $(BUILD)

check: check-deps all
	python3 tests/run.py --build $(BUILD) $(CHECK_FLAGS)

bench: bench-deps all
	python3 tests/bench/bench.py --build $(BUILD) $(BENCH_FLAGS)

demo-deps check-deps:
	@tests/packages $(TEST_PACKAGES)

bench-deps:
	@tests/packages $(BENCH_PACKAGES)

install: all
	meson install -C $(BUILD)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf $(BUILD) build-gcc build-clang build-asan build-fuzz

.PHONY: all deps demo check bench demo-deps check-deps bench-deps install format clean
