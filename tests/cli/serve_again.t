#!/usr/bin/env perl
# tests/cli/serve_again.t - a server that is upgraded, or killed and started again
#
# Clients of bench/clients.c join and leave all the while. They check every message and
# every ring: one that is lost, or comes twice, ends them with status 1. With $BELFRY_SOAK it
# is done for longer.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use Serve;
use Test::More;

if (!$ENV{BELFRY_EXPECT_ALL}) {
	plan skip_all => 'python3 is not installed' if system('python3 -c "" 2>/dev/null') != 0;
}

my $times = $ENV{BELFRY_SOAK} ? 20 : 1;
my ($status, $out, $err);

# Under what behaves as systemd does; see systemd.py.
sub managed {
	my ($options, @args) = @_;
	my $job = spawn('python3', "$FindBin::Bin/systemd.py", @$options, $belfry, 'serve', '-S', $path,
		'--log-level', 'warning', @args);
	wait_for($job, qr/^notify READY=1/m) or BAIL_OUT('the server does not start');
	return $job;
}

sub load { return spawn("$build/clients", @_, $path) }

# Wait for the clients; nothing may be lost.
sub loses_nothing {
	my ($load, $what) = @_;
	($status, $out, $err) = finish($load, 240);
	is $status, 0, "$what: nothing is lost, nothing comes twice" or diag $err;
}

subtest 'an upgrade is noticed by nobody' => sub {
	my $server = serve('-S', $path, '-n', '3');
	loses_nothing(load(qw(--clients=40 --vectors=3 --signal-every=10), '--churn=' . 100 * $times),
		'an upgrade every ten joins');
	is status_of($path)->{counters}{peers}, 0, 'it is a server as before';
	($status, $out, $err) = end($server);
	is $status, 0, 'status';
	is scalar(() = $err =~ /; \d+ with 3 vectors each fit/g), 1 + 10 * $times,
		'and it was upgraded as often';
	ok !-e $path, 'it removes what the first has made';
};

subtest 'who is there stays, with what is known of him' => sub {
	my $server = serve('-S', $path, '-l', '1M', '-p', "$dir/pid");
	my @inside = map { connect_raw() } 1 .. 3;
	my $before = wait_peers(3);
	kill 'USR2', $server->{pid};
	ok wait_for_error($server, qr/3 clients are there/), 'upgraded';
	wait_socket();
	my $after = status_of($path);
	is_deeply who($after), who($before), 'the same peers';
	is $after->{size}, 1 << 20, 'the same memory';
	is slurp("$dir/pid"), "$server->{pid}\n", 'the same process';
	close shift @inside;
	is wait_peers(2)->{peers}[0]{id}, 1, 'one who leaves is seen to leave';
	end($server);
	ok !-e "$dir/pid", 'its files go with it';
};

subtest 'an upgrade that fails changes nothing' => sub {
	require File::Copy;
	my $own = "$dir/belfry";
	File::Copy::copy($belfry, $own);
	chmod 0755, $own;
	my $server = spawn($own, 'serve', '-S', $path);
	wait_socket();
	my $inside = connect_raw();
	wait_peers(1);
	rename $own, "$own.away";
	kill 'USR2', $server->{pid};
	ok wait_for_error($server, qr{upgrade to \Q$own\E failed, serving on: .*No such file}), 'log';
	ok joins(), 'the server goes on';
	for (["#!/bin/sh\nexit 127\n", 'its --version fails'], ['no program', 'Exec format error']) {
		my ($text, $why) = @$_;
		config('belfry', $text);
		chmod 0755, $own;
		kill 'USR2', $server->{pid};
		ok wait_for_error($server, qr{upgrade to \Q$own\E failed, serving on: \Q$why\E$}m),
			"a program that does not run: $why";
		is wait_peers(1)->{peers}[0]{id}, 0, 'the peer is there';
	}
	rename "$own.away", $own;
	kill 'USR2', $server->{pid};
	ok wait_for_error($server, qr/1 client is there/), 'and can be upgraded later';
	($status) = end($server);
	is $status, 0, 'status';
};

