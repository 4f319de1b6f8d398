#!/usr/bin/env perl
# tests/install/install.t - what `make install` puts somewhere is all that an embedder needs
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../cli";
use Belfry;
use Cwd 'abs_path';
use Test::More;

my $cc = $ENV{CC} || 'cc';
my $here = abs_path("$FindBin::Bin/../..");
my $prefix = "$dir/opt";
my @make = ('make', '-C', $here, "O=" . abs_path($build), 'SANITIZE=', 'COVERAGE=');

# Neither our flags nor our build folder may help.
delete @ENV{qw(O MAKEFLAGS MFLAGS MAKEOVERRIDES CFLAGS LDFLAGS LD_LIBRARY_PATH)};
$ENV{PKG_CONFIG_PATH} = "$prefix/lib/pkgconfig";

sub files { return sort map { chomp; substr $_, length $_[0] } `find $_[0] -type f -o -type l` }

sub make { return command(@make, @_) }

# pkg-config's words for the library.
sub words {
	my ($status, $out, $err) = command('pkg-config', @_, 'belfry');
	is $status, 0 or diag $err;
	return split ' ', $out;
}

subtest 'it installs below a prefix of one\'s own' => sub {
	my ($status, $out, $err) = make('install', "prefix=$prefix");
	is $status, 0 or diag $err;
	unlike $out, qr/^\s*#/m, 'no comment is among the commands';
	for my $file (qw(bin/belfry lib/libbelfry.a lib/libbelfry.so lib/pkgconfig/belfry.pc
		include/belfry.h include/belfry-peer.h include/belfry-server.h
		share/man/man1/belfry.1 share/man/man3/libbelfry.3 share/man/man3/belfry_vm_start.3
		lib/systemd/system/belfry-serve@.service)) {
		ok -s "$prefix/$file", $file;
	}
	my ($version) = words('--modversion');
	is readlink "$prefix/lib/libbelfry.so.0", "libbelfry.so.$version";
	is((command("$prefix/bin/belfry", '--version'))[0], 0);
};

# As the README has it: no path is given to anybody. In a mount namespace, as it is for root.
my $alone = "mount -t tmpfs none /usr/local && mkdir /usr/local/upper /usr/local/work && " .
	"mount -t overlay -o lowerdir=/etc,upperdir=/usr/local/upper,workdir=/usr/local/work none /etc";
SKIP: {
	skip 'cannot have an /etc and /usr/local of its own', 1
		if (command('unshare', '-m', 'sh', '-c', $alone))[0] != 0;
	subtest 'what is installed as it comes is found by who is compiled with it' => sub {
		open my $c, '>', "$dir/version.c" or die;
		print $c "#include <stdio.h>\n#include <belfry.h>\n",
			"int main(void) { puts(belfry_version()); return 0; }\n";
		close $c;
		delete local $ENV{PKG_CONFIG_PATH};
		my ($status, $out, $err) = command('unshare', '-m', 'sh', '-ec', "$alone\n" .
			"@make install >/dev/null\n" .
			"$cc $dir/version.c \$(pkg-config --cflags --libs belfry) -o $dir/version\n$dir/version");
		is $status, 0;
		is $err, '';
		like $out, qr/^\d+\.\d+\.\d+\n\z/;
	};
}

# What SHARED=1 installs; tests/packages/deb.t does.
subtest 'the program can be one that needs the shared library' => sub {
	my $program = "$build/shared/belfry";
	unlike `readelf -d $prefix/bin/belfry`, qr/libbelfry/;
	like `readelf -d $program`, qr/NEEDED.*\[libbelfry\.so\.0\]/;
	unlike `readelf -d $program`, qr/RPATH|RUNPATH/;
	unlike `nm -D $program`, qr/ U bf_/;
	local $ENV{LD_LIBRARY_PATH} = "$prefix/lib";
	my ($status, $out, $err) = kvm_command($program, 'run', config('hello.yaml',
		'vms: { vm: { kernel: ' . guest('hello') . ', memory: 32M } }'));
	is $status, 0 or diag $err;
	like $out, qr/^hello\n/;
};

subtest 'the shared library is small, and needs little' => sub {
	my ($status) = command('strip', '-o', "$dir/stripped", "$prefix/lib/libbelfry.so");
	is $status, 0;
	cmp_ok -s "$dir/stripped", '<', (`$cc --version` =~ /clang/ ? 240 : 200) * 1024;
	my @needs = `readelf -d $dir/stripped` =~ /NEEDED.*\[(.*)\]/g;
	is_deeply [sort @needs], [qw(libc.so.6 liburing.so.2 libyaml-0.so.2)];
};

