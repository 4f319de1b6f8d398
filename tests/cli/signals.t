#!/usr/bin/env perl
# tests/cli/signals.t - belfry run: signals while it starts, and what it was started to ignore
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use IO::Socket::UNIX;
use Test::More;
use Time::HiRes 'time';

my $SOON_S = 3; # less than a server is given to say its part

my ($status, $out, $err);
my $idle = guest('idle');
my $one = config('one.yaml', "vms: { vm: { kernel: $idle, memory: 32M } }");
my $two = config('two.yaml', "vms: { a: { kernel: $idle, memory: 32M }, b: { kernel: $idle, memory: 32M } }");

# Run with a signal ignored from the start. (A shell's trap does not reach all signals.)
sub ignoring {
	my ($signal, @args) = @_;
	return spawn($^X, '-e', '$SIG{shift @ARGV} = "IGNORE"; exec @ARGV', $signal, $belfry, 'run', @args);
}

# --- while a VM is being created ----------------------------------------------------------

# A server that accepts, and says nothing. Return: a job that waits for it, and the connection.
sub wait_in_vain {
	my ($name, $file, $device) = @_;
	my $server = IO::Socket::UNIX->new(Local => "$dir/$name", Listen => 1) or die "$name: $!";
	my $job = spawn($belfry, 'run', $file, '--set', "$device=$dir/$name");
	$server->timeout(10);
	return ($job, $server->accept);
}

subtest 'a signal ends a VM whose server is silent' => sub {
	my ($job, $silent) = wait_in_vain('silent', $one, 'vms.vm.devices.0.ivshmem.socket');
	ok $silent, 'it waits for the server';
	my $from = time;
	kill 'TERM', $job->{pid};
	($status, $out, $err) = finish($job);
	is $status, 'signal 15', 'status';
	is "$out$err", '', 'no words';
	cmp_ok time - $from, '<', $SOON_S, 'at once';
};

subtest 'a signal ends several VMs of which one has a silent server' => sub {
	my ($job, $silent) = wait_in_vain('silent2', $two, 'vms.b.devices.0.ivshmem.socket');
	ok $silent, 'it waits for the server';
	my $from = time;
	kill 'TERM', $job->{pid};
	($status, $out, $err) = finish($job);
	is $status, 143, 'status';
	is $err, '', 'no words';
	cmp_ok time - $from, '<', $SOON_S, 'at once';
};

# --- ignored from the start ---------------------------------------------------------------

subtest 'several VMs end though their ends were to be ignored' => sub {
	my $hello = guest('hello');
	($status, $out, $err) = finish(ignoring('CHLD', config('hellos.yaml',
		"vms: { a: { kernel: $hello, memory: 32M }, b: { kernel: $hello, memory: 32M } }")));
	is $status, 0, 'status';
	is scalar(() = $out =~ /^[ab]\| hello$/mg), 2, 'both have run';
	is $err, '', 'no words';
};

subtest 'the status of a VM arrives though it was to be ignored' => sub {
	my $ends = guest('ends');
	($status, $out, $err) = finish(ignoring('CHLD', config('ends.yaml', <<"END")));
vms:
  a: { kernel: $ends, memory: 32M, cmdline: how=debug-exit status=5 }
  b: { kernel: $ends, memory: 32M, cmdline: how=s5 }
END
	is $status, 69, 'status';
	is $err, "belfry: a: the guest ended with status 5\n", 'words';
};

# The ignored one comes first, also where both are read at a time: it has the lower number.
sub ignores {
	my ($name, $file, $running, $signal) = @_;
	subtest $name => sub {
		my $job = ignoring($signal, $file);
		ok wait_for($job, $running), 'it runs';
		kill $signal, $job->{pid};
		kill 'TERM', $job->{pid};
		($status, $out, $err) = finish($job);
		is $status, 143, 'the one that was not ignored has stopped it';
		is $err, '', 'no words';
	};
}

my $both = qr/a\| .*b\| |b\| .*a\| /s;
ignores 'a VM outlives SIGHUP under nohup', $one, qr/idle/, 'HUP';
ignores 'several VMs outlive SIGHUP under nohup', $two, $both, 'HUP';
ignores 'a VM in the background of a shell outlives SIGINT', $one, qr/idle/, 'INT';

# --- standard descriptors that are closed -------------------------------------------------

subtest 'without a standard output a VM runs all the same' => sub {
	($status, $out, $err) = command('sh', '-c', 'exec "$@" >&-', 'sh', $belfry, 'run', $one,
		'--set', 'vms.vm.kernel=' . guest('hello'));
	is $status, 0, 'status';
	is "$out$err", '', 'no words';
};

subtest 'without any standard descriptor several VMs run all the same' => sub {
	($status) = command('sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh', $belfry, 'run', $two,
		map { ('--set', "vms.$_.kernel=" . guest('hello')) } 'a', 'b');
	is $status, 0, 'status';
};

done_testing;
