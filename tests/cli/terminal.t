#!/usr/bin/env perl
# tests/cli/terminal.t - belfry run in a terminal: the console, Ctrl-a, and what it leaves
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use Terminal;
use Test::More;

my $input = guest('input');
my $idle = guest('idle');
my $one = config('one.yaml', "vms: { vm: { kernel: $input, memory: 32M } }");
my $two = config('two.yaml', "vms: { a: { kernel: $idle, memory: 32M }, b: { kernel: $idle, memory: 32M } }");
my $hint = qr/^belfry: Ctrl-a x stops vm, Ctrl-a h helps\r\n/;

sub started {
	my (%how) = @_;
	my $t = Terminal->new([$belfry, 'run', $one], %how);
	ok $t->shows(qr/ready/), 'the guest runs';
	return $t;
}

sub gave_back {
	my ($t) = @_;
	is $t->mode, $t->{before}, 'the terminal is as it was';
	my $flags = fcntl $t->{slave}, Fcntl::F_GETFL(), 0;
	ok !($flags & Fcntl::O_NONBLOCK()), 'and blocks as it did';
}

# --- the console --------------------------------------------------------------------------

subtest 'what is typed reaches the guest, key by key and as it is' => sub {
	my $t = started();
	like $t->{seen}, $hint, 'a hint comes first';
	ok $t->is_raw, 'the terminal is raw';
	$t->type("a");
	ok $t->shows(qr/<61>/), 'a letter, without Return';
	$t->type("\r\x03\x1a\x1c\x13\x04\x7f\xff");
	ok $t->shows(qr/<0d><03><1a><1c><13><04><7f><ff>/), 'Return, Ctrl-C, Ctrl-Z and others';
	unlike $t->{seen}, qr/\^C/, 'no echo';
	$t->type('q');
	is $t->event, 'exit 0', 'the guest powers off';
	gave_back($t);
};

subtest 'much that is typed at once arrives in full' => sub {
	my $t = Terminal->new([$belfry, 'run', $one, '--set', 'vms.vm.cmdline=bytes=3000 rest_us=500']);
	ok $t->shows(qr/ready/), 'the guest runs';
	my $text = join '', map { chr(ord('a') + $_ % 26) } 1 .. 3000;
	my $sent = 0;
	$t->until_true(sub { # a terminal takes some 4,000 bytes at most
		$sent += syswrite($t->{pty}, substr $text, $sent, 500) // 0 if $sent < 3000;
		return $t->{seen} =~ /sum/;
	});
	my ($sum) = split ' ', qx(printf %s $text | cksum);
	ok $t->shows(qr/sum $sum of 3000/), 'and in order';
	is $t->event, 'exit 0', 'status';
	gave_back($t);
};

subtest 'keys typed before the guest listens are not lost' => sub {
	my $t = Terminal->new([$belfry, 'run', $one, '--set', 'vms.vm.cmdline=deaf_ms=300']);
	ok $t->shows(qr/ready/), 'the guest runs';
	$t->type('0123456789abcdefghijklmnop' . 'q');
	is $t->event, 'exit 0', 'the last one has arrived';
	ok $t->shows(qr/<30><31><32>.*<6f><70><71>/), 'and the first';
};

# --- Ctrl-a -------------------------------------------------------------------------------

subtest 'Ctrl-a x stops the VM' => sub {
	my $t = started();
	$t->type("\x01x");
	is $t->event, 'exit 130', 'as Ctrl-C would have';
	gave_back($t);
};

subtest 'Ctrl-a x stops a guest that does not read' => sub {
	my $t = Terminal->new([$belfry, 'run', $one, '--set', "vms.vm.kernel=$idle"]);
	ok $t->shows(qr/idle/), 'the guest runs';
	$t->type('x' x 1000);
	$t->type("\x01");
	$t->type('x');
	is $t->event, 'exit 130', 'status';
	gave_back($t);
};

subtest 'Ctrl-a Ctrl-a is one, other keys follow theirs, h helps' => sub {
	my $t = started();
	$t->type("\x01\x01b");
	ok $t->shows(qr/<01><62>/), 'Ctrl-a Ctrl-a';
	$t->type("\x01c");
	ok $t->shows(qr/<01><63>/), 'Ctrl-a c';
	$t->type("\x01h");
	ok $t->shows(qr/belfry: Ctrl-a x +stop the VM.*\r\n.*belfry: Ctrl-a Ctrl-a +send/), 'help';
	$t->type("q");
	is $t->event, 'exit 0', 'status';
	unlike $t->{seen}, qr/<68>/, 'the guest has not seen the h';
};

# --- the ways out -------------------------------------------------------------------------

for (['TERM', 143], ['INT', 130], ['HUP', 129], ['QUIT', 131]) {
	my ($signal, $status) = @$_;
	subtest "SIG$signal from outside gives the terminal back" => sub {
		my $t = started();
		kill $signal, $t->pid;
		is $t->event, "exit $status", 'status';
		gave_back($t);
	};
}

