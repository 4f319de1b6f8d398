# tests/cli/Serve.pm - start belfry serve, look at it from outside
package Serve;
use strict;
use warnings;
use Exporter 'import';
use Belfry;
use IO::Socket::UNIX;
use JSON::PP;
use POSIX ':sys_wait_h';
use Test::More ();

our @EXPORT = qw($path serve end slurp status_of who wait_socket wait_peers joins connect_raw
	waiting wait_for_error has_libsystemd);

our $path = "$dir/ring.sock";

*slurp = \&Belfry::slurp;

sub pause { select undef, undef, undef, 0.01 }

# Whether the program can talk to systemd. Without, there is nothing of it to test.
sub has_libsystemd {
	my ($status, $out) = belfry('serve', '--help');
	return $out =~ /^systemd: .*by libsystemd$/m;
}

# Until there is a socket that listens.
sub wait_socket {
	for (1 .. 2000) {
		return 1 if -S "$path.control" && connect_to("$path.control");
		pause();
	}
	Test::More::BAIL_OUT('the server does not start');
}

# Start a server; it listens when this returns.
sub serve {
	my $job = spawn($belfry, 'serve', @_);
	return wait_socket() && $job if "@_" =~ /--log-level (error|warning)/;
	wait_for_error($job, qr/ clients are there; /) or Test::More::BAIL_OUT('no server starts');
	return $job;
}

sub end {
	my ($job) = @_;
	kill 'TERM', $job->{pid};
	return finish($job);
}

# Whether a job goes on for a moment longer. One that has ended is marked.
sub waiting {
	my ($job) = @_;
	for (1 .. 300) {
		return 0 if $job->{ended} = ended($job->{pid});
		pause();
	}
	delete $job->{ended};
	return 1;
}

# Whether a process has ended, its status still to be fetched.
sub ended {
	my ($pid) = @_;
	return Belfry::slurp("/proc/$pid/stat") =~ /\) Z /;
}

sub connect_to { return IO::Socket::UNIX->new(Peer => $_[0]) }

# A client that has not read anything yet.
sub connect_raw { return connect_to($path) }

sub status_of {
	my ($status, $out, $err) = belfry('serve', '--status', $_[0]);
	return $status == 0 ? decode_json($out) : {};
}

# Who is there in a status, by what does not change.
sub who { return [map { [@$_{qw(id pid uid gid vectors joined)}] } @{ $_[0]{peers} }] }

# Until there are so many clients. Return: the status.
sub wait_peers {
	my ($n) = @_;
	my $info;
	for (1 .. 500) {
		$info = status_of($path);
		return $info if ($info->{counters}{peers} // -1) == $n;
		pause();
	}
	return $info;
}

# Whether a client is let in.
sub joins {
	my $sock = connect_raw() or return 0;
	$sock->timeout(5);
	my $n = sysread $sock, my $version, 8;
	return defined $n && $n == 8;
}

# Until a pattern shows up in what a job says on standard error; 20 seconds at most.
sub wait_for_error {
	my ($job, $pattern) = @_;
	for (1 .. 2000) {
		return 1 if Belfry::slurp("$dir/err.$job->{n}") =~ $pattern;
		pause();
	}
	return 0;
}

1;
