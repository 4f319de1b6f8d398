#!/usr/bin/env perl
# tests/linux/boot.t - stock Debian kernels find their machine, have nothing to complain
# about, and end in every way there is
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../cli", $FindBin::Bin;
use Linux;
use Belfry;
use Test::More;

my ($status, $out, $err);

# What a guest says of itself, and what its kernel has to say above the level of
# information, or of firmware at any level.
my $report = <<'RC';
echo "cpus $(nproc)"
echo "clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
sed -n 's/^MemTotal: *\([0-9]*\) kB$/memory \1/p' /proc/meminfo
sed 's/^/irq /' /proc/interrupts
sed 's/^/iomem /' /proc/iomem
dmesg -r | sed -n 's/^<[0-4]>\[[^]]*\] /warning /p'
dmesg | sed 's/^\[[^]]*\] /dmesg /' |
	grep -iE 'firmware bug|bios (bug|error)|acpi.*(error|warning|exception)|mmconfig|16550'
RC

# No arguments that make things easier, but for one: the lab's emulated CPU does not say
# that its time stamp counter is constant, so that Linux distrusts it with several CPUs.
my $plain = 'console=ttyS0 quiet tsc=reliable';

# CPUs that are the host's, whatever machine they are in; a host that is slow
my $of_the_host = qr/Spectre|RETBleed|\bMDS\b|\bTAA\b|MMIO Stale|SRSO|\bGDS\b|\bITS\b|VMSCAPE|TSA/;
my $slow = qr/^hrtimer: interrupt took \d+ ns$|^perf: interrupt took too long/;

sub said {
	my ($what) = @_;
	return $out =~ /^\Q$what\E (.*)$/mg;
}

sub is_content {
	is_deeply [grep { !/$of_the_host|$slow/ } said('warning')], [], 'the kernel warns of nothing';
	is_deeply [grep { !/MMCONFIG|16550/ } said('dmesg')], [], 'nor of firmware or ACPI';
}

# All but what the kernel keeps for itself: its image, page structures, a crash kernel's room
sub has_memory {
	my ($mib) = @_;
	my ($kib) = said('memory');
	ok defined $kib && $kib <= $mib * 1024 && $kib > $mib * 1024 * 0.94 - 64 * 1024,
		"has its memory: $mib MiB" or diag $kib // $out;
}

# --- the quick part: both formats, the machine, a clean log, the button, a reset ---------

subtest 'vmlinux by PVH: the machine, and off by the power button' => sub {
	my $guest = start(vms => { vm => {
		cmdline => $plain,
		cpus => 2,
		memory => '256M',
		devices => ['ivshmem: { shm: belfry-boot-test, size: 4M }'],
		console_input => config('typed', "typed before anybody listens\n"),
		rc => "read -r line\necho \"heard \$line\"\n$report\ncat /sys/bus/pci/devices/0000:00:01.0/resource\necho ready\nsleep 100",
	} });
	ok wait_for($guest, qr/^ready/m, 60), 'comes up';
	($status, $out, $err) = stop($guest);
	is $status, 0, 'the button powers it off';
	is_content();
	is_deeply [said('cpus')], [2], 'has its CPUs';
	is_deeply [said('clock')], ['kvm-clock'], 'has a clock of KVM';
	has_memory(256);
	like $out, qr/^irq .* 9-edge +ACPI:Ged$/m, 'listens to the event device';
	like $out, qr/^irq .* 4-edge +ttyS0$/m, 'uses the interrupt of COM1';
	like $out, qr/^dmesg .*ttyS0 at I\/O 0x3f8 .* is a 16550A$/m, 'knows its serial port';
	like $out, qr/^dmesg PCI: MMCONFIG at \[mem 0xe8000000-0xe80fffff\] reserved/m,
		'uses PCI configuration space in memory';
	is_deeply [said('heard')], ['typed before anybody listens'], 'loses no input';
	like $out, qr/^iomem 000e0000-000effff : ACPI Tables$/m, 'keeps the ACPI tables';
	like $out, qr/^0x0*c0000000 0x0*c00000ff /m, 'leaves BAR0 where belfry has put it';
	like $out, qr/^0x0*100000000 0x0*1003fffff /m, 'and BAR2, in the 64-bit window';
};
unlink '/dev/shm/belfry-boot-test';