subtest 'a configuration with a mistake is found before the upgrade' => sub {
	my $good = "servers:\n  a: { path: $path }\n";
	my $file = config('upgrade.yaml', $good);
	my $server = serve($file);
	my $inside = connect_raw();
	my $before = wait_peers(1);
	for ([$good . "  a b: [\n", 'does not parse'], [undef, 'is gone'],
		["servers:\n  a: { path: $path, allow_uids: nobody-at-all }\n", 'names nobody'],
		["servers:\n  a: { path: $path, owner: nobody-at-all }\n", 'names no owner'],
		["servers:\n  a: { path: $path, group: none-at-all }\n", 'names no group'])
	{
		my ($text, $what) = @$_;
		my $said = () = slurp("$dir/err.$server->{n}") =~ /failed, serving on/g;
		defined $text ? config('upgrade.yaml', $text) : unlink $file;
		kill 'USR2', $server->{pid};
		ok wait_for_error($server, qr/(?:upgrade to \S+ failed, serving on\n.*){@{[$said + 1]}}/s),
			"one that $what: log";
		is_deeply who(status_of($path)), who($before), 'the peer is there';
	}
	config('upgrade.yaml', $good);
	kill 'USR2', $server->{pid};
	ok wait_for_error($server, qr/1 client is there; \d+ with 1 vector each fit/), 'when it is mended, the upgrade works';
	end($server);
	is_deeply [glob("$dir/ring*")], [], 'no file is left behind';
};

subtest 'files that have another place after an upgrade are not left behind' => sub {
	my $text = "servers:\n  a: { path: $path, control: $dir/%s.control, pid_file: $dir/%s.pid, " .
		"metrics: $dir/%s.prom }\n";
	my $file = config('moves.yaml', $text =~ s/%s/old/gr);
	my $server = serve($file);
	my $inside = connect_raw();
	sysread $inside, my $version, 8; # it is let in
	my $there = sub { return [map { s{.*/}{}r } sort glob("$dir/{old,new}.*")] };
	is_deeply $there->(), [map { "old.$_" } qw(control pid prom)], 'they are there';
	config('moves.yaml', $text =~ s/%s/new/gr);
	kill 'USR2', $server->{pid};
	ok wait_for_error($server, qr/1 client is there/), 'upgraded';
	is_deeply $there->(), [map { "new.$_" } qw(control pid prom)], 'now they are elsewhere';
	($status, $out) = belfry('serve', '--status', "$dir/new.control");
	like $out, qr/"peers": 1,/, 'and the peer is there';
	end($server);
	is_deeply $there->(), [], 'at the end, none is left';
};

