#!/usr/bin/env perl
# tests/cli/run.t - belfry run: output, errors, exit statuses, and what it leaves behind
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry qw(:DEFAULT fails);
use IO::Socket::UNIX;
use Test::More;

# The configuration of one VM.
sub vm {
	my ($guest, $more) = @_;
	my $kernel = guest($guest);
	return "vms:\n  vm:\n    kernel: $kernel\n    memory: 32M\n" . ($more // '');
}

sub gone {
	my ($pid) = @_;
	for (1 .. 500) {
		return 1 if !-e "/proc/$pid" || Belfry::slurp("/proc/$pid/stat") =~ /\) Z/;
		select undef, undef, undef, 0.01;
	}
	return 0;
}

my ($status, $out, $err);

subtest 'one VM: its console is standard output, as it is' => sub {
	($status, $out, $err) = belfry('run', config('hello.yaml', vm('hello', "    cmdline: a=1\n")));
	is $status, 0, 'status';
	like $out, qr/^hello\ncommand line: a=1\n.*\n$/, 'output';
	is $err, '', 'nothing on standard error';
};

subtest '--set wins over the file' => sub {
	($status, $out) = belfry('run', "$dir/hello.yaml", '--set', 'vms.vm.cmdline=b=2');
	is $status, 0, 'status';
	like $out, qr/^command line: b=2$/m, 'output';
};

subtest 'a console goes to a file' => sub {
	($status, $out) = belfry('run', "$dir/hello.yaml", '--set', "vms.vm.console=$dir/console");
	is $out, '', 'standard output';
	like Belfry::slurp("$dir/console"), qr/^hello\ncommand line: a=1\n/, 'file';
};

subtest 'how a guest ends is the exit status' => sub {
	my $ends = config('ends.yaml', vm('ends'));
	for (['how=s5', 0, ''],
		['how=debug-exit status=0', 0, ''],
		['how=debug-exit status=5', 69, "belfry: vm: the guest ended with status 5\n"],
		['how=debug-exit status=200', 127, "belfry: vm: the guest ended with status 200\n"],
		['how=acpi-reset', 32, "belfry: vm: reset by reset register\n"],
		['how=i8042', 32, "belfry: vm: reset by i8042\n"],
		['how=triple', 33, "belfry: vm: crashed: vCPU 0: triple fault\n"]) {
		my ($how, $want, $words) = @$_;
		($status, $out, $err) = belfry('run', $ends, '--set', "vms.vm.cmdline=$how");
		is $status, $want, "$how: status";
		is $err, $words, "$how: words";
	}
};

subtest 'what KVM cannot emulate ends with what, where, and what the host lacks' => sub {
	my $lacks = Belfry::slurp('/proc/cpuinfo') =~ /^flags\b.* (?:vmx|svm) /m
		? '' : '; the host has no hardware virtualization';
	($status, $out, $err) = belfry('run', "$dir/ends.yaml", '--set', 'vms.vm.cmdline=how=emulation');
	is $status, 33, 'status';
	like $err, qr/^belfry: vm: crashed: vCPU 0: KVM internal error 1 \(emulation failed\) at 0x[0-9a-f]+\Q$lacks\E\n\z/,
		'words';
};

my $pair = config('pair.yaml', <<"END");
links:
  ring: { size: 1M, vectors: 2 }
vms:
  ping:
    kernel: ${\guest('pingpong')}
    cmdline: role=a rounds=200 poll_rounds=200 warmup=10
    memory: 32M
    devices: [ ivshmem: { link: ring } ]
  pong:
    kernel: ${\guest('pingpong')}
    cmdline: role=b
    memory: 32M
    devices: [ ivshmem: { link: ring } ]
END