subtest 'so does a VM whose process is killed' => sub {
	for (['KILL', 9], ['ABRT', 6]) {
		my ($signal, $number) = @$_;
		my $t = started();
		my ($child) = children_of($t->pid);
		kill $signal, $child;
		is $t->event, 'exit ' . (128 + $number), "$signal: status";
		ok $t->shows(qr/belfry: vm: killed by signal $number\r\n/), 'words';
		gave_back($t);
	}
};

subtest 'so does a guest that crashes' => sub {
	my $t = Terminal->new([$belfry, 'run', $one, '--set', 'vms.vm.cmdline=how=triple',
		'--set', 'vms.vm.kernel=' . guest('ends')]);
	is $t->event, 'exit 33', 'status';
	ok $t->shows(qr/belfry: vm: crashed: vCPU 0: triple fault\r\n/), 'words, from the left';
	gave_back($t);
};

subtest 'so does a VM that cannot start' => sub {
	my $t = Terminal->new([$belfry, 'run', $one, '--set', 'vms.vm.kernel=/nonexistent']);
	is $t->event, 'exit 3', 'status';
	ok $t->shows(qr/belfry: vms\.vm: kernel \/nonexistent/), 'words';
	gave_back($t);
};

subtest 'a terminal that goes away ends it' => sub {
	my $t = started();
	my $pid = $t->pid;
	kill KILL => $t->{shell}; # the session's leader: all in the foreground get SIGHUP
	ok $t->until_true(sub { Terminal::state($pid) =~ /^Z?$/ }),
		'no process is left';
};

# --- job control --------------------------------------------------------------------------

subtest 'SIGTSTP gives the terminal back, SIGCONT takes it again' => sub {
	my $t = started();
	my ($child) = children_of($t->pid);
	kill TSTP => $t->pid;
	is $t->event, 'stopped', 'it stops';
	gave_back($t);
	ok $t->until_true(sub { Terminal::state($child) eq 'T' }), 'and the VM with it';
	$t->order('fg cont');
	ok $t->becomes_raw, 'in the foreground it has the terminal again';
	$t->type('q');
	is $t->event, 'exit 0', 'and its guest the keys';
	gave_back($t);
};

subtest 'continued in the background, it leaves the terminal alone until it is brought back' => sub {
	my $t = started();
	kill TSTP => $t->pid;
	is $t->event, 'stopped', 'it stops';
	$t->order('cont');
	my ($child) = children_of($t->pid);
	ok $t->until_true(sub { Terminal::state($child) ne 'T' }), 'the VM runs';
	ok !$t->is_raw, 'the terminal is not raw';
	$t->order('fg');
	ok $t->becomes_raw, 'in the foreground it is, though no signal has said so';
	$t->type('q');
	is $t->event, 'exit 0', 'status';
	gave_back($t);
};

subtest 'a job in the background is not stopped, and reads nothing' => sub {
	my $t = Terminal->new([$belfry, 'run', $one], background => 1);
	ok $t->shows(qr/ready/), 'the guest runs';
	ok !$t->is_raw, 'the terminal is not raw';
	unlike $t->{seen}, qr/Ctrl-a/, 'no hint';
	$t->type("q\n");
	select undef, undef, undef, 0.3;
	$t->look;
	is $t->{events} =~ s/^pid.*\n//mr, '', 'it is not stopped';
	unlike $t->{seen}, qr/<71>/, 'the guest has got nothing';
	kill TERM => $t->pid;
	is $t->event, 'exit 143', 'status';
	is $t->mode, $t->{before}, 'the terminal is as it was';
};

# --- when it is not the console -----------------------------------------------------------

sub leaves_alone {
	my ($name, $running, $args, %how) = @_;
	subtest $name => sub {
		unlink "$dir/elsewhere";
		my $t = Terminal->new([$belfry, 'run', @$args], %how);
		ok $t->until_true($running->($t)), 'the guest runs';
		is $t->mode, $t->{before}, 'the terminal is left alone';
		$t->type("\x03");
		is $t->event, 'exit 130', 'Ctrl-C is a signal';
		gave_back($t);
	};
}

sub on_screen { my ($t) = @_; return sub { $t->{seen} =~ /ready|b\| idle/ } }
sub in_file { return sub { Belfry::slurp("$dir/elsewhere") =~ /ready/ } }

leaves_alone 'standard output that is a file', \&in_file, [$one], stdout => "$dir/elsewhere";
leaves_alone 'standard input that is a file', \&on_screen, [$one], stdin => '/dev/null';
leaves_alone 'a VM with a console elsewhere', \&in_file,
	[$one, '--set', "vms.vm.console=$dir/elsewhere"];
leaves_alone 'a VM with input from elsewhere', \&on_screen,
	[$one, '--set', 'vms.vm.console_input=/dev/null'];
leaves_alone 'several VMs', \&on_screen, [$two];

done_testing;
