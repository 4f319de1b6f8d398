#!/usr/bin/env perl
# tests/linux/ivshmem.t - stock Debian guests share memory and ring each other's doorbells
# from user space, with the driver and the samples of guest/
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../cli", $FindBin::Bin;
use Linux;
use Belfry;
use Test::More;

my ($status, $out, $err);
my @driver = (
	modules => ["$build/linux/module/ivshmem.ko"],
	files => ["$build/linux/pingpong"]);
my %ring = (ring => '{ size: 1M, vectors: 1 }');
my @on_ring = (@driver, devices => ['ivshmem: { link: ring }']);
my $interrupts = 'awk \'/ivshmem0/ { print "interrupts:", $2 }\' /proc/interrupts';
my $played = qr/^\d+ round trips, sleeping, us: p0 \d/m;

sub interrupts_of {
	my ($console) = @_;
	return $console =~ /^interrupts: (\d+)$/m ? $1 : 0;
}

# 150 interrupts each at the least: one for each ring, less those that two rings share
# because a guest has not run in between.
subtest 'two guests ring each other, receive it by poll(2), and shut down when asked' => sub {
	my $game = start(
		links => \%ring,
		vms => {
			ping => {
				@on_ring,
				kernel => $bzimage,
				cmdline => 'console=ttyS0 quiet',
				rc => "pingpong --rounds 200 ping && $interrupts\nsleep 1000\n",
				stop_timeout => 60,
			},
			pong => {
				@on_ring,
				rc => "pingpong pong && $interrupts\nsleep 1000\n",
				stop_timeout => 60,
			},
		},
		arguments => ['--stats']);
	ok wait_for($game, qr/(interrupts: .*){2}/s, 300), 'both have played';
	($status, $out, $err) = stop($game);
	is $status, 0, 'SIGTERM: both have powered off in time' or diag $out, $err;
	my ($ping, $pong) = map { console($out, $_) } 'ping', 'pong';
	like $ping, $played, 'round trips are measured';
	for ($ping, $pong) {
		cmp_ok interrupts_of($_), '>=', 150, 'interrupts';
		like $_, qr/reboot: Power down/, 'the power button works';
	}
	unlike $err, qr/of them doorbells [1-9]/, 'no doorbell has left the kernel';
};

if (!$thorough) {
	done_testing;
	exit;
}

# --- the rest: make check-lab -------------------------------------------------------------

subtest 'configs/linux-pair.yaml plays, and ends' => sub {
	($status, $out, $err) = done(spawn($belfry, 'run', 'configs/linux-pair.yaml',
		map { ('--set', "vms.$_.initrd=$build/linux/pair.cpio") } 'ping', 'pong'));
	is $status, 0, 'status' or diag $out, $err;
	like console($out, 'ping'), $played, 'round trips are measured';
};

subtest 'a guest with two devices is a peer on two links' => sub {
	my $both = "pingpong -n 100 -d /dev/ivshmem0 ROLE && pingpong -n 100 -d /dev/ivshmem1 ROLE\n";
	my %two = (@driver, devices => ['ivshmem: { link: ring }', 'ivshmem: { link: more }']);
	($status, $out, $err) = done(start(
		links => { %ring, more => '{ size: 2M, vectors: 4 }' },
		vms => { map { $_ => { %two, rc => $both =~ s/ROLE/$_/gr } } 'ping', 'pong' }));
	is $status, 0, 'status' or diag $out, $err;
	is scalar(() = console($out, 'ping') =~ /$played/g), 2, 'two games';
};

subtest 'one that restarts plays again with the one that did not' => sub {
	my $game = start(
		links => \%ring,
		vms => {
			ping => { @on_ring, rc => "pingpong -n 50 ping\nreboot -f\n", on_reset => 'restart' },
			pong => { @on_ring, rc => 'pingpong --forever pong' },
		});
	ok wait_for($game, qr/(round trips.*){3}/s, 300), 'three games';
	($status, $out, $err) = stop($game);
	like console($out, 'pong'), qr/reboot: Power down/, 'pong has been there all the time';
};

subtest 'the driver is loaded anew while the other side rings' => sub {
	my $rc = "pingpong -n 50 ping && rmmod ivshmem && insmod /modules/ivshmem.ko && "
		. "pingpong -n 50 ping && echo all is well\n";
	($status, $out, $err) = stop_after(qr/all is well/,
		ping => { @on_ring, rc => $rc },
		pong => { @on_ring, rc => 'pingpong --forever pong' });
	like console($out, 'ping'), qr/^all is well$/m, 'both games' or diag $out, $err;
	unlike $out, qr/WARNING|BUG|Oops|Call Trace/, 'the kernel has no complaint';
};

# Guests on the ring, until this shows up.
sub stop_after {
	my ($pattern, %vms) = @_;
	my $game = start(links => \%ring, vms => \%vms);
	wait_for($game, $pattern, 300);
	return stop($game);
}

# A QEMU guest with the same initrd, on a server that both have joined.
subtest 'a guest of belfry and a guest of QEMU ring each other' => sub {
	my $server = foreign_server(1);
	my $qemu = spawn('qemu-system-x86_64', '-M', 'q35', '-enable-kvm', '-cpu', 'host',
		'-m', '256', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
		'-serial', 'stdio', '-kernel', $bzimage, '-append', $fast,
		'-initrd', initrd({ @driver, rc => 'pingpong -n 100 -p 120 ping' }),
		'-chardev', "socket,path=$dir/socket,id=server",
		'-device', 'ivshmem-doorbell,chardev=server,vectors=1');
	my $pong = start(vms => { pong => {
		@driver,
		rc => 'pingpong -p 120 pong',
		devices => ["ivshmem: { socket: $dir/socket }"],
	} });
	($status, $out, $err) = done($pong);
	is $status, 0, 'belfry' or diag $out, $err;
	($status, $out, $err) = done($qemu);
	is $status, 0, 'QEMU' or diag $err;
	like $out, $played, 'they have played' or diag $out;
	kill 'KILL', $server->{pid};
	finish($server);
};

done_testing;