subtest 'two VMs ring each other, and no ring reaches user space' => sub {
	($status, $out, $err) = belfry('run', $pair, '--stats');
	is $status, 0, 'status';
	like $out, qr/^ping\| result doorbell-spin n=200 /m, 'the round trips of ping';
	unlike $out, qr/^(?!p[io]ng\| )/m, 'every line has its VM in front';
	like $err, qr/^belfry: ping: exits to user space \d+, of them doorbells 0$/m, 'ping';
	like $err, qr/^belfry: pong: exits to user space \d+, of them doorbells 0$/m, 'pong';
};

subtest '--verbose says what happens to a VM' => sub {
	($status, $out, $err) = belfry('run', "$dir/ends.yaml", '--verbose', '--set', 'vms.vm.cmdline=how=s5');
	is $status, 0, 'status';
	is $err, "belfry: vm: started: 1 vCPU, 32M of RAM\nbelfry: vm: stopped: power off\n", 'words';
};

subtest 'a reset starts the guest again, in its place on the link' => sub {
	my $reboot = config('reboot.yaml', "links: { ring: { size: 1M } }\n" .
		vm('reboot', "    on_reset: restart\n    cpus: 2\n    devices: [ ivshmem: { link: ring } ]\n"));
	($status, $out, $err) = belfry('run', $reboot);
	is $status, 0, 'status';
	is $err, '', 'no words';
	is scalar(() = $out =~ /^# life \d$/mg), 3, 'three lives';
	unlike $out, qr/^not ok/m, 'all checks hold';
};

subtest 'a VM that cannot start takes the others down' => sub {
	($status, $out, $err) = belfry('run', $pair, '--set', 'vms.pong.kernel=/nonexistent');
	is $status, 3, 'status';
	is $err, "belfry: vms.pong: kernel /nonexistent: No such file or directory\n", 'words';
};

subtest 'a signal stops one VM' => sub {
	my $job = spawn($belfry, 'run', config('idle.yaml', vm('idle')));
	ok wait_for($job, qr/idle/), 'it runs';
	kill 'TERM', $job->{pid};
	($status, $out, $err) = finish($job);
	is $status, 143, 'status';
	is $err, '', 'no words';
};

my $idle = guest('idle');
my $two_idle = config('two.yaml', "vms: { a: { kernel: $idle, memory: 32M }, b: { kernel: $idle, memory: 32M } }");

subtest 'a signal stops several VMs' => sub {
	my $job = spawn($belfry, 'run', $two_idle);
	ok wait_for($job, qr/a\| .*b\| |b\| .*a\| /s), 'they run';
	my @children = children_of($job->{pid});
	is @children, 2, 'a process each';
	kill 'INT', $job->{pid};
	($status) = finish($job);
	is $status, 130, 'status';
	ok gone($_), 'no process left' for @children;
};

subtest 'VMs do not outlive a program that is killed' => sub {
	my $job = spawn($belfry, 'run', $two_idle);
	ok wait_for($job, qr/a\| .*b\| |b\| .*a\| /s), 'they run';
	my @children = children_of($job->{pid});
	kill 'KILL', $job->{pid};
	($status) = finish($job);
	is $status, 'signal 9', 'status';
	ok gone($_), 'no process left' for @children;
};

subtest 'the descriptor limit is raised' => sub {
	my $job = spawn('sh', '-c', 'ulimit -Sn 128; exec "$@"', 'sh', $belfry, 'run', "$dir/idle.yaml");
	ok wait_for($job, qr/idle/), 'it runs';
	my ($soft, $hard) = Belfry::slurp("/proc/$job->{pid}/limits") =~ /^Max open files +(\d+) +(\d+)/m;
	is $soft, $hard, 'soft limit';
	kill 'TERM', $job->{pid};
	finish($job);
};

# --- bad input: status and the one line ---------------------------------------------------

fails 'a kernel that is not there', 3,
	"vms.vm: kernel $dir/none: No such file or directory",
	'run', config('none.yaml', "vms: { vm: { kernel: $dir/none } }");
fails 'a kernel of no known format', 3,
	"vms.vm: kernel $dir/none.yaml: not a kernel: expected an ELF file with a PVH note, or a bzImage",
	'run', "$dir/none.yaml", '--set', "vms.vm.kernel=$dir/none.yaml";
fails 'an empty kernel', 3, "vms.vm: kernel $dir/empty: kernel is empty",
	'run', "$dir/none.yaml", '--set', 'vms.vm.kernel=' . config('empty', '');
fails 'a file without VMs', 3,
	'there is no VM in this configuration: expected vms: { NAME: ... }',
	'run', config('links.yaml', "links: { ring: { size: 1M } }\n");
fails 'a server that nobody started', 5,
	"vms.vm: devices.0.ivshmem: $dir/socket: nobody listens, start the ivshmem server",
	'run', "$dir/hello.yaml", '--set', "vms.vm.devices.0.ivshmem.socket=$dir/socket";
fails 'a socket of a server that has gone', 5,
	"vms.vm: devices.0.ivshmem: $dir/stale: nobody listens, start the ivshmem server",
	'run', "$dir/hello.yaml", '--set', "vms.vm.devices.0.ivshmem.socket=" . do {
		IO::Socket::UNIX->new(Local => "$dir/stale", Listen => 1)->close;
		"$dir/stale";
	};
fails 'shared memory whose size is no power of two', 3,
	'--set vms.vm.devices.0.ivshmem.size 3M: not a power of two; 4M would do',
	'run', "$dir/hello.yaml", '--set', 'vms.vm.devices.0.ivshmem.file=x',
	'--set', 'vms.vm.devices.0.ivshmem.size=3M';
fails 'a file smaller than the device wants', 3,
	"vms.vm: devices.0.ivshmem: file $dir/hello.yaml: shared memory has " . (-s "$dir/hello.yaml") .
	' bytes, and 4096 are asked for',
	'run', "$dir/hello.yaml", '--set', "vms.vm.devices.0.ivshmem.file=$dir/hello.yaml",
	'--set', 'vms.vm.devices.0.ivshmem.size=4k';

subtest 'nothing is left of a file made for a VM that did not start' => sub {
	($status) = belfry('run', "$dir/hello.yaml", '--set', "vms.vm.devices.0.ivshmem.file=$dir/made",
		'--set', 'vms.vm.devices.0.ivshmem.size=4k', '--set', 'vms.vm.initrd=/nonexistent');
	is $status, 3, 'status';
	ok !-e "$dir/made", 'no file';
};

subtest 'io_uring is switched off' => sub {
	($status, $out, $err) = command("$build/no_io_uring", $belfry, 'run', $pair);
	is $status, 4, 'status';
	like $err, qr/io_uring is switched off on this host: set the sysctl kernel\.io_uring_disabled/,
		'words';
	is $out, '', 'no guest has run';
};

SKIP: {
	skip unable('needs root to change /dev'), 2 if $> != 0;
	subtest '/dev/kvm is not there' => sub {
		($status, $out, $err) = command('unshare', '-m', 'sh', '-c',
			'mount -t tmpfs none /dev; exec "$@" 2>&1', 'sh', $belfry, 'run', "$dir/hello.yaml");
		is $status, 4, 'status';
		is $out, 'belfry: vms.vm: /dev/kvm: not there; load the module kvm_intel or kvm_amd, ' .
			"and enable virtualization in the firmware\n", 'words';
	};
	subtest '/dev/kvm is not permitted' => sub {
		chmod 0755, $dir;
		command('cp', $belfry, guest('hello'), $dir);
		($status, $out, $err) = command('unshare', '-m', 'sh', '-c',
			'mount -t tmpfs none /dev; mknod -m 600 /dev/kvm c 10 232; exec setpriv ' .
			'--reuid=65534 --regid=65534 --clear-groups "$@" 2>&1', 'sh', "$dir/belfry",
			'run', "$dir/hello.yaml", '--set', "vms.vm.kernel=$dir/hello.elf");
		is $status, 4, 'status';
		is $out, 'belfry: vms.vm: /dev/kvm: permission denied; add yourself to the group that ' .
			"owns it (kvm), or run as root\n", 'words';
	};
}

done_testing;
