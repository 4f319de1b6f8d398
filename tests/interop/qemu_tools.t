#!/usr/bin/env perl
# tests/interop/qemu_tools.t - QEMU's ivshmem-client on our server, our peer on QEMU's server
#
# Where `make qemu-tools` has built them; it gets QEMU's source, so that no test waits for it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../cli";
use Belfry;
use Serve;
use Test::More;

my $tools = "$build/qemu-tools";
plan skip_all => "no $tools; make qemu-tools" if !-x "$tools/ivshmem-client";

my ($status, $out, $err);

# QEMU's client, which is given commands with pauses in between, and told to end.
sub client {
	my @commands = map { "echo '$_'; sleep 0.3;" } @_;
	return spawn('sh', '-c', "(sleep 0.5; @commands sleep 30) | exec stdbuf -oL $tools/ivshmem-client -v -S $path");
}

sub wait_out {
	my ($job, $pattern) = @_;
	return wait_for($job, $pattern, 20);
}

subtest 'QEMU\'s client on our server' => sub {
	my $server = serve('-S', $path, '-l', '1M', '-n', '2');
	my $peer = spawn($belfry, 'peer', $path, 'wait 1 --timeout 20s', 'ring 1 0', 'wait any --timeout 20s',
		'sleep 500ms');
	wait_peers(1);
	my $client = client('dump', 'int 0 1', 'int 0 all');
	ok wait_out($client, qr/our_id = 1\n.*vector 1 is enabled.*peer_id = 0\n.*vector 1 is enabled/s),
		'it knows itself and our peer';
	ok wait_out($client, qr/receive notification from peer_id=1 vector=0/), 'it is rung';
	($status, $out, $err) = finish($peer);
	is $status, 0, 'our peer is rung by it' or diag $err;
	like $out, qr/^vector 1: 1$/m, 'at the vector that it names';
	ok wait_out($client, qr/delete peer id = 0/), 'it sees our peer leave';
	kill 'TERM', $client->{pid};
	finish($client);
	($status) = end($server);
	is $status, 0, 'status';
};

subtest 'our peer on QEMU\'s server' => sub {
	my $server = spawn(qw(stdbuf -oL), "$tools/ivshmem-server", '-F', '-v', '-S', $path, '-M', "belfry-$$", '-l', '1M', '-n', '2');
	for (1 .. 500) {
		last if -S $path;
		select undef, undef, undef, 0.01;
	}
	my $first = spawn($belfry, 'peer', $path, 'wait 1 --timeout 20s', 'read 0 5');
	ok wait_for($server, qr/peer_id=0|peer 0|new peer id = 0/, 5), 'one joins';
	($status, $out, $err) = belfry('peer', $path, 'write 0 "hello"', 'ring 0 1');
	is $status, 0, 'another joins' or diag $err;
	($status, $out, $err) = finish($first);
	is $status, 0, 'and rings the first' or diag $err;
	like $out, qr/68 65 6c 6c 6f/, 'which finds what it has written';
	kill 'TERM', $server->{pid};
	finish($server);
	unlink $path, "/dev/shm/belfry-$$";
};

done_testing;
