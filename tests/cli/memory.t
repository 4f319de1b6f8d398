#!/usr/bin/env perl
# tests/cli/memory.t - shared memory: used twice, made smaller, in huge pages
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry qw(:DEFAULT fails);
use Test::More;

my ($status, $out, $err);
my $shm = "belfry-memory-$$";
END { unlink "/dev/shm/$shm" if $shm }

# The configuration of one VM with these devices.
sub vm {
	my ($guest, $cmdline, @devices) = @_;
	my $list = join '', map { "      - ivshmem: { $_ }\n" } @devices;
	return "vms:\n  vm:\n    kernel: ${\guest($guest)}\n    memory: 32M\n" .
		"    cmdline: '$cmdline'\n    devices:\n$list";
}

sub file_of {
	my ($name, $size) = @_;
	truncate config($name, ''), $size or die "$name: $!";
	return "$dir/$name";
}

# --- the same memory twice ----------------------------------------------------------------

sub is_refused {
	my ($name, $words, @devices) = @_;
	fails $name, 3,
		"vms.vm: devices.1.ivshmem: $words: another device of this VM has this memory",
		'run', config('twice.yaml', vm('hello', '', @devices));
}

my $file = file_of('file', 1 << 20);
symlink $file, "$dir/symlink";
link $file, "$dir/hardlink";
is_refused 'a file, by a symbolic link', "file $dir/symlink", "file: $file, size: 1M",
	"file: $dir/symlink, size: 1M";
is_refused 'a file, by a hard link', "file $dir/hardlink", "file: $file, size: 1M",
	"file: $dir/hardlink, size: 1M";
is_refused 'a file, by another path and size', "file $dir/./file", "file: $file, size: 1M",
	"file: $dir/./file, size: 64k";
is_refused 'POSIX shared memory, by another name', "shm /$shm", "shm: $shm, size: 64k",
	"shm: /$shm, size: 64k";
is_refused 'POSIX shared memory, as a file', "file /dev/shm/$shm", "shm: $shm, size: 64k",
	"file: /dev/shm/$shm, size: 64k";

subtest 'two files, and one in two VMs, are not refused' => sub {
	my $other = file_of('other', 1 << 20);
	($status, $out, $err) = belfry('run', config('apart.yaml',
		vm('hello', '', "file: $file, size: 1M", "file: $other, size: 1M")));
	is $status, 0, 'two files';
	my $more = vm('memory', 'role=b', "file: $file, size: 1M") =~ s/.*?(?=  vm:)//sr =~ s/vm:/vm2:/r;
	($status, $out, $err) = belfry('run', config('shared.yaml',
		vm('memory', 'role=a', "file: $file, size: 1M") . $more));
	is $status, 0, 'two VMs';
	unlike $out, qr/not ok/, 'which share it';
};

# --- memory that is made smaller ----------------------------------------------------------

# Nobody can keep a guest from what is not there any more: the VM ends, and says why.
sub ends_when_smaller {
	my ($name, $path, $device) = @_;
	subtest $name => sub {
		my $job = spawn($belfry, 'run', config('touch.yaml', vm('touch', 'seconds=20', $device)));
		ok wait_for($job, qr/touching/), 'the guest uses the memory';
		ok truncate($path, 4096), 'somebody makes it smaller';
		($status, $out, $err) = finish($job);
		is $status, 1, 'status: a failure of the host, no signal';
		like $err, qr/^belfry: vm: .*(?:smaller|truncated).*\n\z/, 'words';
	};
}

ends_when_smaller 'a file is made smaller', file_of('shrinks', 1 << 20),
	"file: $dir/shrinks, size: 1M";
ends_when_smaller 'POSIX shared memory is made smaller', "/dev/shm/$shm",
	"shm: $shm, size: 1M";

subtest 'it takes the other VMs down' => sub {
	my $path = file_of('shrinks', 1 << 20);
	my $job = spawn($belfry, 'run', config('touch2.yaml',
		vm('touch', 'seconds=20', "file: $path, size: 1M") .
		"  idle:\n    kernel: ${\guest('idle')}\n    memory: 32M\n"));
	ok wait_for($job, qr/vm\| touching/), 'it runs';
	truncate $path, 0;
	($status, $out, $err) = finish($job);
	is $status, 1, 'status';
	like $err, qr/^belfry: vm: .*(?:smaller|truncated)/m, 'words';
};

subtest 'a file that grows, or is written to, does no harm' => sub {
	my $path = file_of('grows', 1 << 20);
	my $job = spawn($belfry, 'run', config('grows.yaml',
		vm('touch', 'seconds=1', "file: $path, size: 1M")));
	ok wait_for($job, qr/touching/), 'it runs';
	truncate $path, 2 << 20;
	open my $out_file, '+<', $path;
	for (1 .. 100) {
		sysseek $out_file, $_ * 4096, 0;
		syswrite $out_file, 'belfry' x 100;
	}
	($status) = finish($job);
	is $status, 65, 'the guest has lived as long as it wanted';
};

