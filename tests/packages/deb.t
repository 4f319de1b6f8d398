#!/usr/bin/env perl
# tests/packages/deb.t - the Debian packages build, and have in them what each is for
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../cli";
use Belfry;
use Cwd 'abs_path';
use Test::More;

my $debs = abs_path($build) . '/deb';
my $cc = $ENV{CC} || 'cc';

sub deb { return (glob "$debs/$_[0]_*.deb")[0] // "$debs/$_[0].deb" }

# $1: a control field of a package
sub field {
	my ($package, $name) = @_;
	my ($status, $out) = command('dpkg-deb', '-f', deb($package), $name);
	return $out;
}

subtest 'they build from a copy of the tree, and lintian finds no error' => sub {
	my ($status, $out, $err) = finish(spawn('tools/deb', $debs), 900);
	is $status, 0 or diag $out, $err;
	unlike $out, qr/^E: /m;
	is scalar(() = glob "$debs/*.changes"), 1;
};

subtest 'each has its files' => sub {
	my %wants = (
		belfry => [qw(usr/bin/belfry usr/share/man/man1/belfry.1.gz
			lib/systemd/system/belfry-serve@.service)],
		libbelfry0 => ['usr/lib/[^/]+/libbelfry\.so\.0'],
		'libbelfry-dev' => [qw(usr/include/belfry-peer.h usr/lib/[^/]+/libbelfry\.a
			usr/lib/[^/]+/pkgconfig/belfry.pc usr/share/man/man3/belfry_vm_start.3.gz
			usr/share/doc/libbelfry-dev/examples/belfry.py)],
	);
	for my $package (sort keys %wants) {
		my ($status, $out) = command('dpkg-deb', '-c', deb($package));
		is $status, 0;
		like $out, qr{ \./$_(?: ->|$)}m, "$package: $_" for @{ $wants{$package} };
	}
};

subtest 'they depend on what they need, and the library on little' => sub {
	my @needs = sort map { /^(\S+)/ } split /, /, field('libbelfry0', 'Depends');
	is_deeply \@needs, [qw(libc6 liburing2 libyaml-0-2)];
	@needs = sort map { /^(\S+)/ } split /, /, field('belfry', 'Depends');
	is_deeply \@needs, [qw(libbelfry0 libc6 libedit2 libjansson4 libsystemd0)];
	like field('libbelfry-dev', 'Depends'), qr/libbelfry0 \(= .*liburing-dev.*libyaml-dev/;
	is field('libbelfry0', 'Multi-Arch'), "same\n";
};

subtest 'unpacked, they compile and run an example' => sub {
	system('dpkg-deb', '-x', deb($_), "$dir/root") for qw(belfry libbelfry0 libbelfry-dev);
	my ($lib) = glob "$dir/root/usr/lib/*-linux-gnu";
	local $ENV{PKG_CONFIG_PATH} = "$lib/pkgconfig";
	local $ENV{PKG_CONFIG_SYSROOT_DIR} = "$dir/root";
	my ($status, $words) = command('pkg-config', '--define-variable=libdir=/' .
		substr($lib, length "$dir/root/"), '--cflags', '--libs', 'belfry');
	is $status, 0;
	($status, undef, my $err) = command($cc, 'examples/smallest.c', '-o', "$dir/smallest",
		"-I$dir/root/usr/include", "-L$lib", split(' ', $words), "-Wl,-rpath,$lib");
	is $status, 0 or diag $err;
	($status, my $out) = command("$dir/smallest", guest('hello'));
	is $status, 0;
	like $out, qr/^hello\n/;
	local $ENV{LD_LIBRARY_PATH} = $lib;
	($status, $out, $err) = command("$dir/root/usr/bin/belfry", 'run', config('hello.yaml',
		'vms: { vm: { kernel: ' . guest('hello') . ', memory: 32M } }'));
	is $status, 0 or diag $out, $err;
};

subtest 'the shared library says which version a program needs' => sub {
	my ($status, $out) = command('dpkg-deb', '-I', deb('libbelfry0'), 'symbols');
	like $out, qr/^libbelfry\.so\.0 libbelfry0 #MINVER#$/m;
	like $out, qr/^ belfry_vm_create\@BELFRY_0\.1 0\.1\.0$/m;
};

done_testing;
