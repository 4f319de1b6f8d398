# tests/cli/Terminal.pm - a terminal, and a shell in it that has one job: a command
#
# The shell does what shells do: the job has a process group of its own, which has the
# terminal while it is in the foreground. The test types, looks at what shows up, at the
# terminal's mode, and at what becomes of the job.
package Terminal;
use strict;
use warnings;
use IO::Handle;
use IO::Pty;
use POSIX qw(:sys_wait_h :termios_h :fcntl_h);

my $LIMIT_S = 20;

# %how: background => 1, stdin => FILE, stdout => FILE, stderr => FILE.
sub new {
	my ($class, $command, %how) = @_;
	my $pty = IO::Pty->new or die "pty: $!";
	my $self = bless { pty => $pty, slave => $pty->slave, seen => '', events => '' }, $class;
	$self->{before} = $self->mode;
	pipe my $orders, $self->{orders} or die "pipe: $!";
	pipe $self->{reports}, my $reports or die "pipe: $!";
	$_->autoflush(1) for $self->{orders}, $reports;
	$self->{shell} = fork // die "fork: $!";
	if ($self->{shell} == 0) {
		close $self->{orders};
		close $self->{reports};
		shell($pty, $orders, $reports, $command, %how);
		POSIX::_exit(0);
	}
	$_->blocking(0) for $pty, $self->{reports};
	return $self;
}

sub job {
	my ($slave, $command, %how) = @_;
	setpgrp 0, 0;
	tcsetpgrp(fileno $slave, $$) if !$how{background}; # stopping for it is ignored still
	$SIG{TTOU} = 'DEFAULT';
	open STDIN, '<&', $how{stdin} ? do { open my $f, '<', $how{stdin}; $f } : $slave;
	open STDOUT, '>&', $how{stdout} ? do { open my $f, '>', $how{stdout}; $f } : $slave;
	open STDERR, '>&', $how{stderr} ? do { open my $f, '>', $how{stderr}; $f } : $slave;
	exec @$command or POSIX::_exit(127);
}

sub tcsetpgrp { POSIX::tcsetpgrp(@_) }

sub shell {
	my ($pty, $orders, $reports, $command, %how) = @_;
	$pty->make_slave_controlling_terminal;
	my $slave = $pty->slave;
	close $pty;
	$SIG{TTOU} = 'IGNORE';
	my $job = fork // die "fork: $!";
	job($slave, $command, %how) if $job == 0;
	setpgrp $job, $job;
	print $reports "pid $job\n";
	$orders->blocking(0);
	my $is_stopped = 0;
	for (1 .. 12_000) {
		my $n = sysread $orders, my $order, 100;
		$order //= '';
		last if defined $n && $n == 0 || $order =~ /end/;
		tcsetpgrp(fileno $slave, $job) if $order =~ /^fg/;
		kill CONT => -$job if $order =~ /cont/;
		my $was_stopped = $is_stopped;
		$is_stopped = state($job) eq 'T';
		my $ended = waitpid($job, WNOHANG) == $job;
		tcsetpgrp(fileno $slave, getpgrp) if $ended || $is_stopped && !$was_stopped;
		print $reports "stopped\n" if $is_stopped && !$was_stopped;
		next if !$ended;
		print $reports WIFSIGNALED($?) ? 'signal ' . WTERMSIG($?) . "\n"
			: 'exit ' . WEXITSTATUS($?) . "\n";
	} continue {
		select undef, undef, undef, 0.01;
	}
	kill KILL => -$job;
}

# As ps(1) shows it: T is stopped, Z ended; '' when there is no such process.
sub state {
	my ($pid) = @_;
	open my $file, '<', "/proc/$pid/stat" or return '';
	return (<$file> // '') =~ /\) (.)/ ? $1 : '';
}

# What the terminal does with what is typed: all of its flags and characters.
sub mode {
	my ($self) = @_;
	my $t = POSIX::Termios->new;
	$t->getattr(fileno $self->{slave});
	return join ' ', $t->getiflag, $t->getoflag, $t->getcflag, $t->getlflag,
		map { $t->getcc($_) } 0 .. NCCS - 1;
}

sub is_raw {
	my ($self) = @_;
	my $t = POSIX::Termios->new;
	$t->getattr(fileno $self->{slave});
	return !($t->getlflag & (ICANON | ECHO | ISIG));
}

sub look {
	my ($self) = @_;
	sysread $self->{pty}, $self->{seen}, 65536, length $self->{seen};
	sysread $self->{reports}, $self->{events}, 65536, length $self->{events};
}

# Until it is so. Return: whether it has become so in time.
sub until_true {
	my ($self, $what) = @_;
	for (1 .. 100 * $LIMIT_S) {
		$self->look;
		return 1 if $what->();
		select undef, undef, undef, 0.01;
	}
	return 0;
}

sub shows { my ($self, $re) = @_; return $self->until_true(sub { $self->{seen} =~ $re }) }
sub becomes_raw { my ($self) = @_; return $self->until_true(sub { $self->is_raw }) }

sub pid {
	my ($self) = @_;
	$self->until_true(sub { $self->{events} =~ /^pid (\d+)$/m });
	return ($self->{events} =~ /^pid (\d+)$/m)[0];
}

sub type { my ($self, $keys) = @_; syswrite $self->{pty}, $keys; return }
sub order {
	my ($self, $what) = @_;
	local $SIG{PIPE} = 'IGNORE'; # the shell has been killed
	print { $self->{orders} } "$what\n";
}

# The job's next event: "stopped", "exit N" or "signal N"; '' when none comes.
sub event {
	my ($self) = @_;
	my $re = qr/^(stopped|exit \d+|signal \d+)\n/m;
	$self->until_true(sub { $self->{events} =~ $re });
	return $self->{events} =~ s/$re// ? $1 : '';
}

sub DESTROY {
	my ($self) = @_;
	local $?;
	$self->order('end');
	kill KILL => $self->{shell};
	waitpid $self->{shell}, 0;
	local $SIG{PIPE} = 'IGNORE';
	close $self->{orders};
}

1;
