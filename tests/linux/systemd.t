#!/usr/bin/env perl
# tests/linux/systemd.t - the units of belfry serve, under systemd itself
#
# In the lab machine always, and there under a systemd of its own (tests/lab/systemd): the
# host's is left alone.
use strict;
use warnings;
use FindBin;

BEGIN {
	my $lab = $ENV{BELFRY_LAB} // "$FindBin::Bin/../../build/lab";
	if (!$ENV{BELFRY_UNDER_SYSTEMD}) {
		my $why = !-e "$lab/generic/vmlinux" ? "no kernels in $lab (make linux)"
			: !-x '/lib/systemd/systemd' ? 'systemd is not installed' : undef;
		if ($why) {
			die "$why\n" if $ENV{BELFRY_EXPECT_ALL};
			print "1..0 # SKIP $why\n";
			exit 0;
		}
		$ENV{BELFRY_UNDER_SYSTEMD} = 1;
		exec "$FindBin::Bin/../lab/machine", '--again', "$FindBin::Bin/../lab/systemd", $^X, $0
			or die "tests/lab/machine: $!\n";
	}
}

use lib "$FindBin::Bin/../cli";
use Belfry;
use Serve;
use Cwd 'abs_path';
use Test::More;

my $units = '/run/systemd/system';
my ($status, $out, $err);
BAIL_OUT('built without libsystemd') if !has_libsystemd();

# --- our units, as they are installed; nothing that they come after by default is there ---

sub write_file {
	my ($name, $text) = @_;
	open my $file, '>', $name or die "$name: $!";
	print $file $text;
	close $file;
}

my $bin = abs_path($build);
(my $service = slurp("$FindBin::Bin/../../systemd/belfry-serve\@.service.in")) =~ s/\@bindir\@/$bin/g;
write_file("$units/belfry-serve\@.service", $service);
write_file("$units/belfry-serve\@.socket", slurp("$FindBin::Bin/../../systemd/belfry-serve\@.socket"));
for ('service', 'socket') {
	mkdir "$units/belfry-serve\@.$_.d";
	write_file("$units/belfry-serve\@.$_.d/lab.conf", "[Unit]\nDefaultDependencies=no\n");
}
mkdir '/etc/belfry';

sub systemctl {
	($status, $out, $err) = command('systemctl', @_);
	diag $err if $status;
	return $status == 0;
}

sub property {
	my ($unit, $name) = @_;
	($status, $out) = command('systemctl', 'show', '--value', '-p', $name, $unit);
	chomp $out;
	return $out;
}

# Until a property has a value; 20 seconds at most. Return: the value.
sub wait_property {
	my ($unit, $name, $pattern) = @_;
	my $value;
	for (1 .. 200) {
		$value = property($unit, $name);
		last if $value =~ $pattern;
		select undef, undef, undef, 0.1;
	}
	return $value;
}

sub at { $Serve::path = "/run/belfry/$_[0].sock" }

# A server that is killed goes on with its peers.
sub is_killed_and_goes_on {
	my ($unit, @inside) = @_;
	my $before = wait_peers(scalar @inside);
	my $pid = property($unit, 'MainPID');
	cmp_ok property($unit, 'NFileDescriptorStore'), '>=', 3 + @inside, 'systemd holds what it needs';
	kill 'KILL', $pid;
	isnt wait_property($unit, 'MainPID', qr/^(?!0$|$pid$)/), $pid, 'kill -9: another process';
	is wait_property($unit, 'ActiveState', qr/^active$/), 'active', 'is ready';
	my $after = wait_peers(scalar @inside);
	is_deeply who($after), who($before), 'with the same peers and IDs';
	ok joins(), 'others join';
	is wait_peers(scalar @inside)->{counters}{dropped}, 0, 'nobody was dropped';
}

# --- the service ---

subtest 'the service' => sub {
	my $unit = 'belfry-serve@ring';
	at('ring');
	write_file('/etc/belfry/ring.yaml', "servers:\n  ring: { size: 1M, vectors: 2 }\n");
	ok systemctl('start', $unit), 'starts' or diag slurp('/run/lab.log');
	is property($unit, 'ActiveState'), 'active', 'and is ready';
	like property($unit, 'StatusText'), qr/^ring: 0 clients are there; \d+ with 2 vectors each fit$/,
		'status text';
	my @inside = map { connect_raw() } 1 .. 3;
	is_killed_and_goes_on($unit, @inside);

	my ($pid, $before) = (property($unit, 'MainPID'), wait_peers(3));
	write_file('/etc/belfry/ring.yaml', "servers:\n  ring: { size: 1M, vectors: 2, allow_uids: '1' }\n");
	ok systemctl('reload', $unit), 'systemctl reload';
	ok !joins(), 'changes who may join';
	ok systemctl('kill', '-s', 'USR2', $unit), 'an upgrade';
	like wait_property($unit, 'StatusText', qr/3 clients/), qr/^ring: 3 clients are there/, 'is ready';
	is property($unit, 'MainPID'), $pid, 'is the same process';
	is_deeply who(wait_peers(3)), who($before), 'with the same peers';
	write_file('/etc/belfry/ring.yaml', "servers:\n  ring: { size: 1M, vectors: 2 }\n");
	systemctl('reload', $unit);
	is_killed_and_goes_on($unit, @inside);

	ok systemctl('stop', $unit), 'systemctl stop';
	is property($unit, 'Result'), 'success', 'it ends well';
	is property($unit, 'NFileDescriptorStore'), 0, 'the store is empty';
	is_deeply [glob '/run/belfry/ring*'], [], 'no file is left behind';
};

subtest 'a mistake is not tried again' => sub {
	write_file('/etc/belfry/wrong.yaml', "servers:\n  wrong: { size: 3M }\n");
	($status) = command('systemctl', 'start', 'belfry-serve@wrong');
	isnt $status, 0, 'it does not start';
	is property('belfry-serve@wrong', 'ExecMainStatus'), 3, 'status';
	is wait_property('belfry-serve@wrong', 'ActiveState', qr/^failed$/), 'failed', 'failed';
	is property('belfry-serve@wrong', 'NRestarts'), 0, 'for good';
};

subtest 'the socket' => sub {
	my $unit = 'belfry-serve@act';
	at('act');
	write_file('/etc/belfry/act.yaml', "servers:\n  act: {}\n");
	ok systemctl('start', "$unit.socket"), 'is made by systemd';
	is property($unit, 'ActiveState'), 'inactive', 'without a server';
	my $first = connect_raw();
	is wait_property($unit, 'ActiveState', qr/^active$/), 'active', 'which the first client starts';
	is_killed_and_goes_on($unit, $first);
	ok systemctl('stop', $unit), 'it ends';
	ok -S $Serve::path, 'and the socket stays';
	systemctl('stop', "$unit.socket");
	ok !-e $Serve::path, 'until systemd removes it';
};

done_testing;