subtest 'the memory of a link cannot be made smaller' => sub {
	my $job = spawn($belfry, 'run', config('link.yaml', "links: { ring: { size: 1M } }\n" .
		vm('touch', 'seconds=1', 'link: ring')));
	ok wait_for($job, qr/touching/), 'it runs';
	my ($fd) = grep { (readlink $_ // '') =~ /memfd:belfry-link/ } glob "/proc/$job->{pid}/fd/*";
	ok $fd, 'it is a memfd';
	ok !truncate($fd, 4096), 'and sealed';
	($status) = finish($job);
	is $status, 65, 'the guest has lived as long as it wanted';
};

subtest 'a file needs no io_uring' => sub {
	($status, $out, $err) = command("$build/no_io_uring", $belfry, 'run', config('plain.yaml',
		vm('memory', 'size=1M', 'file: ' . file_of('plain', 1 << 20) . ', size: 1M')));
	is $status, 0, 'status';
	unlike $out, qr/not ok/, 'the guest finds it all there';
};

# --- RAM ----------------------------------------------------------------------------------

sub resident_ram {
	my ($prefault) = @_;
	my $job = spawn($belfry, 'run', config('ram.yaml', <<"END"));
vms: { vm: { kernel: ${\guest('idle')}, memory: 32M, prefault: $prefault } }
END
	wait_for($job, qr/idle/);
	my ($kb) = Belfry::slurp("/proc/$job->{pid}/smaps") =~ /memfd:belfry-ram.*?^Rss: +(\d+) kB/ms;
	kill TERM => $job->{pid};
	finish($job);
	return $kb;
}

subtest 'prefault takes all RAM before the guest starts' => sub {
	is resident_ram('true'), 32 * 1024, 'with it';
	cmp_ok resident_ram('false'), '<', 16 * 1024, 'without';
};

# --- huge pages ---------------------------------------------------------------------------

my $pool = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';

sub set_pool {
	my ($n) = @_;
	open my $f, '>', $pool or return 0;
	print $f "$n\n";
	close $f;
	return Belfry::slurp($pool) == $n;
}

my $huge = config('huge.yaml', "links: { ring: { size: 4M, hugepages: 2M } }\n" .
	vm('memory', 'size=4M', 'link: ring'));

SKIP: {
	skip unable('needs root to set huge pages aside'), 6 if $> != 0;
	skip 'this host has no huge pages of 2 MiB', 6 if !-e $pool;
	my $before = Belfry::slurp($pool) + 0;
	skip 'huge pages are in use on this host', 6 if $before != 0;
	my $there = set_pool(8);

	SKIP: {
		skip 'this host has no memory for huge pages', 5 if !$there;
		subtest 'a link in huge pages' => sub {
			($status, $out, $err) = belfry('run', $huge);
			is $status, 0, 'status';
			unlike $out, qr/not ok/, 'the guest finds it all there';
			my $job = spawn($belfry, 'run', config('huge_touch.yaml',
				"links: { ring: { size: 4M, hugepages: 2M } }\n" .
				vm('touch', 'seconds=1', 'link: ring')));
			wait_for($job, qr/touching/);
			my ($map) = Belfry::slurp("/proc/$job->{pid}/smaps") =~
				/(memfd:belfry-link.*?)VmFlags/s;
			like $map // '', qr/^KernelPageSize: +2048 kB$/m, 'pages of 2 MiB';
			finish($job);
		};
		subtest 'two VMs share them' => sub {
			my $two = config('huge_two.yaml', "links: { ring: { size: 4M, hugepages: 2M } }\n" .
				vm('memory', 'role=a at=2M', 'link: ring') .
				"  vm2:\n    kernel: ${\guest('memory')}\n    memory: 32M\n" .
				"    cmdline: role=b at=2M\n    devices: [ ivshmem: { link: ring } ]\n");
			($status, $out, $err) = belfry('run', $two);
			is $status, 0, 'status';
			unlike $out, qr/not ok/, 'each sees what the other writes';
		};
		subtest 'RAM in huge pages, and after a reset, too' => sub {
			set_pool(18);
			my $one = config('huge_ram.yaml', "links: { ring: { size: 1M } }\n" .
				vm('reboot', '', 'link: ring') . "    hugepages: 2M\n");
			my $job = spawn($belfry, 'run', $one, '--set', 'vms.vm.kernel=' . guest('idle'));
			wait_for($job, qr/idle/);
			my ($map) = Belfry::slurp("/proc/$job->{pid}/smaps") =~
				/(memfd:belfry-ram.*?)VmFlags/s;
			like $map // '', qr/^KernelPageSize: +2048 kB$/m, 'pages of 2 MiB';
			kill TERM => $job->{pid};
			finish($job);
			for my $prefault ('false', 'true') {
				($status, $out, $err) = belfry('run', $one, '--set', 'vms.vm.on_reset=restart',
					'--set', "vms.vm.prefault=$prefault");
				is $status, 0, "prefault $prefault: three lives";
				is $err, '', 'no words';
				unlike $out, qr/not ok/, 'the guest finds it all there';
			}
		};
		subtest 'RAM in more huge pages than there are' => sub {
			set_pool(3);
			($status, $out, $err) = belfry('run', config('huge_ram.yaml', <<"END"));
vms: { vm: { kernel: ${\guest('hello')}, memory: 32M, hugepages: 2M } }
END
			is $status, 4, 'status';
			is $err, 'belfry: vms.vm: memory 32M: needs 16 huge pages of 2M, and 3 are free; ' .
				"as root: echo 16 > $pool\n", 'words: how many, and how to get them';
			is $out, '', 'no guest has run';
			set_pool(8);
		};
		subtest 'a file on hugetlbfs' => sub {
			mkdir "$dir/huge";
			($status, $out, $err) = command('unshare', '-m', 'sh', '-c',
				"mount -t hugetlbfs none $dir/huge; exec \"\$@\" 2>&1", 'sh', $belfry, 'run',
				config('hugetlbfs.yaml', vm('memory', 'size=4M', "file: $dir/huge/file, size: 4M")));
			is $status, 0, 'status';
			unlike $out, qr/not ok/, 'the guest finds it all there';
		};
	}
	set_pool(0);
	fails 'huge pages that nobody has set aside', 4,
		"links.ring: needs 2 huge pages of 2M, and 0 are free; as root: echo 2 > $pool",
		'run', $huge;
	set_pool($before);
}

done_testing;