SKIP: {
skip unable('built without libsystemd'), 1 if !has_libsystemd();

subtest 'a server that is killed goes on where it was' => sub {
	my $kills = 5 * $times;
	my $manager = managed(['--kill-ms', 50, '--kills', $kills], '-n', 2);
	my $load = load(qw(--patient --clients=40 --vectors=2), '--churn=' . 500 * $times);
	loses_nothing($load, 'kill -9 again and again');
	ok joins(), 'it serves';
	($status, $out, $err) = end($manager);
	is $status, 0, 'it ends well';
	my $killed = () = $out =~ /^killed by 9$/mg;
	cmp_ok $killed, '>', $times, "it was killed $killed times";
	like $out, qr/^exit 0, 0 stored$/m, 'and leaves nothing in the store';
	unlike $out, qr/^error/m, 'the store is used as it is meant to be';
	is_deeply [glob("$dir/ring*")], [], 'no file is left behind';
};

subtest 'the same peers, IDs and memory are there after a kill' => sub {
	my $manager = managed(['--kill-ms', 1500, '--kills', 1]);
	my $peer = spawn($belfry, 'peer', $path, 'fill 0 64 0xa5', 'sleep 4', 'read 0 16', 'wait any --timeout 8s');
	my $before = wait_peers(1);
	ok wait_for($manager, qr/killed by 9.*notify READY=1/s), 'killed, and started again';
	wait_socket();
	is_deeply who(status_of($path)), who($before), 'the peer is there';
	($status, $out, $err) = belfry('peer', $path, 'info', 'read 0 16', 'ring 0 0');
	is $status, 0, 'another joins it' or diag $err;
	like $out, qr/^id 1$/m, 'by the next ID';
	like $out, qr/a5 a5 a5/, 'finds the memory as it was';
	($status, $out, $err) = finish($peer);
	is $status, 0, 'and has rung it' or diag $err;
	unlike $err, qr/lost/, 'who was there has noticed nothing';
	end($manager);
};

subtest 'an owner who has gone is no reason to begin anew' => sub {
	my $text = "servers:\n  a: { path: $path, owner: %s, group: %s }\n";
	my $file = config('owner.yaml', sprintf $text, 0, 0);
	my $manager = managed(['--kill-ms', 1500, '--kills', 1], $file);
	my $inside = connect_raw();
	my $before = wait_peers(1);
	config('owner.yaml', sprintf $text, 'nobody-at-all', 'none-at-all');
	ok wait_for($manager, qr/killed by 9.*notify READY=1/s), 'killed, and started again';
	wait_socket();
	is_deeply who(status_of($path)), who($before), 'the peer is there';
	($status) = end($manager);
	is $status, 0, 'status';
};

subtest 'a client whose descriptors are lost has left' => sub {
	my $manager = managed(['--kill-ms', 1500, '--kills', 1, '--lose', 'p1']);
	my @inside = map { connect_raw() } 1 .. 3;
	wait_peers(3);
	ok wait_for($manager, qr/killed by 9.*notify READY=1/s), 'killed, and started again';
	wait_socket();
	is_deeply [map { $_->{id} } @{ wait_peers(2)->{peers} }], [0, 2], 'the others are there';
	ok wait_for_error($manager, qr/peer 1 dropped: its descriptors were lost/), 'log';
	ok joins(), 'and newcomers join';
	end($manager);
};

subtest 'without its state, a server begins anew' => sub {
	my $manager = managed(['--kill-ms', 1000, '--kills', 1, '--lose', 'state']);
	my $inside = connect_raw();
	wait_peers(1);
	ok wait_for($manager, qr/killed by 9.*notify READY=1/s), 'killed, and started again';
	wait_socket();
	ok wait_for_error($manager, qr/begins anew: of the server before, the state is lost/),
		'it says why';
	ok joins(), 'clients join';
	end($manager);
};

subtest 'the socket of a .socket unit is used, and left to systemd' => sub {
	my $manager = managed(['--socket', $path]);
	ok joins(), 'clients join by it';
	my $peer = connect_raw();
	is wait_peers(1)->{path}, $path, 'its path is known';
	($status, $out, $err) = end($manager);
	is $status, 0, 'it ends well';
	ok -S $path, 'the socket is there still';
	ok !-e "$path.control", 'what the server has made is not';
	unlink $path;
};

subtest 'a socket that is not the one of the configuration is an error' => sub {
	symlink $dir, "$dir.link";
	for (
		[["$path.2"], ['-S', $path], "path $path: the socket handed over is $path.2"],
		[["$path.2", "$path.3"], [], '2 sockets were handed over, and a server has one'],
	) {
		my ($sockets, $args, $message) = @$_;
		($status, $out, $err) = command('python3', "$FindBin::Bin/systemd.py",
			(map { ('--socket', $_) } @$sockets), $belfry, 'serve', @$args);
		is $status, 3, 'status';
		is $err, "belfry: $message\n", 'message';
		unlink @$sockets;
	}
	for (['-S', "$dir.link/ring.sock"], []) {
		my $manager = spawn('python3', "$FindBin::Bin/systemd.py", '--socket', $path, $belfry,
			'serve', @$_);
		wait_socket();
		ok joins(), @$_ ? 'another name of it will do' : 'no name at all, too';
		is status_of($path)->{path}, $path, 'status knows it by its own';
		(undef, undef, $err) = end($manager);
		like $err, qr/^belfry: ivshmem: serves at the socket handed over, \Q$path\E$/m, 'log'
			if !@$_;
		unlink $path;
	}
	unlink "$dir.link";
};

}

done_testing;