subtest 'nothing that is installed names the folder it was built in' => sub {
	for my $file (grep { !/\.(a|so\S*)$|\/bin\// } files($prefix)) {
		unlike Belfry::slurp("$prefix$file"), qr/\Q$here\E/, $file;
	}
};

subtest 'an example builds by pkg-config alone, and runs' => sub {
	my ($status, $out, $err) = command($cc, "$here/examples/smallest.c", '-o', "$dir/shared",
		words('--cflags', '--libs'), "-Wl,-rpath,$prefix/lib");
	is $status, 0 or diag $err;
	($status, $out, $err) = kvm_command("$dir/shared", guest('hello'));
	is $status, 0;
	is $err, '';
	like $out, qr/^hello\n/;
	like `readelf -d $dir/shared`, qr/NEEDED.*\[libbelfry\.so\.0\]/;
};

subtest 'so it does with the static library' => sub {
	my @libs = map { $_ eq '-lbelfry' ? '-l:libbelfry.a' : $_ } words('--static', '--libs');
	my ($status, $out, $err) = command($cc, "$here/examples/smallest.c", '-o', "$dir/static",
		words('--cflags'), @libs);
	is $status, 0 or diag $err;
	unlike `readelf -d $dir/static`, qr/libbelfry/;
	($status, $out, $err) = kvm_command("$dir/static", guest('hello'));
	is $status, 0;
	like $out, qr/^hello\n/;
};

subtest 'a C++ program uses all three headers' => sub {
	my $source = config('all.cc', <<'END');
#include <belfry-server.h>
#include <belfry-peer.h>
#include <belfry.h>
#include <cstdio>
int main()
{
	belfry_error error = {};
	belfry_config *config = nullptr;
	belfry_peer *peer = nullptr;
	if (belfry_config_create(&config, &error) != 0)
		return 1;
	if (belfry_config_set(config, "servers.ring.size", "1k", &error) != -22)
		return 2;
	std::puts(error.msg);
	belfry_config_destroy(config);
	if (belfry_peer_create(&peer, "/nowhere/to/be.found", nullptr, &error) == 0)
		return 3;
	std::puts(error.msg);
}
END
	my ($status, $out, $err) = command($cc, '-x', 'c++', $source, '-o', "$dir/all",
		words('--cflags', '--libs'), "-Wl,-rpath,$prefix/lib");
	is $status, 0 or diag $err;
	($status, $out) = command("$dir/all");
	is $status, 0;
	like $out, qr/^servers\.ring\.size.*1k.*\n.*be\.found: /;
};

subtest 'examples/ is a folder that builds elsewhere' => sub {
	system 'cp', '-r', "$here/examples", "$dir/examples";
	my ($status, $out, $err) = command('make', '-C', "$dir/examples", 'O=build', "CC=$cc",
		'WERROR=1', "LDFLAGS=-Wl,-rpath,$prefix/lib");
	is $status, 0 or diag $err;
	($status, $out, $err) = kvm_command("$dir/examples/build/loop_poll", guest('hello'));
	is $status, 0;
	like $err, qr/^event: stopped, reason 4$/m;
};

# --- manual pages ---

# What stands below a heading of a page.
sub section {
	my ($page, $heading) = @_;
	local $ENV{MANWIDTH} = 200;
	my $text = `MANPATH= man -l -P cat $page 2>/dev/null | col -bx`;
	return $text =~ /^$heading\n(.*?)^(?=\S)/ms ? $1 : '';
}

subtest 'the example of libbelfry(3) compiles as it is printed' => sub {
	my $text = section("$prefix/share/man/man3/libbelfry.3", 'EXAMPLE');
	like $text, qr/smallest program/;
	my ($code) = $text =~ m{^(\s*/\* SPDX.*^\s*\}$)}ms;
	ok $code or diag $text;
	my ($status, $out, $err) = command($cc, '-Wall', '-Wextra', '-Werror',
		config('printed.c', $code // ''), '-o', "$dir/printed", words('--cflags', '--libs'),
		"-Wl,-rpath,$prefix/lib");
	is $status, 0 or diag $err;
	is((kvm_command("$dir/printed", guest('hello')))[0], 0);
};

subtest 'every call has a page, and its page names it' => sub {
	my @calls = `nm -D --defined-only $prefix/lib/libbelfry.so` =~ / T (belfry_\w+)/g;
	cmp_ok @calls, '>', 70;
	for my $call (@calls) {
		my ($page) = Belfry::slurp("$prefix/share/man/man3/$call.3") =~ /^\.so (man3\/\w+\.3)$/;
		my $text = Belfry::slurp("$prefix/share/man/" . ($page // 'none'));
		(my $escaped = $call) =~ s/_/(?:\\\\_|_)/g;
		like $text, qr/^.SS $escaped\(\)/m, $call;
	}
};

subtest 'a wrong option makes no pages' => sub {
	chdir $dir or die;
	my ($status, $out, $err) = command("$here/tools/headers-to-man", '--none');
	chdir $here or die;
	is $status, 2;
	is $err, "headers-to-man: unknown option '--none'\n";
	ok !-e "$dir/--none";
};

# --- the end ---

subtest 'it uninstalls to the last file' => sub {
	my $kept = "$prefix/include/kept.h";
	system 'touch', $kept;
	my ($status, $out, $err) = make('uninstall', "prefix=$prefix");
	is $status, 0 or diag $err;
	is_deeply [files($prefix)], ['/include/kept.h'];
};

subtest 'DESTDIR stands in front of every path, and in none' => sub {
	my @where = ("DESTDIR=$dir/dest", 'prefix=/usr', 'libdir=/usr/lib/some-triplet');
	my ($status, $out, $err) = make('install', @where);
	is $status, 0 or diag $err;
	is_deeply [grep { !m{^/usr/} } files("$dir/dest")], [];
	my $pc = Belfry::slurp("$dir/dest/usr/lib/some-triplet/pkgconfig/belfry.pc");
	like $pc, qr{^libdir=/usr/lib/some-triplet$}m;
	unlike $pc, qr/\Q$dir\E/;
	like Belfry::slurp("$dir/dest/usr/lib/systemd/system/belfry-serve\@.service"),
		qr{^ExecStart=/usr/bin/belfry }m;
	($status) = make('uninstall', @where);
	is $status, 0;
	is_deeply [files("$dir/dest")], [];
};

done_testing;
