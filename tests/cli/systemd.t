#!/usr/bin/env perl
# tests/cli/systemd.t - systemd understands our units
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use Cwd 'abs_path';
use Test::More;

plan skip_all => unable('systemd-analyze is not installed')
	if system('command -v systemd-analyze >/dev/null') != 0;

my $units = "$FindBin::Bin/../../systemd";
my $bin = abs_path($build);

sub slurp { return Belfry::slurp("$units/$_[0]") }

(my $service = slurp('belfry-serve@.service.in')) =~ s/\@bindir\@/$bin/g;
config('belfry-serve@.service', $service);
config('belfry-serve@.socket', slurp('belfry-serve@.socket'));

my ($status, $out, $err) = command('systemd-analyze', 'verify', '--man=no',
	"$dir/belfry-serve\@ring.service", "$dir/belfry-serve\@ring.socket");
is $status, 0, 'systemd-analyze verify';
is $out . $err, '', 'without a word';

my ($path) = $service =~ /--path (\S+)/;
like slurp('belfry-serve@.socket'), qr/^ListenStream=\Q$path\E$/m, 'both units name the same path';
like $service, qr/^RestartPreventExitStatus=2 3 7$/m, 'mistakes are not tried again';

done_testing;
