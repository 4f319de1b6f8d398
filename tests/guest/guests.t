#!/bin/sh
# tests/guest/guests.t - runs the guest tests that guest-tests/tests.conf lists
#
#   tests/guest/guests.t [-v] [NAME...]
#
# Prints TAP: a test passes if `belfry run` ends as the list says, in time, no guest prints
# "not ok", and as many doorbells went through user space as the list says. -v shows all
# that the guests print; otherwise only failures do.
set -uf

build=${BELFRY_BUILD:-build/$(uname -m)}
verbose=
if [ "${1-}" = -v ]; then
	verbose=y
	shift
fi
only=" $* "
tmp=$(mktemp -d)
shm=belfry-test-$$
devices_max=28

clean_up() {
	rm -rf "$tmp/files" "$tmp/links" "$tmp/vms"
	for n in $(seq $devices_max); do
		rm -f "/dev/shm/$shm-$n"
	done
}
trap 'clean_up; rm -rf "$tmp"' EXIT
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

# The keys in "first,key=value,key=value", for a YAML mapping in braces: ", key: value".
more_keys() {
	printf '%s,' "$1" | cut -d , -f 2- | sed 's/\([^,=]*\)=\([^,]*\),/, \1: \2/g'
}

# What device $1 with the number $2 needs outside of the VMs: once a test, however many
# of them have it.
prepare_device() {
	size=${1#*:}
	size=${size%%[:,]*}
	vectors=${1##*:}
	case $1 in
	link:*)
		grep -qs "^  ring$2:" "$tmp/links" || printf '  ring%d: { size: %s, vectors: %s }\n' \
			"$2" "$size" "${vectors%%,*}" >> "$tmp/links"
		;;
	file:*)
		[ -e "$tmp/files/$2" ] || head -c "$(bytes "$size")" /dev/zero |
			tr '\000' '\245' > "$tmp/files/$2"
		;;
	sparse:*) truncate -s "$size" "$tmp/files/$2" ;;
	esac
}

device_yaml() {
	prepare_device "$1" "$2"
	case $1 in
	link:*) is="link: ring$2" ;;
	shm:*) is="shm: $shm-$2, size: $size" ;;
	*) is="file: $tmp/files/$2, size: $size" ;;
	esac
	printf '      - ivshmem: { %s%s }\n' "$is" "$(more_keys "$1")"
}

# A VM's devices, from "kind:...+kind:...*times"
devices_yaml() {
	number=0
	echo '    devices:'
	for device in $(echo "$1" | tr + ' '); do
		times=1
		case $device in
		*'*'*) times=${device#*\*} ;;
		esac
		for _ in $(seq "$times"); do
			number=$((number + 1))
			device_yaml "${device%\**}" $number
		done
	done
}

# cpus memory,key=value... devices guest command-line
vm_yaml() {
	vms=$((vms + 1))
	printf '  vm%d:\n    kernel: %s/guests/%s\n' "$vms" "$build" "$4"
	printf '    cpus: %s\n    memory: %s\n' "$1" "${2%%,*}"
	for key in $(more_keys "$2" | tr -d ' ' | tr , ' '); do
		printf '    %s: %s\n' "${key%%:*}" "${key#*:}"
	done
	case $5 in
	*'{initrd}'*) printf '    initrd: %s\n' "$initrd" ;;
	esac
	[ -z "$5" ] || printf "    cmdline: '%s'\n" "$(fill_in "$5")"
	[ "$3" = - ] || devices_yaml "$3"
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
		[ "$(head -c 4096 "$tmp/files/1" | tr -d '\132' | wc -c)" -eq 0 ]
}

# Each VM has rung as many doorbells by way of user space as "slow=N" or "slow=N-M" says.
slow_as_wanted() {
	case $ends in
	*,slow=*) ;;
	*) return 0 ;;
	esac
	least=${ends#*,slow=}
	most=${least#*-}
	least=${least%-*}
	rung=$(sed -n 's/.* exits to user space, \([0-9]*\) of them doorbells.*/\1/p' "$tmp/out")
	[ -n "$rung" ] || return 1
	for count in $rung; do
		[ "$count" -ge "$least" ] && [ "$count" -le "$most" ] || return 1
	done
}

tests=0
failed=0
run_test() {
	[ -n "$name" ] || return 0
	tests=$((tests + 1))
	{
		[ ! -e "$tmp/links" ] || { echo links: && cat "$tmp/links"; }
		echo vms:
		cat "$tmp/vms"
	} > "$tmp/config.yaml"
	timeout -k 2 "$limit" "$build/belfry" run --stats "$tmp/config.yaml" > "$tmp/out" 2>&1 < /dev/null
	status=$?
	want=$(status_of "${ends%%,*}")
	if [ "$status" -eq "$want" ] && ! grep -q '^\(.*| \)\?not ok' "$tmp/out" && file_is_marked &&
		slow_as_wanted; then
		echo "ok $tests - $name"
	else
		echo "not ok $tests - $name"
		echo "# ends with $status, expected $want ($ends); the config file was"
		sed 's/^/#   /' "$tmp/config.yaml"
		failed=$((failed + 1))
		[ -n "$verbose" ] || sed 's/^/#   /' "$tmp/out"
	fi
	[ -z "$verbose" ] || sed 's/^/    /' "$tmp/out"
	clean_up
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
		;;
	esac
	[ -n "$name" ] || continue
	mkdir -p "$tmp/files"
	vm_yaml "$cpus" "$memory" "$device" "$guest" "$cmdline" >> "$tmp/vms"
done < guest-tests/tests.conf
run_test
echo "1..$tests"
[ "$failed" -eq 0 ]