subtest 'bzImage: 128 MiB, and a reset' => sub {
	($status, $out, $err) = boot(kernel => $bzimage, cmdline => $plain, memory => '128M',
		rc => "$report\nreboot -f");
	is $status, 32, 'reboot is a reset';
	is $err, "belfry: vm: reset by reset register\n", 'by the register that ACPI names';
	is_content();
	is_deeply [said('cpus')], [1], 'has its CPU';
	has_memory(128);
};

subtest 'a shell on the console, which poweroff ends' => sub {
	($status, $out, $err) = boot(console_input => config('shell', "echo \$((6 * 7))\npoweroff\n"));
	is "$status $err", '0 ', 'status and words';
	like $out, qr/^42$/m, 'it does what it is told';
};

if (!$thorough) {
	done_testing;
	exit;
}

# --- all formats, CPUs, memory ---------------------------------------------------------------

(my $generic = $vmlinux) =~ s/cloud/generic/;
(my $generic_bz = $bzimage) =~ s/cloud/generic/;

# An initrd for any kernel: no modules.
my $initrd = "$dir/report.cpio";
my $script = config('report.sh', "#!/bin/sh\n$report");
is system("$FindBin::Bin/../../tools/linux-initrd", '-s', $script, $initrd), 0, 'an initrd';

for (
	['cloud vmlinux', $vmlinux, 1, 128],
	['cloud vmlinux', $vmlinux, 3, 512],
	['cloud vmlinux', $vmlinux, 4, 3072],
	['cloud vmlinux', $vmlinux, 2, 4096],
	['cloud vmlinux', $vmlinux, 1, 6144],
	['cloud bzImage', $bzimage, 2, 128],
	['cloud bzImage', $bzimage, 4, 512],
	['cloud bzImage', $bzimage, 1, 3072],
	['cloud bzImage', $bzimage, 3, 4096],
	['cloud bzImage', $bzimage, 2, 6144],
	['generic vmlinux', $generic, 2, 1024],
	['generic bzImage', $generic_bz, 1, 1024],
) {
	my ($name, $kernel, $cpus, $mib) = @$_;
	subtest "$name, $cpus CPUs, $mib MiB" => sub {
		($status, $out, $err) = boot(kernel => $kernel, initrd => $initrd, cmdline => $plain,
			cpus => $cpus, memory => "${mib}M");
		is $status, 0, 'powers off';
		is $err, '', 'belfry has nothing to say';
		is_content();
		is_deeply [said('cpus')], [$cpus], 'has its CPUs';
		has_memory($mib);
	};
}

subtest 'as many devices as there can be, 16 MiB each' => sub {
	my @names = map { "belfry-boot-test-$_" } 1 .. 28;
	($status, $out, $err) = boot(cmdline => $plain,
		devices => [map { "ivshmem: { shm: $_, size: 16M }" } @names],
		rc => "$report\n"
			. "for d in /sys/bus/pci/devices/*; do echo \"bar \$(sed -n 3p \$d/resource)\"; done");
	unlink map { "/dev/shm/$_" } @names;
	is $status, 0, 'powers off';
	is_content();
	no warnings 'portable'; # hex() of 64 bits
	my @at = map { hex } map { /^(0x\w+) / } grep { !/^0x0+ / } said('bar');
	is_deeply \@at, [map { 0x100000000 + ($_ << 24) } 0 .. 27], 'BARs are where belfry has put them';
};

# --- every way to end ------------------------------------------------------------------------

