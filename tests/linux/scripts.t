#!/usr/bin/env perl
# tests/linux/scripts.t - what makes kernels, initrds and the lab machine: tools/linux-*,
# tests/lab/*
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../cli";
use Belfry;
use Test::More;

my ($status, $out, $err);
my $lab = $ENV{BELFRY_LAB} // 'build/lab';
if (!-e "$lab/generic/vmlinux" && !$ENV{BELFRY_EXPECT_ALL}) {
	plan skip_all => "no kernels in $lab (make linux)";
}

# Write an executable to a folder that can precede the PATH.
sub stub {
	my ($folder, $name, $text) = @_;
	mkdir "$dir/$folder";
	chmod 0755, config("$folder/$name", "#!/bin/sh\n$text");
}

# A command with such a folder first in its PATH.
sub with {
	my ($folder, @command) = @_;
	return ('env', "PATH=$dir/$folder:$ENV{PATH}", @command);
}

# An emulated machine that locks up before anything runs gets a second start; a minute each.
sub patiently { return finish(spawn(@_), 300) }

# A command fails, and this is all it says.
sub fails {
	my ($name, $code, $words, @command) = @_;
	subtest $name => sub {
		($status, $out, $err) = patiently(@command);
		is $status, $code, 'status';
		is $out, '', 'no output';
		like $err, $words, 'words';
	};
}

# --- tools/linux-vmlinux ------------------------------------------------------------------

