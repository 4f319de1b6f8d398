#!/usr/bin/env perl
# tests/linux/module_qemu.t - guest/ on QEMU's devices: driver, library, samples
#
# Emulated guests (TCG) on an ivshmem server that shares no code with belfry. To try another
# kernel, one with KASAN and lockdep, say:
#
#	GUEST_KERNEL=vmlinux GUEST_MODULE=ivshmem.ko prove tests/linux/module_qemu.t
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../cli";
use Belfry;
use Test::More;

my $lab = $ENV{BELFRY_LAB} // 'build/lab';
my $kernel = $ENV{GUEST_KERNEL} // "$lab/cloud/vmlinux";
my $module = $ENV{GUEST_MODULE} // "$build/linux/module/ivshmem.ko";
my $programs = "$build/linux";

for my $needed ($kernel, $module, "$programs/tests/peer") {
	plan skip_all => unable("no $needed (make linux)") if !-e $needed;
}
plan skip_all => unable('qemu-system-x86_64 is not installed')
	if system('command -v qemu-system-x86_64 >/dev/null');

my $cmdline = 'console=ttyS0 quiet nokaslr mitigations=off edd=off 8250.nr_uarts=1 lsm= '
	. 'tsc=reliable panic=-1 slub_debug=FZPU';

# What every guest runs: around it, a look at what the kernel has to say.
my $begin = <<'RC';
#!/bin/sh
mount -t debugfs debug /sys/kernel/debug
ok() { "$@" && echo "ok - $*" || echo "not ok - $*"; }
# claim NAME STATUS: what the last command ended with
kernel_may_lack_it=@custom@ # CONFIG_IO_STRICT_DEVMEM, which Debian's has
claim() { [ "$2" -eq "$3" ] && echo "ok - $1" || echo "not ok - $1 (status $3)"; }
RC
$begin =~ s/\@custom\@/$ENV{GUEST_KERNEL} ? 'yes' : ''/e;
my $end = <<'RC';
ok rmmod ivshmem
if dmesg | grep -E 'WARNING|BUG|Oops|Call Trace|INFO:|KASAN|UBSAN|leak'; then
	dmesg | tail -60
	echo 'not ok - the kernel complains'
else
	echo 'ok - the kernel has no complaint'
fi
echo the end
RC

# Start a guest. Return: a job.
my $guests = 0;
sub start {
	my (%guest) = @_;
	my $n = $guests++;
	my $script = config("rc.$n", $begin . $guest{rc} . $end);
	my @tests = map { "$programs/tests/$_" } qw(doorbell_test memory_test gone_test peer);
	my @files = (@tests, map { "$programs/$_" } qw(pingpong ring nodriver));
	system('tools/linux-initrd', ($guest{late} ? '-f' : '-m'),
		$guest{late} ? "$module:/modules/ivshmem.ko" : $module,
		(map { ('-f', $_) } @files), '-s', $script, "$dir/initrd.$n") == 0
		or die 'tools/linux-initrd';
	return spawn('timeout', '300', 'qemu-system-x86_64', qw(-accel tcg -cpu max -M q35),
		qw(-m 512 -nographic -nodefaults -no-reboot -serial stdio), '-smp',
		$guest{cpus} // 2, '-kernel', $kernel, '-initrd', "$dir/initrd.$n",
		'-append', $cmdline, @{ $guest{devices} });
}

# All claims of a guest, as tests; and that it came to its end. Return: what it has said.
sub report {
	my ($name, $job) = @_;
	my ($status, $out, $err) = finish($job, 300);
	subtest $name => sub {
		$out =~ s/\r//g;
		my $claims = 0;
		while ($out =~ /^(not )?ok - (.*)$/mg) {
			ok !$1, $2;
			$claims++;
		}
		like $out, qr/^the end$/m, 'it comes to its end';
		is $status, 0, 'and powers off';
		cmp_ok $claims, '>', 1, 'it had something to say';
		diag $out, $err if !Test::More->builder->is_passing;
	};
	return $out;
}

# A server. Return: what QEMU needs for a device on it.
my @servers;
sub server {
	my ($name, $size, $vectors) = @_;
	my $socket = "$dir/$name.sock";
	push @servers, spawn('tests/interop/ivshmem_server.py', '-S', $socket, '-l', $size,
		'-n', $vectors);
	for (1 .. 1000) {
		last if -S $socket;
		select undef, undef, undef, 0.01;
	}
	return sub {
		return ('-chardev', "socket,path=$socket,id=$name", '-device',
			"ivshmem-doorbell,chardev=$name,vectors=$vectors");
	};
}

# One VM has three devices. It checks each, plays with the other VM, and lets go of the
# device while the other rings it without end. The plain one is so large that the firmware
# puts it where MTRRs leave it cached.
my $link = server('link', '4M', 4);
my $own = server('own', '1M', 2);
my $plain = "$dir/plain";
my @plain = ('-object', "memory-backend-file,id=plain,size=2G,share=on,mem-path=$plain",
	'-device', 'ivshmem-plain,memdev=plain');

my $other = start(devices => [$link->()], rc => <<'RC');
peer answer /dev/ivshmem0
ok pingpong pong
ok pingpong --spin pong
ok ring receive
RC

