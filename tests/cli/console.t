#!/usr/bin/env perl
# tests/cli/console.t - belfry run: what the serial port receives, and a pseudo-terminal
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use Fcntl;
use POSIX 'mkfifo';
use Test::More;
use Time::HiRes 'sleep';

my ($status, $out, $err);
my $input = guest('input');
my $one = config('one.yaml', "vms: { vm: { kernel: $input, memory: 32M } }");

sub set { return map { ('--set', "vms.vm.$_") } @_ }
sub sum_of { my ($file) = @_; return (split ' ', qx(cksum < $file))[0] }
sub random_file {
	my ($name, $size) = @_;
	open my $file, '>', "$dir/$name" or die;
	print $file pack 'C*', map { int rand 256 } 1 .. $size;
	return "$dir/$name";
}

# The processor time that a process has used, in ticks of 10 ms.
sub ticks_of { return eval { my @f = split ' ', Belfry::slurp("/proc/$_[0]/stat") =~ s/.*\) //sr; $f[11] + $f[12] } }

# --- output -------------------------------------------------------------------------------

{
	local $^F = 255; # the command inherits it
	pipe my $reader, my $nobody_reads or die "pipe: $!";
	close $reader;
	for (['a full disk', 'No space left on device', '/dev/full'],
		['a reader that has gone', 'Broken pipe', '&' . fileno $nobody_reads]) {
		my ($name, $words, $where) = @$_;
		($status, $out, $err) = command('sh', '-c', "exec $belfry run $one " .
			"--set vms.vm.kernel=${\guest('hello')} >$where");
		is "$status $err", "0 belfry: vm: console output is lost: $words\n",
			"$name: said once, and the guest goes on";
	}
}

# --- console_input ------------------------------------------------------------------------

subtest 'a file reaches the guest in full, and its end does no harm' => sub {
	my $file = random_file('random', 20_000);
	($status, $out, $err) = belfry('run', $one, set("console_input=$file", 'cmdline=bytes=20000'));
	is $status, 0, 'status';
	is $out, "ready\nsum ${\sum_of($file)} of 20000\n\n", 'every byte';
	is $err, '', 'no words';
};

subtest 'a guest that is slow, and deaf at first, loses nothing' => sub {
	my $file = random_file('random', 2_000);
	($status, $out) = belfry('run', $one,
		set("console_input=$file", 'cmdline=bytes=2000 rest_us=2000 deaf_ms=200'));
	is $status, 0, 'status';
	like $out, qr/^sum ${\sum_of($file)} of 2000$/m, 'every byte';
};

subtest 'input that has ended costs nothing' => sub {
	my $job = spawn($belfry, 'run', $one, set('console_input=/dev/null'), '--verbose');
	ok wait_for($job, qr/ready/), 'the guest runs';
	sleep 0.2;
	my $before = ticks_of($job->{pid});
	sleep 1;
	cmp_ok ticks_of($job->{pid}) - $before, '<', 50, 'it does not spin';
	kill TERM => $job->{pid};
	($status, $out, $err) = finish($job);
	is $status, 143, 'it ran on';
	like $err, qr/^belfry: vm: console input has ended$/m, 'the log says so';
};

subtest 'writers of a FIFO come and go' => sub {
	mkfifo "$dir/fifo", 0600;
	my $job = spawn($belfry, 'run', $one, set("console_input=$dir/fifo"));
	ok wait_for($job, qr/ready/), 'the guest runs before there is one';
	for my $word ('ab', 'cd', 'eq') {
		sysopen my $fifo, "$dir/fifo", O_WRONLY | O_NONBLOCK or last; # nobody reads
		print $fifo $word;
		close $fifo;
		my $seen = join '', map { sprintf '<%02x>', ord } split //, $word;
		ok wait_for($job, qr/$seen/), $word;
	}
	($status) = finish($job);
	is $status, 0, 'status';
};

subtest 'a reset in the middle loses what the port held, and no more' => sub {
	my $file = config('text', 'q' x 100);
	($status, $out) = belfry('run', $one, set("console_input=$file", 'on_reset=restart'));
	is $status, 0, 'status';
};

sub fails {
	my ($name, $want, $words, @sets) = @_;
	Belfry::fails($name, $want, $words, 'run', $one, set(@sets));
}

fails 'an input that is not there', 3,
	"vms.vm: console_input $dir/none: No such file or directory", "console_input=$dir/none";
fails 'an input that is a folder', 3, "vms.vm: console_input $dir: Is a directory",
	"console_input=$dir";

# --- console_pty --------------------------------------------------------------------------

my $pty = "$dir/pty";

sub with_pty {
	my (@sets) = @_;
	my $job = spawn($belfry, 'run', $one, set("console_pty=$pty", @sets));
	for (1 .. 1000) {
		last if -e $pty;
		sleep 0.01;
	}
	return $job;
}

sub reader {
	sysopen my $tty, $pty, O_RDWR | O_NOCTTY | O_NONBLOCK or return;
	return $tty;
}

# Until it shows up. Return: all that has been read.
sub reads {
	my ($tty, $re) = @_;
	my ($seen, $until) = ('', time + 120);
	while ($seen !~ $re && time < $until) {
		sleep 0.01 if !sysread $tty, $seen, 65536, length $seen;
	}
	return $seen;
}

subtest 'the console is a pseudo-terminal, for readers that come and go' => sub {
	my $job = with_pty();
	like readlink $pty, qr{^/dev/pts/\d+$}, 'by a symbolic link';
	my $tty = reader();
	like reads($tty, qr/ready/), qr/ready\n/, 'what came before is there, as it was';
	syswrite $tty, 'a';
	is reads($tty, qr/<61>/), '<61>', 'the guest receives, and nothing echoes';
	close $tty;
	sleep 0.3;
	my $before = ticks_of($job->{pid});
	sleep 1;
	cmp_ok ticks_of($job->{pid}) - $before, '<', 50, 'nobody there: it does not spin';
	$tty = reader();
	syswrite $tty, 'b';
	is reads($tty, qr/<62>/), '<62>', 'the next reader finds it as the first did';
	syswrite $tty, 'q';
	($status, $out, $err) = finish($job);
	is $status, 0, 'status';
	is "$out$err", '', 'nothing elsewhere';
	ok !-l $pty, 'the link has gone';
};

subtest 'a reader whose controlling terminal it was takes nobody else down' => sub {
	my $job = with_pty();
	my $session = fork // die;
	if ($session == 0) {
		POSIX::setsid();
		sysopen my $tty, $pty, O_RDWR; # and so it becomes ours
		syswrite $tty, 'a';
		reads($tty, qr/<61>/);
		POSIX::_exit(0);
	}
	waitpid $session, 0;
	sleep 0.5;
	my $before = ticks_of($job->{pid});
	sleep 1;
	cmp_ok ticks_of($job->{pid}) - $before, '<', 50, 'it does not spin';
	my $tty = reader();
	ok $tty, 'another opens it';
	syswrite $tty, 'b';
	is reads($tty, qr/<62>/), '<62>', 'and has the guest, without an echo';
	kill TERM => $job->{pid};
	($status) = finish($job);
	is $status, 143, 'status';
	ok !-l $pty, 'the link has gone';
};

subtest 'a guest does not wait for a reader that is not there' => sub {
	my $job = with_pty('cmdline=lines=1400'); # more than a pseudo-terminal holds
	my $written = sub { (Belfry::slurp("/proc/$job->{pid}/io") =~ /^wchar: (\d+)/m)[0] // 0 };
	my ($before, $now) = (-1, 0);
	for (1 .. 240) {
		last if $now > 82_000 && $now == $before;
		sleep 0.5;
		($before, $now) = ($now, $written->());
	}
	cmp_ok $now, '>', 82_000, 'it prints 82 kB and comes to an end';
	my $tty = reader();
	my $seen = reads($tty, qr/ready/);
	like $seen, qr/line 001399 \.+\nready\n/, 'the last of it is there for who comes late';
	unlike $seen, qr/line 000000/, 'the first is not';
	syswrite $tty, 'q';
	($status) = finish($job);
	is $status, 0, 'status';
};

subtest 'a guest waits for a reader that is slow, and gets on when that one leaves' => sub {
	my $job = with_pty('cmdline=lines=1600');
	my $tty = reader();
	my $seen = '';
	for (1 .. 1000) { # at most 30 kB a second
		last if $seen =~ /^line 000201/m;
		sleep 0.1;
		sysread $tty, $seen, 3_000, length $seen;
	}
	my @numbers = $seen =~ /^line (\d{6}) \.+$/mg;
	is_deeply [@numbers], [map { sprintf '%06d', $_ } 0 .. $#numbers], 'nothing is missing';
	cmp_ok scalar @numbers, '>', 200, 'of what it has read';
	close $tty;
	$tty = reader();
	like reads($tty, qr/ready/), qr/ready/, 'the guest has got to its end';
	syswrite $tty, 'q';
	($status) = finish($job);
	is $status, 0, 'status';
};

subtest 'a VM whose reader has stopped can be stopped' => sub {
	my $job = with_pty('cmdline=lines=1600');
	my $tty = reader();
	sleep 2;
	kill TERM => $job->{pid};
	($status) = finish($job);
	is $status, 143, 'status';
	ok !-l $pty, 'the link has gone';
};

subtest 'a link that was left behind is replaced' => sub {
	symlink '/dev/pts/none', $pty;
	my $job = spawn($belfry, 'run', $one, set("console_pty=$pty"));
	for (1 .. 1000) {
		last if -e $pty;
		sleep 0.01;
	}
	ok -e $pty, 'it leads somewhere';
	kill TERM => $job->{pid};
	finish($job);
	ok !-l $pty, 'it has gone';
};

subtest 'a link that is somebody else\'s by now is left' => sub {
	my $job = with_pty();
	unlink $pty;
	symlink '/dev/null', $pty;
	kill TERM => $job->{pid};
	finish($job);
	is readlink $pty, '/dev/null', 'it is there';
	unlink $pty;
};

config('file', 'text');
fails 'a file in the place of the link', 3,
	"vms.vm: console_pty $dir/file: is there, and no link to a pseudo-terminal",
	"console_pty=$dir/file";
is Belfry::slurp("$dir/file"), 'text', 'the file is as it was';
symlink "$dir/file", "$dir/link";
fails 'a link to something else', 3,
	"vms.vm: console_pty $dir/link: is there, and no link to a pseudo-terminal",
	"console_pty=$dir/link";
is readlink "$dir/link", "$dir/file", 'the link is as it was';
fails 'a link in a folder that is not there', 3,
	"vms.vm: console_pty $dir/none/pty: No such file or directory", "console_pty=$dir/none/pty";
fails 'a pseudo-terminal and a file', 3,
	"$one:1:8: vms.vm: console_pty: it is both ways, so there cannot be console",
	"console_pty=$pty", "console=$dir/console";
fails 'a pseudo-terminal and input from a file', 3,
	"$one:1:8: vms.vm: console_pty: it is both ways, so there cannot be console_input",
	"console_pty=$pty", 'console_input=/dev/null';

subtest 'two VMs have one each' => sub {
	my $idle = guest('idle');
	my $job = spawn($belfry, 'run', config('two.yaml', <<"END"));
vms:
  a: { kernel: $idle, memory: 32M, console_pty: $dir/a }
  b: { kernel: $idle, memory: 32M, console_pty: $dir/b }
END
	for (1 .. 1000) {
		last if -e "$dir/a" && -e "$dir/b";
		sleep 0.01;
	}
	for my $name ('a', 'b') {
		sysopen my $tty, "$dir/$name", O_RDWR | O_NOCTTY | O_NONBLOCK;
		is reads($tty, qr/idle/), "idle\n", "$name: without a prefix";
	}
	kill TERM => $job->{pid};
	($status) = finish($job);
	is $status, 143, 'status';
	ok !-l "$dir/a" && !-l "$dir/b", 'the links have gone';
};

done_testing;