# As Linux's boot protocol has it: two sectors of setup, a payload, its size behind it.
sub bzimage {
	my ($payload, %with) = @_;
	my $image = "\0" x 1536;
	substr $image, 0x1f1, 1, chr 1;
	substr $image, 0x202, 6, ($with{magic} // 'HdrS') . pack('v', $with{protocol} // 0x20f);
	$payload .= pack 'V', 4242 unless $with{no_size};
	substr $image, 0x248, 8, pack('VV', 512, length $payload);
	return config('bzImage', $image . $payload . 'what follows');
}

my $vmlinux = "\x7fELF" . join ' ', 1 .. 50000;
my $elf = config('vmlinux', $vmlinux);

for my $tool ('xz --check=crc32', 'lz4 -l', 'zstd', 'gzip') {
	subtest "linux-vmlinux: a kernel compressed by $tool" => sub {
		my $payload = `$tool <$elf 2>/dev/null`;
		($status, $out, $err) = command('tools/linux-vmlinux',
			bzimage($payload, no_size => $tool eq 'gzip'));
		is "$status $err", '0 ', 'status and words';
		ok $out eq $vmlinux, 'the kernel';
	};
}

my $tool = 'tools/linux-vmlinux';
fails 'linux-vmlinux: a file that is no bzImage', 1, qr/vmlinux is not a bzImage/, $tool, $elf;
fails 'linux-vmlinux: no such file', 1, qr/cannot read none/, $tool, 'none';
fails 'linux-vmlinux: no argument', 1, qr/usage: /, $tool;
fails 'linux-vmlinux: an old boot protocol', 1, qr/boot protocol before 2\.08/,
	$tool, bzimage('', protocol => 0x207);
fails 'linux-vmlinux: an unknown compression', 1, qr/compressed in a way/,
	$tool, bzimage('something');

# --- tools/linux-initrd -------------------------------------------------------------------

my $initrd = "$dir/initrd";
my @kernel = ('-k', "$lab/root:" . Belfry::slurp("$lab/generic/version") =~ s/\n//r);

sub contents {
	return sort split /\n/, `cpio --quiet -t <$initrd`;
}

subtest 'linux-initrd: a script, a file with its libraries, a module' => sub {
	my $script = config('script', "#!/bin/sh\necho hello\n");
	my $module = config('some.ko', 'module');
	($status, $out, $err) = command('tools/linux-initrd', '-m', $module, '-s', $script,
		'-f', '/usr/bin/env', '-f', "$script:/etc/deep/er", $initrd);
	is "$status $out$err", '0 ', 'status and words';
	my %has = map { $_ => 1 } contents();
	ok $has{$_}, $_ for 'init', 'bin/busybox', 'etc/rc', 'etc/deep/er', 'bin/env',
		'modules/some.ko', 'lib64/ld-linux-x86-64.so.2';
	is `cd $dir && cpio --quiet -i --to-stdout modules/order <$initrd`, "some.ko\n",
		'the order of modules';
};

subtest 'linux-initrd: a module of the kernel comes once, after those it needs' => sub {
	($status, $out, $err) = command('tools/linux-initrd', @kernel, '-m', '9p',
		'-m', '9pnet_virtio', $initrd);
	is "$status $out$err", '0 ', 'status and words';
	my @order = grep { /9p/ } split /\n/, `cpio --quiet -i --to-stdout modules/order <$initrd`;
	is "@order", '9pnet.ko 9p.ko 9pnet_virtio.ko', 'order';
};

config('initrd', 'as it was');
my $maker = 'tools/linux-initrd';
fails 'linux-initrd: a file that is not there', 1, qr/cannot read nowhere/,
	$maker, '-f', 'nowhere', $initrd;
fails 'linux-initrd: a module that is not there', 1, qr/: modprobe: .*Module warp not found/,
	$maker, @kernel, '-m', 'warp', $initrd;
fails 'linux-initrd: a place outside', 1, qr{^tools/linux-initrd: etc/here: a place begins with /$},
	$maker, '-f', "$initrd:etc/here", $initrd;
fails 'linux-initrd: a place above', 1, qr{^tools/linux-initrd: /../up: a place has no \.\.$},
	$maker, '-f', "$initrd:/../up", $initrd;
fails 'linux-initrd: no output', 1, qr/usage: /, $maker;
ok Belfry::slurp($initrd) eq 'as it was', 'linux-initrd: a failure leaves the output alone';

# --- tests/lab/fetch ----------------------------------------------------------------------

# A distribution with three packages: two kernels and the headers of one.
sub distribution {
	my $image = Belfry::slurp(bzimage(scalar `xz --check=crc32 <$elf`));
	for (['linux-image-7.0-cloud-amd64', 'boot/vmlinuz-7.0-cloud-amd64', $image],
		['linux-image-7.0-amd64', 'boot/vmlinuz-7.0-amd64', $image],
		['linux-headers-7.0-cloud-amd64', 'usr/src/linux-headers-7.0-cloud-amd64/Makefile',
			"include /usr/src/linux-headers-7.0-common/Makefile\n"]) {
		my ($name, $path, $text) = @$_;
		my $folder = "debs/$name";
		system 'mkdir', '-p', "$dir/$folder/DEBIAN", "$dir/$folder/" . $path =~ s,[^/]*$,,r;
		config("$folder/DEBIAN/control", "Package: $name\nVersion: 1\nArchitecture: all\n"
				. "Maintainer: none\nDescription: none\n");
		config("$folder/$path", $text);
		my ($version) = $name =~ /image-(.*)/;
		if ($version) {
			system 'mkdir', '-p', "$dir/$folder/lib/modules/$version";
			config("$folder/lib/modules/$version/modules.$_", '')
				for 'order', 'builtin', 'builtin.modinfo';
		}
		system "dpkg-deb -b $dir/$folder $dir/debs >/dev/null";
	}
}

distribution();
my $knows = 'case $2 in linux-image-cloud-amd64) echo "  Depends: linux-image-7.0-cloud-amd64" ;;
linux-image-amd64) echo "  Depends: linux-image-7.0-amd64" ;; esac';
stub($_, 'apt-cache', $knows) for 'good', 'slow', 'offline';
stub('good', 'apt-get', "case \$1 in download) cp $dir/debs/*.deb . ;; esac\n");
stub('slow', 'apt-get', "cp $dir/debs/linux-image*.deb .; touch $dir/copied; sleep 60\n");
stub('offline', 'apt-get', "echo 'E: Could not resolve host'; exit 100\n");
stub('foreign', 'apt-cache', 'exit 100');
stub('foreign', 'apt-get', 'exit 0');

my @fetch = ("BELFRY_LAB=$dir/lab", 'tests/lab/fetch');
fails 'fetch: no network', 1, qr/^E: Could not .*\ntests\/lab\/fetch: cannot download .* network/,
	with('offline', @fetch);
fails 'fetch: not Debian', 1, qr/no linux-image-cloud-amd64 among the packages/,
	with('foreign', @fetch);

mkdir "$dir/lab";
config('lab/mine', 'text');
fails 'fetch: a folder of somebody else', 1, qr{^tests/lab/fetch: $dir/lab is there, and has no kernels$},
	'env', @fetch;
is Belfry::slurp("$dir/lab/mine"), 'text', 'it is as it was';
unlink "$dir/lab/mine";

subtest 'fetch: what an interrupted run left does not disturb the next' => sub {
	my $job = spawn(with('slow', 'setsid', 'env', @fetch));
	for (1 .. 1000) {
		last if -e "$dir/copied";
		select undef, undef, undef, 0.01;
	}
	kill 'KILL', -$job->{pid};
	finish($job);
	ok !-e "$dir/lab", 'nothing looks finished';
	($status, $out, $err) = command(with('good', @fetch));
	is "$status $out$err", '0 ', 'status and words';
	for ('cloud', 'generic') {
		ok Belfry::slurp("$dir/lab/$_/vmlinux") eq $vmlinux, "$_ kernel, uncompressed";
		ok -s "$dir/lab/$_/bzImage", "$_ kernel, as it came";
	}
	is Belfry::slurp("$dir/lab/cloud/version"), "7.0-cloud-amd64\n", 'version';
	unlike Belfry::slurp("$dir/lab/cloud/headers/Makefile"), qr,/usr/src,, 'headers';
	ok !-e "$dir/lab.new", 'no folder of its own is left';
};

subtest 'fetch: once is enough' => sub {
	($status, $out, $err) = command(with('offline', @fetch));
	is "$status $out$err", '0 ', 'status and words';
};

# --- tests/lab/machine --------------------------------------------------------------------

$ENV{WORDS} = 'x  y';
subtest 'machine: output, errors and status are those of the command' => sub {
	($status, $out, $err) = patiently('tests/lab/machine', 'sh', '-c',
		'cat; pwd; echo "a  \'b\' $WORDS"; echo bad >&2; test -c /dev/kvm && exit 7');
	is $status, 7, 'status';
	chomp(my $here = `pwd`);
	is $out, "$here\na  'b' x  y\n", 'output, with the folder and the environment';
	like $err, qr/^(.*\n)*bad\n$/, 'errors, behind what there may be to say of the machine';
};

fails 'machine: time is up', 124, qr/no end after 1 s: sleep 60$/,
	'tests/lab/machine', '--timeout', 1, 'sleep', '60';

stub('lockup', 'qemu-system-x86_64', "echo >>$dir/starts\n");
fails 'machine: one that does not get to the command is started once more', 125,
	qr/locked up before any .*; once more\n.*locked up before any .*; giving up\n$/s,
	with('lockup', 'tests/lab/machine', 'true');
is Belfry::slurp("$dir/starts"), "\n\n", 'machine: started twice';

# In place of QEMU: a script that writes to the machine's ports, "$(port N)".
sub machine_stub {
	my ($folder, $text) = @_;
	stub($folder, 'qemu-system-x86_64', <<'EOT' . $text);
port() {
	echo "$args" | tr ' ' '\n' | sed -n "s,^file\,id=port$1\,path=,,p"
}
args=$*
EOT
}

# A machine that starts the command, and crashes; the second one is well.
machine_stub('crash', <<'EOT');
echo out >"$(port 0)"
echo started >"$(port 2)"
[ ! -e $TRIED ] || echo "ended 5" >"$(port 2)"
touch $TRIED
EOT
$ENV{TRIED} = "$dir/tried";

subtest 'machine: one that crashes, when its output has been seen' => sub {
	($status, $out, $err) = command(with('crash', 'tests/lab/machine', 'true'));
	is "$status $out", "125 out\n", 'status and output';
	like $err, qr/the machine crashed; giving up$/, 'words';
	unlink "$dir/tried";
};

subtest 'machine: one that crashes, before its output has been seen' => sub {
	($status, $out, $err) = command(with('crash', 'tests/lab/machine', '--again', 'true'));
	is "$status $out", "5 out\n", 'status and output, of the second';
	like $err, qr/the machine crashed; once more$/, 'words';
};

# One in which the command fails at the first try.
machine_stub('fails', <<'EOT');
status=4
[ ! -e $TRIED ] || status=0
touch $TRIED
echo "out $status" >"$(port 0)"
printf 'started\nended %d\n' $status >"$(port 2)"
EOT

subtest 'machine: a command that fails has a second try, if there may be one' => sub {
	unlink "$dir/tried";
	($status, $out, $err) = command(with('fails', 'tests/lab/machine', 'true'));
	is "$status $out$err", "4 out 4\n", 'there may be none';
	unlink "$dir/tried";
	my $log = "$lab/first-tries.log";
	my $before = length Belfry::slurp($log);
	($status, $out, $err) = command(with('fails', 'tests/lab/machine', '--again', 'true'));
	is "$status $out$err", "0 out 0\n", 'status and output, of the second';
	is substr(Belfry::slurp($log), $before), "# status 4: true\nout 4\n", 'of the first, in the log';
	truncate $log, $before;
};

# One of whose CPUs says no more, after the command has started.
machine_stub('silent', <<'EOT');
printf 'started\nalive 0\nalive 1\n' >"$(port 2)"
while sleep 0.2; do echo 'alive 1'; done >"$(port 2)"
EOT
fails 'machine: one with a CPU that is silent has locked up', 125, qr/the machine locked up; giving up$/,
	with('silent', 'tests/lab/machine', '--silence', '1', '--timeout', '20', 'true');

subtest 'machine: SIGTERM ends it and its QEMU' => sub {
	my $job = spawn('tests/lab/machine', 'sh', '-c', 'echo up; sleep 60');
	ok wait_for($job, qr/^up$/m, 300), 'up';
	my ($qemu) = children_of($job->{pid});
	ok -e "/proc/$qemu", 'QEMU runs';
	kill 'TERM', $job->{pid};
	($status) = finish($job);
	is $status, 143, 'status';
	ok !-e "/proc/$qemu", 'QEMU is gone';
};

done_testing;