my $first = start(devices => [$link->(), $own->(), @plain], rc => <<'RC');
ok [ $(ls /dev/ivshmem* | wc -l) = 3 ]
ok memory_test /dev/ivshmem0
ok memory_test /dev/ivshmem1
ok memory_test /dev/ivshmem2 cached
ok grep -E 'mem 0x0{7}[1-9a-f][0-9a-f]{8}-.* write-back' /sys/kernel/debug/x86/pat_memtype_list
ok gone_test /dev/ivshmem2 /modules/ivshmem.ko 0
ok doorbell_test /dev/ivshmem1
ok peer look /dev/ivshmem0
ok gone_test /dev/ivshmem0 /modules/ivshmem.ko 10
ok peer stop /dev/ivshmem0
ok pingpong --rounds 500 ping
ok pingpong --spin --rounds 500 ping
ok ring --messages 5000 send

# Registers of two devices in one page, which nobody may map: Linux packs them when it has
# to place them itself.
cd /sys/bus/pci/devices
devices=$(grep -l ivshmem */uevent | cut -d/ -f1 | head -2)
for d in $devices; do
	echo $d >/sys/bus/pci/drivers/ivshmem/unbind
	printf '\0\0\0\0' | dd of=$d/config bs=1 seek=16 conv=notrunc 2>/dev/null
done
for d in $devices; do echo 1 >$d/remove; done
echo 1 >/sys/bus/pci/rescan
cd /
for n in 0 1; do
	memory_test /dev/ivshmem$n >/tmp/out
	ok grep 'map: no registers: ENXIO' /tmp/out
done
ok doorbell_test /dev/ivshmem1
RC

# Both sides of a sample in one VM, which can stop, kill and deceive them. The device has
# more vectors than one processor has interrupts for, and another one is to have some, too.
my $alone = start(cpus => 1, late => 1,
	devices => [server('alone', '1M', 300)->(), server('beside', '1M', 4)->()], rc => <<'RC');
device=$(basename $(dirname $(grep -l 0x1110 /sys/bus/pci/devices/*/device | head -1)))
ok nodriver bandwidth /sys/bus/pci/devices/$device/resource2
ok nodriver bandwidth /sys/bus/pci/devices/$device/resource2_wc
nodriver turns $device 1 100 >/dev/null & ok nodriver turns $device 0 100; wait
ok insmod /modules/ivshmem.ko
dmesg | grep 'vectors [0-9]* of 300'
ok doorbell_test /dev/ivshmem0
ok doorbell_test /dev/ivshmem1
ok nodriver bandwidth /dev/ivshmem0 0x100000
if [ -z "$kernel_may_lack_it" ]; then
	nodriver bandwidth /sys/bus/pci/devices/$device/resource2 2>/tmp/err
	claim 'nobody maps the memory past the driver' 1 $?
fi

pingpong pong & victim=$!
pingpong --rounds 3000 ping & survivor=$!
sleep 0.2; kill -9 $victim
ok pingpong pong
wait $survivor; claim 'ping goes on with a pong that has started anew' 0 $?

pingpong --forever pong & survivor=$!
pingpong --rounds 1000000 ping & victim=$!
sleep 0.2; kill -9 $victim
ok pingpong --rounds 100 ping
kill $survivor

ring --delay 1000 receive & victim=$!
ring --messages 5000 send & survivor=$!
sleep 0.2; kill -9 $victim
ok ring receive
wait $survivor; claim 'send goes on with a receiver that has started anew' 0 $?

# The receiver stands still, and its counter says what cannot be.
ring --delay 100000 receive & victim=$!
ring --messages 20 send 2>/tmp/err & survivor=$!
sleep 0.5; kill -STOP $victim
peer poke /dev/ivshmem0 4224 1000000
wait $survivor; claim 'send finds a counter that makes no sense' 1 $?
ok grep 'Protocol error' /tmp/err
kill -9 $victim

# Message 2, while it waits in the queue: its length and checksum, or its number.
lie() {
	ring --delay 300000 receive 2>/tmp/err & survivor=$!
	ring --messages 5 send & victim=$!
	sleep 0.2; peer poke /dev/ivshmem0 $2 $3
	wait $survivor; claim "receive finds a lie about the $1" 1 $?
	ok grep "message 2: $4" /tmp/err
	kill -9 $victim
}
lie length 10248 0xffffffff '4294967295 bytes, at most 1008'
lie checksum 10248 5 'wrong checksum'
lie number 10240 7 'its number is 7'

pingpong --patience 1 ping 2>/tmp/err; claim 'ping does not wait for ever' 1 $?
ok grep 'waiting for the other side' /tmp/err
pingpong --device /dev/none ping 2>/tmp/err; claim 'no such device' 1 $?
pingpong --rounds 0 ping 2>/tmp/err; claim 'no rounds' 2 $?
pingpong 2>/tmp/err; claim 'no side' 2 $?
RC

my $out = report('a VM with three devices', $first);
like $out, qr/registers mapped.*registers by system call/s,
	'doorbells are mapped, but not from a page that has others';
report('the other VM', $other);
report('a VM alone', $alone);
kill 'TERM', map { $_->{pid} } @servers;
finish($_) for @servers;
done_testing;
