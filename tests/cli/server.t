#!/usr/bin/env perl
# tests/cli/server.t - VMs on somebody else's ivshmem server, which ends while they run; a
# process of the host beside them
#
# The server is tests/interop/ivshmem_server.py: it knows nothing of belfry.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use POSIX qw(:sys_wait_h mkfifo);
use Test::More;

if (!$ENV{BELFRY_EXPECT_ALL}) {
	plan skip_all => 'python3 is not installed' if system('python3 -c "" 2>/dev/null') != 0;
	plan skip_all => '/dev/kvm is not there or may not be used' if !-w '/dev/kvm';
}

my ($status, $out, $err);

# Two VMs that ring each other for @seconds, each with these keys for its device.
sub pair {
	my ($seconds, $cmdline, $keys) = @_;
	my $vm = sub {
		my ($name, $role) = @_;
		return "  $name:\n    kernel: ${\guest('pingpong')}\n    memory: 32M\n" .
			"    cmdline: role=$role mode=spin $cmdline seconds=$seconds\n" .
			"    devices: [ ivshmem: { socket: $dir/socket, $keys } ]\n";
	};
	return config('pair.yaml', "vms:\n" . $vm->('a', 'a') . $vm->('b', 'b'));
}

# The server ends while two guests ring each other.
sub rings_go_on {
	my ($name, $signal, $cmdline, $keys) = @_;
	subtest $name => sub {
		my $server_job = foreign_server(2);
		my $pair_job = spawn($belfry, 'run', pair(1, "rounds=200000 warmup=100 $cmdline", $keys));
		ok wait_for($pair_job, qr/a\| role a.*b\| role b|b\| role b.*a\| role a/s), 'both run';
		select undef, undef, undef, 0.2;
		kill $signal, $server_job->{pid};
		my ($ended) = finish($server_job);
		is $ended, $signal eq 'KILL' ? 'signal 9' : 0, 'the server has ended';
		is waitpid($pair_job->{pid}, WNOHANG), 0, 'the VMs still run';
		($status, $out, $err) = finish($pair_job);
		is $status, 0, 'they end well';
		like $out, qr/^a\| result doorbell-spin n=\d+/m, 'a has measured to the end';
		like $out, qr/^b\| answered \d+ doorbells/m, 'b has answered each ring once';
		is scalar(() = $err =~ /server lost: .*known peers stay/g), 2, 'each says so once'
			or diag $err;
		unlike $err, qr/^(?!belfry: [ab]: )/m, 'in lines of its own';
	};
}

rings_go_on 'the server is killed', 'KILL', '', 'vectors: 2';
rings_go_on 'the server ends', 'TERM', '', 'vectors: 2';
rings_go_on 'rings by the window', 'KILL', 'window=1', 'vectors: 2, doorbell_window: true';
rings_go_on 'rings by user space', 'KILL', '', 'vectors: 2, doorbells: userspace';
rings_go_on 'rings by INTx', 'KILL', '', 'vectors: 2, revision: 0, msi: off';

subtest 'more vectors than the server has stay silent, fewer are enough' => sub {
	for my $vectors (1, 4) {
		my $server_job = foreign_server(2);
		($status, $out, $err) = belfry('run', config('one.yaml',
			"vms:\n  vm:\n    kernel: ${\guest('own_doorbell')}\n    memory: 32M\n" .
			"    cmdline: rounds=100 warmup=10\n" .
			"    devices: [ ivshmem: { socket: $dir/socket, vectors: $vectors } ]\n"));
		is $status, 0, "$vectors vectors: status";
		like $out, qr/^ok 2 - exactly one interrupt a ring/m, 'the own doorbell works';
		kill 'TERM', $server_job->{pid};
		finish($server_job);
	}
};

subtest 'a guest and a process ring each other' => sub {
	my $server_job = foreign_server(2);
	# We come first, so that the guest cannot answer before its VM has heard of us.
	mkfifo "$dir/fifo", 0600 or die "mkfifo: $!";
	my $us = spawn('sh', '-c', 'exec "$0" peer "$1" < "$2"', $belfry, "$dir/socket", "$dir/fifo");
	open my $commands, '>', "$dir/fifo" or die "fifo: $!";
	local $SIG{PIPE} = 'IGNORE';
	$commands->autoflush(1);
	print $commands "info\n";
	ok wait_for($us, qr/waiting/), 'we have joined';
	my ($me) = Belfry::slurp("$dir/out.$us->{n}") =~ /^id (\d+)/;
	my $vm = spawn($belfry, 'run', config('echo.yaml',
		"vms:\n  vm:\n    kernel: ${\guest('echo')}\n    memory: 32M\n    cmdline: rounds=3\n" .
		"    devices: [ ivshmem: { socket: $dir/socket } ]\n"));
	ok wait_for($vm, qr/listening as (\d+)/), 'the guest listens';
	my ($id) = Belfry::slurp("$dir/out.$vm->{n}") =~ /listening as (\d+)/;
	printf $commands "write 4 %d %d 0 0\n", $me & 255, $me >> 8;
	print $commands "ring $id; wait --timeout 10s\nring $id; wait --timeout 10s\n",
		"read 8 4\nint $id 0\nwait --timeout 10s\n";
	close $commands;
	($status, $out, $err) = finish($us);
	is $status, 0, 'status' or diag $err;
	like $out, qr/^waiting 0\nvector 0: 1\nvector 0: 1\n00000008  02 00 00 00 .*\nvector 0: 1\n\z/m,
		'each ring is answered by one';
	($status, $out, $err) = finish($vm);
	is $status, 0, 'the guest ends well';
	like $out, qr/^answered 3 rings/m, 'it has heard three';
	kill 'TERM', $server_job->{pid};
	finish($server_job);
};

subtest 'a crowd of 4,096 joins while the guest switches MSI-X off and on' => sub {
	my $crowd = spawn("$build/crowd", 4096, "$dir/crowd");
	ok wait_for($crowd, qr/./), 'there is a server';
	($status, $out, $err) = belfry('run', '--stats', config('toggle.yaml',
		"vms:\n  vm:\n    kernel: ${\guest('toggle')}\n    memory: 32M\n" .
		"    devices: [ ivshmem: { socket: $dir/crowd } ]\n"));
	is $status, 0, 'status';
	unlike $out, qr/not ok/, 'own rings arrive';
	like $err, qr/, peers 4097;/, 'they are all known';
	kill 'TERM', $crowd->{pid};
	finish($crowd);
};

done_testing;
