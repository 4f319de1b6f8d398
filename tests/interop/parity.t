#!/bin/sh
# tests/interop/parity.t - guests find on belfry what they find on QEMU (see parity)
set -u
build=${BELFRY_BUILD:-build/$(uname -m)}

skip() {
	echo "1..0 # SKIP $1"
	[ -z "${BELFRY_EXPECT_ALL-}" ]
	exit
}

[ "$(uname -m)" = x86_64 ] || skip "these guests are for x86_64"
[ -w /dev/kvm ] || skip "/dev/kvm is not there or may not be used"
command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
exec tests/interop/parity --tap --quick --build "$build"
