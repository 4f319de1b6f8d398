#!/usr/bin/env perl
# tests/cli/files.t - belfry run: files that are no files, and what is left of those it makes
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use POSIX 'mkfifo';
use Test::More;
use Time::HiRes 'time';

my $SOON_S = 3;

my ($status, $out, $err);
my $shm = "belfry-files-$$";
END { unlink "/dev/shm/$shm" if $shm }

my $kernel = guest('hello');
my $hello = config('hello.yaml', "vms: { vm: { kernel: $kernel, memory: 32M } }");

# Run hello with these keys of its VM.
sub hello {
	my ($status, $out, $err) = belfry('run', $hello, map { ('--set', "vms.vm.$_") } @_);
	return ($status, $out, $err);
}

# --- FIFOs --------------------------------------------------------------------------------

mkfifo "$dir/fifo", 0600 or die "$dir/fifo: $!";

for (['kernel', "kernel $dir/fifo: kernel is not a regular file"],
	['initrd', "kernel $kernel: initrd is not a regular file"],
	['console', "console $dir/fifo: No such device or address"]) {
	my ($key, $words) = @$_;
	subtest "a FIFO as $key is an error at once" => sub {
		my $from = time;
		($status, $out, $err) = hello("$key=$dir/fifo");
		is $status, 3, 'status';
		is $err, "belfry: vms.vm: $words\n", 'words';
		is $out, '', 'no guest has run';
		cmp_ok time - $from, '<', $SOON_S, 'at once';
	};
}

subtest 'a FIFO that somebody reads is a console' => sub {
	sysopen my $reader, "$dir/fifo", POSIX::O_RDONLY | POSIX::O_NONBLOCK or die "$dir/fifo: $!";
	($status, $out, $err) = hello("console=$dir/fifo");
	is $status, 0, 'status';
	sysread $reader, my $text, 4096;
	like $text, qr/^hello\n/, 'what was read';
};

# --- what is made, and stays or goes ------------------------------------------------------

# Two devices: the first makes memory.
sub two_devices {
	my ($first, $second) = @_;
	return ("devices.0.ivshmem.$first", 'devices.0.ivshmem.size=64k',
		"devices.1.ivshmem.file=$second", 'devices.1.ivshmem.size=64k');
}

for (['a file', "file=$dir/made", "$dir/made"],
	['POSIX shared memory', "shm=$shm", "/dev/shm/$shm"]) {
	my ($what, $key, $path) = @$_;

	subtest "$what goes when the next device fails" => sub {
		($status, $out, $err) = hello(two_devices($key, "$dir/none/file"));
		is $status, 3, 'status';
		is $err, "belfry: vms.vm: devices.1.ivshmem: file $dir/none/file: No such file or directory\n",
			'words';
		ok !-e $path, 'nothing is left';
	};

	subtest "$what goes when the VM does not start" => sub {
		($status, $out, $err) = hello(two_devices($key, "$dir/second"), 'affinity=1023');
		is $status, 3, 'status';
		like $err, qr/host CPU 1023, for vCPU 0, is not there/, 'words';
		ok !-e $path && !-e "$dir/second", 'nothing is left';
	};

	subtest "$what stays when the VM has started" => sub {
		($status, $out, $err) = hello(two_devices($key, "$dir/second"));
		is $status, 0, 'status';
		is -s $path, 65536, 'it is there';
		is -s "$dir/second", 65536, 'so is that of the second';
		($status) = hello(two_devices($key, "$dir/none/file"));
		is $status, 3, 'another VM fails';
		ok -e $path, 'what was there before stays';
		unlink $path, "$dir/second";
	};
}

# --- consoles that are there already ------------------------------------------------------

subtest 'the console of a VM that cannot be made keeps what it holds' => sub {
	for ('kernel=/nonexistent', 'initrd=/nonexistent', "devices.0.ivshmem.socket=$dir/none") {
		my $console = config('console', "yesterday\n");
		($status, $out, $err) = hello($_, "console=$console");
		cmp_ok $status, '>', 0, "$_: status";
		is Belfry::slurp($console), "yesterday\n", 'it is not emptied';
	}
};

subtest 'the console of a VM that runs holds that life alone' => sub {
	my $console = config('console', "yesterday\n" x 100);
	($status, $out, $err) = hello("console=$console");
	is $status, 0, 'status';
	like Belfry::slurp($console), qr/^hello\n/, 'it starts anew';
	unlike Belfry::slurp($console), qr/yesterday/, 'nothing old is left';
};

done_testing;
