# tests/cli/Belfry.pm - run the program, look at everything it says
package Belfry;
use strict;
use warnings;
use Cwd 'abs_path';
use Exporter 'import';
use File::Basename 'dirname';
use File::Temp 'tempdir';
use IO::Socket::UNIX;
use POSIX ':sys_wait_h';
use Test::More;

our @EXPORT = qw($build $belfry $dir belfry command kvm_command config guest spawn finish
	wait_for children_of foreign_server unable);
our @EXPORT_OK = qw(fails);

our $build = $ENV{BELFRY_BUILD} // 'build/x86_64';
our $belfry = "$build/belfry";
our $dir = tempdir(CLEANUP => 1);
my $tests = abs_path(dirname(__FILE__) . '/..');

# Commands begin as at a shell, whatever the tests are told to ignore, as by nohup.
$SIG{$_} = 'DEFAULT' for 'HUP', 'INT', 'QUIT', 'TERM', 'PIPE';

sub guest { return "$build/guests/$_[0].elf" }

# Why something is skipped, for skip(). Where everything is expected to run, it is a failure.
sub unable {
	my ($why) = @_;
	fail("$why; BELFRY_EXPECT_ALL is set") if $ENV{BELFRY_EXPECT_ALL};
	return $why;
}

# Write a file for this test; return its path.
sub config {
	my ($name, $text) = @_;
	open my $file, '>', "$dir/$name" or die "$dir/$name: $!";
	print $file $text;
	close $file;
	return "$dir/$name";
}

# All of a file; '' when it is not there.
sub slurp {
	my ($path) = @_;
	local $/;
	open my $file, '<', $path or return '';
	return scalar(<$file>) // '';
}

# Start a command; its words go to files.
my $count = 0;
sub spawn {
	my $n = $count++;
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$dir/out.$n";
		open STDERR, '>', "$dir/err.$n";
		exec @_ or POSIX::_exit(127);
	}
	return { pid => $pid, n => $n };
}

# Until a pattern shows up in what a job has written; 20 seconds at most, or as many as said.
sub wait_for {
	my ($job, $pattern, $seconds) = @_;
	for (1 .. 100 * ($seconds // 20)) {
		my $text = slurp("$dir/out.$job->{n}");
		return 1 if $text =~ $pattern;
		select undef, undef, undef, 0.01;
	}
	return 0;
}

# Wait for it, 60 seconds at most, or as many as said. Return: exit status, standard output,
# standard error.
sub finish {
	my ($job, $seconds) = @_;
	for (1 .. 100 * ($seconds // 60)) {
		if (waitpid($job->{pid}, WNOHANG) == $job->{pid}) {
			my $status = WIFSIGNALED($?) ? 'signal ' . WTERMSIG($?) : $? >> 8;
			return ($status, slurp("$dir/out.$job->{n}"),
				slurp("$dir/err.$job->{n}"));
		}
		select undef, undef, undef, 0.01;
	}
	kill 'KILL', $job->{pid};
	waitpid $job->{pid}, 0;
	return ('timeout', slurp("$dir/out.$job->{n}"), slurp("$dir/err.$job->{n}"));
}

# The processes that one has started, and not yet waited for.
sub children_of {
	my ($pid) = @_;
	return split ' ', slurp("/proc/$pid/task/$pid/children");
}

# An ivshmem server that knows nothing of belfry, with 1 MiB at $dir/socket. Return: a job.
sub foreign_server {
	my ($vectors) = @_;
	unlink "$dir/socket";
	my $job = spawn('python3', "$tests/interop/ivshmem_server.py", '-S', "$dir/socket", '-l', '1M',
		'-n', $vectors);
	wait_for($job, qr/vectors/) or BAIL_OUT('the server does not start');
	return $job;
}

sub command { return finish(spawn(@_)) }

# A command that makes VMs: where there is no KVM, in an emulated machine that has it.
sub kvm_command {
	return command(@_) if -e '/dev/kvm';
	my ($status, $out, $err) = finish(spawn("$tests/lab/machine", '--again', @_), 300);
	$err =~ s/^tests\/lab\/machine: other .*\n//; # and this waits for one
	return ($status, $out, $err);
}

sub belfry { return command($belfry, @_) }

# An error: its status, its one line, as text or a pattern, and nothing else.
sub fails {
	my ($name, $want, $words, @args) = @_;
	subtest($name => sub {
		my ($status, $out, $err) = belfry(@args);
		is $status, $want, 'status';
		ref $words ? like($err, qr/^belfry: $words\n$/, 'words') : is($err, "belfry: $words\n", 'words');
		is $out, '', 'no output';
	});
}

1;
