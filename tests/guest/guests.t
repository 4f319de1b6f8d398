#!/bin/sh
# tests/guest/guests.t - runs the guest tests that guest-tests/tests.conf lists
#
#   tests/guest/guests.t [-v] [NAME...]
#
# Prints TAP: a test passes if `belfry run` ends as the list says, in time, and no guest
# prints "not ok". -v shows all that the guests print; otherwise only failures do.
set -u

build=${BELFRY_BUILD:-build/$(uname -m)}
verbose=
if [ "${1-}" = -v ]; then
	verbose=y
	shift
fi
only=" $* "
tmp=$(mktemp -d)
trap 'rm -rf "$tmp" "/dev/shm/belfry-test-$$"' EXIT
trap 'exit 1' INT TERM

if ! [ -w /dev/kvm ]; then
	echo "1..0 # SKIP /dev/kvm is not there or may not be used"
	[ -z "${BELFRY_EXPECT_ALL-}" ]
	exit
fi

# --- a test's config file, VM by VM ---------------------------------------------------

bytes() {
	numfmt --from=iec "$1"
}

initrd=$tmp/initrd
seq 1 20000 > "$initrd"
# shellcheck disable=SC2046 # two fields are wanted
set -- $(cksum < "$initrd")
initrd_is=$2,$1

# Command line with {initrd} and {length} filled in. The length counts its own digits.
fill_in() {
	line=$(printf '%s' "$1" | sed "s/{initrd}/$initrd_is/")
	case $line in
	*'{length}'*)
		digits=2
		[ ${#line} -lt 106 ] || digits=3
		length=$((${#line} - 8 + digits))
		line=$(printf '%s' "$line" | sed "s/{length}/$length/")
		;;
	esac
	printf '%s' "$line"
}

device_yaml() {
	size=${1#*:}
	case $1 in
	link:*) echo "{ link: ring }" ;;
	shm:*) echo "{ shm: belfry-test-$$, size: $size }" ;;
	file:*) echo "{ file: $tmp/file, size: $size }" ;;
	esac
}

# What the device needs outside of the VM: once a test, however many VMs have it.
prepare_device() {
	size=${1#*:}
	case $1 in
	link:*)
		printf 'links:\n  ring: { size: %s, vectors: %s }\n' "${size%:*}" "${size#*:}"
		;;
	file:*)
		head -c "$(bytes "$size")" /dev/zero | tr '\000' '\245' > "$tmp/file"
		;;
	esac
}

# cpus memory device guest command-line
vm_yaml() {
	vms=$((vms + 1))
	printf '  vm%d:\n    kernel: %s/guests/%s\n' "$vms" "$build" "$4"
	printf '    cpus: %s\n    memory: %s\n' "$1" "$2"
	case $5 in
	*'{initrd}'*) printf '    initrd: %s\n' "$initrd" ;;
	esac
	[ -z "$5" ] || printf "    cmdline: '%s'\n" "$(fill_in "$5")"
	[ "$3" = - ] || printf '    devices:\n      - ivshmem: %s\n' "$(device_yaml "$3")"
}

# --- running it -----------------------------------------------------------------------

status_of() {
	case $1 in
	pass) echo 0 ;;
	fail) echo 65 ;;
	status-*) echo $((64 + ${1#status-})) ;;
	reset) echo 32 ;;
	crash) echo 33 ;;
	esac
}

# The guest has changed the file if its command line said so.
file_is_marked() {
	! grep -q 'mark=0x5a' "$tmp/config.yaml" ||
		[ "$(head -c 4096 "$tmp/file" | tr -d '\132' | wc -c)" -eq 0 ]
}

tests=0
failed=0
run_test() {
	[ -n "$name" ] || return 0
	tests=$((tests + 1))
	timeout -k 2 "$limit" "$build/belfry" run "$tmp/config.yaml" > "$tmp/out" 2>&1 < /dev/null
	status=$?
	want=$(status_of "$ends")
	if [ "$status" -eq "$want" ] && ! grep -q '^\(.*| \)\?not ok' "$tmp/out" && file_is_marked; then
		echo "ok $tests - $name"
	else
		echo "not ok $tests - $name"
		echo "# exit status $status, expected $want; the config file was"
		sed 's/^/#   /' "$tmp/config.yaml"
		failed=$((failed + 1))
		[ -n "$verbose" ] || sed 's/^/#   /' "$tmp/out"
	fi
	[ -z "$verbose" ] || sed 's/^/    /' "$tmp/out"
	rm -f "/dev/shm/belfry-test-$$"
}

name=
while read -r new new_limit new_ends cpus memory device guest cmdline; do
	case $new in
	'' | '#'*) continue ;;
	+) ;;
	*)
		run_test
		name=$new limit=$new_limit ends=$new_ends vms=0
		case $only in
		'  ' | *" $name "*) ;;
		*) name= ;;
		esac
		{
			prepare_device "$device"
			echo vms:
		} > "$tmp/config.yaml"
		;;
	esac
	vm_yaml "$cpus" "$memory" "$device" "$guest" "$cmdline" >> "$tmp/config.yaml"
done < guest-tests/tests.conf
run_test
echo "1..$tests"
[ "$failed" -eq 0 ]