my $reset = "belfry: vm: reset by reset register\n";
for (
	['poweroff', '', 'poweroff -f', 0, ''],
	['sysrq-o', '', 'echo o > /proc/sysrq-trigger; sleep 60', 0, ''],
	['sysrq-b', '', 'echo b > /proc/sysrq-trigger; sleep 60', 32, $reset],
	['reboot', '', 'reboot -f', 32, $reset],
	['reboot=a', 'reboot=a', 'reboot -f', 32, $reset],
	['reboot=k', 'reboot=k', 'reboot -f', 32, "belfry: vm: reset by i8042\n"],
	['reboot=p, port 0xcf9', 'reboot=p', 'reboot -f', 32, $reset],
	['a panic with panic=-1', 'panic=-1', 'echo c > /proc/sysrq-trigger', 32, $reset],
	['a panic that reboots by triple fault', 'panic=-1 reboot=t',
		'echo c > /proc/sysrq-trigger', 33, qr/^belfry: vm: crashed: vCPU \d: triple fault$/],
) {
	my ($name, $arguments, $rc, $want, $words) = @$_;
	for my $cpus (1, 2) {
		subtest "$name, $cpus CPUs" => sub {
			($status, $out, $err) = boot(cmdline => "$fast $arguments", cpus => $cpus,
				rc => "echo 1 > /proc/sys/kernel/sysrq\n$rc");
			is $status, $want, 'status';
			ref $words ? like($err, $words, 'words') : is($err, $words, 'words');
		};
	}
}

subtest 'a panic without panic=: the guest stays as it is, until it is stopped' => sub {
	my $guest = start(vms => { vm => {
		stop_timeout => 1,
		rc => 'echo c > /proc/sysrq-trigger',
	} });
	ok wait_for($guest, qr/end Kernel panic/, 60), 'panics';
	($status, $out, $err) = stop($guest);
	is $status, 128 + 15, 'status';
	like $err, qr/^belfry: vm: has not powered off in 1 s, and is stopped$/m, 'words';
};

subtest 'a button that nobody handles' => sub {
	my $guest = start(vms => { vm => {
		stop_timeout => 1,
		rc => "rmmod button\necho ready\nsleep 100",
	} });
	ok wait_for($guest, qr/^ready/m, 60), 'comes up';
	($status, $out, $err) = stop($guest);
	is $status, 128 + 15, 'status';
};

subtest 'on_reset: restart starts the kernel again, in a machine as new' => sub {
	for my $kernel ($vmlinux, $bzimage) {
		my $guest = start(vms => { vm => {
			kernel => $kernel,
			cpus => 2,
			on_reset => 'restart',
			stop_timeout => 1,
			rc => "$report\necho ready\nreboot -f",
		} });
		ok wait_for($guest, qr/^ready.*^ready.*^ready/ms, 120), 'comes up three times';
		($status, $out, $err) = stop($guest);
		is_content();
		is_deeply [(said('cpus'))[0 .. 2]], [2, 2, 2], 'has its CPUs';
	}
};

# --- what cannot be started --------------------------------------------------------------------

for (
	['vmlinux', $vmlinux, qr/ELF segment of 0x\w+ bytes at 0x\w+ is outside of RAM; is memory too small\?/],
	['bzImage', $bzimage, qr/kernel needs \d+ bytes of RAM at 0x1000000; is memory too small\?/],
) {
	my ($name, $kernel, $words) = @$_;
	subtest "$name in too little memory" => sub {
		($status, $out, $err) = boot(kernel => $kernel, memory => '24M', rc => '');
		is $status, 3, 'status';
		like $err, qr/^belfry: vms\.vm: kernel \Q$kernel\E: $words$/, 'words';
	};
}

for (['vmlinux', $vmlinux], ['bzImage', $bzimage]) {
	my ($name, $kernel) = @$_;
	subtest "$name with an initrd that does not fit beside it" => sub {
		my $initrd = config('large.cpio', '');
		truncate $initrd, 100 << 20;
		($status, $out, $err) = boot(kernel => $kernel, initrd => $initrd);
		is $status, 3, 'status';
		like $err, qr/: initrd of 104857600 bytes does not fit into RAM behind the kernel, /,
			'words';
	};
}

done_testing;
