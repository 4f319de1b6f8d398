#!/usr/bin/env perl
# tests/cli/stop.t - belfry run: a signal asks guests to power off, a second one stops them
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use Test::More;
use Time::HiRes 'sleep';

my ($status, $out, $err);
my $button = guest('button');
my $one = config('one.yaml', "vms: { vm: { kernel: $button, memory: 32M, stop_timeout: 20 } }");
my $asked = 'belfry: vm: has been asked to power off; a second signal stops it';

# The guest that is listening but does nothing when the button is pressed.
sub stubborn { return ('--set', "vms.$_[0].cmdline=then=nothing") }

sub listening {
	my ($n, @args) = @_;
	my $job = spawn($belfry, 'run', @args);
	ok wait_for($job, qr/(?:listening.*){$n}/s), 'it listens';
	sleep 0.1; # until the vCPU halts, as far as anybody can tell
	return $job;
}

for my $signal ('TERM', 'INT', 'HUP') {
	subtest "SIG$signal: a guest that listens powers off, and all is well" => sub {
		my $job = listening(1, $one);
		kill $signal, $job->{pid};
		($status, $out, $err) = finish($job);
		is $status, 0, 'status';
		is $err, "$asked\n", 'words';
	};
}

subtest 'a guest that does not listen is stopped at once' => sub {
	my $job = spawn($belfry, 'run', $one, '--set', 'vms.vm.kernel=' . guest('idle'),
		'--set', 'vms.vm.stop_timeout=3600');
	ok wait_for($job, qr/idle/), 'it runs';
	kill TERM => $job->{pid};
	($status, $out, $err) = finish($job);
	is $status, 143, 'status';
	is $err, '', 'no words';
};

subtest 'a guest that does nothing is stopped after its time' => sub {
	my $job = listening(1, $one, stubborn('vm'), '--set', 'vms.vm.stop_timeout=1');
	kill TERM => $job->{pid};
	($status, $out, $err) = finish($job);
	like $out, qr/pressed/, 'it had been asked';
	is $status, 143, 'status';
	is $err, "$asked\nbelfry: vm: has not powered off in 1 s, and is stopped\n", 'words';
};

subtest 'a second signal stops it at once' => sub {
	my $job = listening(1, $one, stubborn('vm'), '--set', 'vms.vm.stop_timeout=3600');
	kill TERM => $job->{pid};
	ok wait_for($job, qr/pressed/), 'it has been asked';
	sleep 0.5;
	kill INT => $job->{pid};
	($status, $out, $err) = finish($job);
	is $status, 143, 'the status is that of the first';
	is $err, "$asked\n", 'words';
};

subtest 'a signal that comes twice at once, as from timeout(1), is one' => sub {
	my $job = listening(1, $one);
	kill TERM => $job->{pid};
	kill HUP => $job->{pid}; # two of the same might arrive as one anyway
	($status, $out, $err) = finish($job);
	is $status, 0, 'the guest has powered off';
	is $err, "$asked\n", 'words';
};

subtest 'without a time to power off it is stopped at once' => sub {
	my $job = listening(1, $one, '--set', 'vms.vm.stop_timeout=0');
	kill TERM => $job->{pid};
	($status, $out, $err) = finish($job);
	is $status, 143, 'status';
	is $err, '', 'no words';
};

# --- several ------------------------------------------------------------------------------

my $two = config('two.yaml', <<"END");
vms:
  a: { kernel: $button, memory: 32M, stop_timeout: 3600 }
  b: { kernel: $button, memory: 32M, stop_timeout: 3600 }
END

subtest 'several VMs power off' => sub {
	my $job = listening(2, $two);
	kill TERM => $job->{pid};
	($status, $out, $err) = finish($job);
	is $status, 0, 'status';
	is $err, '', 'no words';
};

subtest 'one of them does nothing: the others power off, it is stopped after its time' => sub {
	my $job = listening(2, $two, stubborn('b'), '--set', 'vms.b.stop_timeout=1');
	kill INT => $job->{pid};
	($status, $out, $err) = finish($job);
	is $status, 130, 'status: of the signal that came here';
	is $err, "belfry: b: has not powered off in 1 s, and is stopped\n", 'words';
};

subtest 'a second signal stops them all' => sub {
	my $job = listening(2, $two, stubborn('a'), stubborn('b'));
	kill TERM => $job->{pid};
	ok wait_for($job, qr/pressed.*pressed/s), 'both have been asked';
	sleep 0.5;
	kill TERM => $job->{pid};
	($status, $out, $err) = finish($job);
	is $status, 143, 'status';
	is $err, '', 'no words';
};

# Ctrl-C in a terminal; systemd and its control group.
for my $signal ('INT', 'TERM') {
	subtest "SIG$signal to all of the processes is one request" => sub {
		my $job = listening(2, $two, stubborn('b'), '--set', 'vms.b.stop_timeout=2');
		kill $signal, $job->{pid}, children_of($job->{pid});
		($status, $out, $err) = finish($job);
		like $err, qr/^belfry: b: has not powered off in 2 s, and is stopped$/m, 'b has had its time';
		is $status, $signal eq 'INT' ? 130 : 143, 'status';
	};
}

subtest 'a VM that is killed has the others asked' => sub {
	my $job = listening(2, $two);
	my ($one) = children_of($job->{pid});
	kill KILL => $one;
	($status, $out, $err) = finish($job);
	is $status, 137, 'status';
	like $err, qr/^belfry: [ab]: killed by signal 9\n\z/, 'words';
};

subtest 'when belfry is killed, the guests are asked all the same' => sub {
	my $job = listening(2, $two);
	my @children = children_of($job->{pid});
	kill KILL => $job->{pid};
	finish($job);
	for (1 .. 1000) {
		last if !grep { -e "/proc/$_" } @children;
		sleep 0.01;
	}
	is_deeply [grep { -e "/proc/$_" } @children], [], 'no process is left';
};

done_testing;
