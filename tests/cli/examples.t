#!/usr/bin/env perl
# tests/cli/examples.t - the programs of examples/ do what they say
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use Test::More;

my $examples = "$build/examples";
sub example { my $name = shift; return command("$examples/$name", @_) }

subtest 'the smallest VM runs, prints and says why it has stopped' => sub {
	my ($status, $out, $err) = example('smallest', guest('hello'), 'from the example');
	is $status, 0;
	is $err, '';
	like $out, qr/^hello\ncommand line: from the example$/m;
	like $out, qr/^stopped: reason 4, status 0 debug exit$/m;
};

subtest 'it says what is wrong with the kernel' => sub {
	my ($status, $out, $err) = example('smallest', "$dir/none");
	is $status, 1;
	is $err, "smallest: vms.vm: kernel $dir/none: No such file or directory\n";
};

subtest 'two VMs ring each other without a server' => sub {
	my ($status, $out, $err) = example('pair', guest('pingpong'),
		'role=a rounds=100 poll_rounds=100 warmup=10', 'role=b');
	is $status, 0;
	is $err, '';
	like $out, qr/^a\| doorbell-halt .* 100$/m;
	like $out, qr/^b\| answered 222 doorbells$/m;
};

subtest 'a guest that fails is the failure of the pair' => sub {
	for my $guest ([guest('pingpong'), 'role=c'], [guest('ends'), 'how=triple']) {
		my ($status) = example('pair', @$guest, $guest->[1]);
		is $status, 1;
	}
};

subtest 'the host talks to its guest' => sub {
	my ($status, $out, $err) = example('host_peer', guest('echo'));
	is $status, 0;
	is $err, '';
	is $out, "we are 0, the guest is 1\nanswer 1\nanswer 2\nanswer 3\n";
};

subtest 'the latency probe prints percentiles that rise' => sub {
	my ($status, $out, $err) = example('latency', guest('echo'), 50);
	is $status, 0;
	is $err, '';
	my @us = $out =~ /^50 round trips, us: min ([\d.]+), p50 ([\d.]+), p90 ([\d.]+), p99 ([\d.]+), max ([\d.]+)$/;
	is @us, 5 or diag $out;
	is_deeply \@us, [sort { $a <=> $b } @us];
	cmp_ok $us[0], '>', 0;
};

subtest 'a number of rounds out of bounds is refused' => sub {
	for my $rounds ('0', '1000001') {
		my ($status, $out, $err) = example('latency', guest('echo'), $rounds);
		is $status, 2;
		is $err, "usage: latency KERNEL [ROUNDS], 1 to 1000000\n";
	}
};

my @loops = qw(loop_poll loop_uring);
if (-e "$examples/loop_glib") {
	push @loops, 'loop_glib';
} else {
	SKIP: { skip unable('loop_glib has not been built: no glib-2.0'), 1 }
}
for my $loop (@loops) {
	subtest "$loop hosts a VM to its end" => sub {
		my ($status, $out, $err) = example($loop, guest('hello'), 'greetings=yes');
		is $status, 0;
		like $out, qr/^command line: greetings=yes$/m;
		is $err, "event: started\nevent: stopped, reason 4\n";
	};
}

for my $loop (@loops) {
	subtest "$loop fails when its guest crashes" => sub {
		my ($status, $out, $err) = example($loop, guest('ends'), 'how=triple');
		is $status, 1;
		is $err, "event: started\nevent: stopped, reason 3\n";
	};
}

# loop_uring ends its guest by the clock, the others by a signal.
for my $loop (@loops) {
	subtest "$loop presses the power button" => sub {
		my $job = spawn("$examples/$loop", guest('button'));
		ok wait_for($job, qr/^listening$/m);
		kill 'TERM', $job->{pid} if $loop ne 'loop_uring';
		my ($status, $out, $err) = finish($job);
		is $status, 0;
		is $err, "event: started\nevent: stopped, reason 1\n";
	};
}

for my $loop (grep { $_ ne 'loop_uring' } @loops) {
	subtest "$loop stops a guest that has no ear for it" => sub {
		my $job = spawn("$examples/$loop", guest('idle'));
		ok wait_for($job, qr/^\S/m);
		kill 'TERM', $job->{pid};
		my ($status, $out, $err) = finish($job);
		is $status, 0;
		is $err, "event: started\nevent: stopped, reason 5\n";
	};
}

done_testing;
