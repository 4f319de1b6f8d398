#!/usr/bin/env perl
# tests/cli/systemd.t - systemd understands our units, and a program without it says so
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use Serve;
use Cwd 'abs_path';
use Test::More;

plan skip_all => unable('systemd-analyze is not installed')
	if system('command -v systemd-analyze >/dev/null') != 0;

my $units = "$FindBin::Bin/../../systemd";
my $bin = abs_path($build);

sub unit { return Belfry::slurp("$units/$_[0]") }

(my $service = unit('belfry-serve@.service.in')) =~ s/\@bindir\@/$bin/g;
config('belfry-serve@.service', $service);
config('belfry-serve@.socket', unit('belfry-serve@.socket'));

my ($status, $out, $err) = command('systemd-analyze', 'verify', '--man=no',
	"$dir/belfry-serve\@ring.service", "$dir/belfry-serve\@ring.socket");
is $status, 0, 'systemd-analyze verify';
is $out . $err, '', 'without a word';

my ($named) = $service =~ /--path (\S+)/;
like unit('belfry-serve@.socket'), qr/^ListenStream=\Q$named\E$/m, 'both units name the same path';
like $service, qr/^RestartPreventExitStatus=2 3 7$/m, 'mistakes are not tried again';

my $without = "$build/no_systemd";

subtest 'a program without libsystemd says so' => sub {
	($status, $out, $err) = command($without, 'serve', '--help');
	like $out, qr/^systemd: none, built without libsystemd/m, 'in its help';
	($status, $out, $err) = command('sh', '-c', "LISTEN_PID=\$\$ LISTEN_FDS=1 exec $without serve -S $path");
	is $status, 1, 'a socket that it cannot use: status';
	like $err, qr/^belfry: built without libsystemd: it cannot use the sockets of a \.socket unit$/m,
		'message';
	is_deeply [glob("$dir/ring*")], [], 'nothing is left behind';
};

subtest 'and serves as well' => sub {
	local $ENV{NOTIFY_SOCKET} = "$dir/nobody-is-there";
	my $server = spawn($without, 'serve', '-S', $path);
	wait_socket();
	ok joins(), 'clients join';
	($status) = end($server);
	is $status, 0, 'it ends well';
};

done_testing;
