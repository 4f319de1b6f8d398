#!/usr/bin/env perl
# tests/soak/serve.t - the server for minutes: crowds, churn, clients that do wrong
#
# What tests/cli/serve.t does once, many times over; run by `make soak`. Nothing may be lost
# (bench/clients.c), and the server must not grow.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../cli";
use Belfry;
use Serve;
use Test::More;

$SIG{PIPE} = 'IGNORE'; # clients that are dropped

my ($status, $out, $err);

sub descriptors { my @fds = glob "/proc/$_[0]/fd/*"; return scalar @fds }

sub resident_kb {
	my ($kb) = slurp("/proc/$_[0]/status") =~ /^VmRSS:\s+(\d+)/m;
	return $kb;
}

# Clients that check everything. What they print goes to the log of the test.
sub load {
	my ($what, @args) = @_;
	my $job = spawn("$build/clients", @args, $path);
	($status, $out, $err) = finish($job, 200);
	is $status, 0, "$what: nothing is lost" or diag $err;
	diag $out;
}

for ([500, 1], [1000, 1], [2000, 1], [100, 64]) {
	my ($clients, $vectors) = @$_;
	subtest "$clients clients with $vectors vectors, half of whom leave at once" => sub {
		my $server = serve('-S', $path, '-n', $vectors, qw(--log-level error));
		load('crowd', "--clients=$clients", "--vectors=$vectors", '--leave');
		is wait_peers(0)->{counters}{dropped}, 0, 'nobody was dropped';
		($status) = end($server);
		is $status, 0, 'it ends well';
	};
}

subtest '10,000 join and 10,000 leave, and nothing is left over' => sub {
	my $server = serve('-S', $path, '-n', '2', qw(--log-level error));
	load('warm-up', qw(--clients=50 --vectors=2 --churn=500));
	wait_peers(0);
	my ($fds, $kb) = (descriptors($server->{pid}), resident_kb($server->{pid}));
	load('churn', qw(--clients=50 --vectors=2 --churn=10000));
	wait_peers(0);
	is descriptors($server->{pid}), $fds, 'descriptors';
	# Records of IDs that have been used for the first time: 96 bytes each.
	cmp_ok resident_kb($server->{pid}), '<', $kb + 1500, 'memory' or diag "before $kb";
	($status) = end($server);
	is $status, 0, 'it ends well';
};

subtest 'connecting and closing 10,000 times, while others churn' => sub {
	my $server = serve('-S', $path, qw(--log-level error));
	my $job = spawn("$build/clients", qw(--clients=20 --churn=2000 --among-others), $path);
	close connect_raw() for 1 .. 10_000;
	($status, $out, $err) = finish($job, 200);
	is $status, 0, 'nothing is lost' or diag $err;
	my $counters = wait_peers(0)->{counters};
	is $counters->{joined}, $counters->{left}, 'whoever came has left';
	($status) = end($server);
	is $status, 0, 'it ends well';
};

subtest 'clients that do wrong for a while, while others churn' => sub {
	my $server = serve('-S', $path, qw(-n 4 --stall 2 --log-level error));
	my $job = spawn("$build/clients", qw(--clients=30 --vectors=4 --churn=2000 --among-others), $path);
	my @silent;
	while (!Serve::ended($job->{pid})) {
		my $sock = connect_raw() or last;
		my $kind = int rand 5;
		syswrite $sock, 'garbage' if $kind == 0;
		shutdown $sock, 1 if $kind == 1;
		sysread $sock, my $part, 1 + int rand 40 if $kind == 2;
		push @silent, $sock if $kind == 3;
		shift @silent if @silent > 20;
		select undef, undef, undef, 0.003; # the others are to get on as well
	}
	($status, $out, $err) = finish($job, 200);
	is $status, 0, 'nothing is lost' or diag $err;
	@silent = ();
	is wait_peers(0)->{counters}{peers}, 0, 'nobody is left over';
	($status) = end($server);
	is $status, 0, 'it ends well';
};

done_testing;
