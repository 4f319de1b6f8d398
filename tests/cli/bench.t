#!/usr/bin/env perl
# tests/cli/bench.t - belfry bench: what it measures, and how it ends
use strict;
use warnings;
use FindBin;
use JSON::PP;
use POSIX ':sys_wait_h';
use Socket;
use lib $FindBin::Bin;
use Belfry;
use Bench;
use Terminal;
use Test::More;

my @tiny = ('--runs', 1, '--ms', 20, '--contestants', 'floor,belfry');
my ($status, $out, $err);

# --- measuring --------------------------------------------------------------------------

mkdir($ENV{TMPDIR} = "$dir/tmp") or die "$dir/tmp: $!";

subtest 'the list has every scenario and contestant' => sub {
	($status, $out, $err) = belfry('bench', '--list');
	is $status, 0, 'status';
	like $out, qr/^$_ /m, $_ for qw(doorbell-spin one-way poll hybrid rate bandwidth-copy peers
		fan-out start vsock floor belfry qemu);
};

subtest 'a pair is measured, written down, and shown' => sub {
	($status, $out, $err) = belfry('bench', 'doorbell-spin', 'poll', @tiny, '--json', "$dir/r.json");
	is $status, 0, 'status';
	is $err, '', 'no progress where there is no terminal';
	like $out, qr/^doorbell-spin: .*\n.*\n  floor .*\n  belfry /m, 'table';
	my $result = read_json("$dir/r.json");
	is $result->{format}, 'belfry-bench', 'format';
	ok $result->{complete}, 'complete';
	is_deeply [ map { "$_->{scenario} $_->{contestant}" } @{ $result->{series} } ],
		[ 'doorbell-spin floor', 'doorbell-spin belfry', 'poll floor', 'poll belfry', 'clock floor' ],
		"series; and the clock's own cost";
	for my $series (@{ $result->{series} }) {
		my $name = "$series->{scenario}, $series->{contestant}";
		is $series->{status}, 'measured', $name;
		cmp_ok $series->{samples}, '>', 0, "$name: samples";
		cmp_ok $series->{ns}{min}, '<=', $series->{ns}{p50}, "$name: order";
		my $count = 0;
		$count += $_->[1] for @{ $series->{histogram} };
		is $count, $series->{samples}, "$name: every sample is in the histogram";
	}
	is +(series($result, 'doorbell-spin', 'belfry'))[0]{runs}[0]{exits}, 0,
		'no doorbell left the kernel';
};

subtest 'each kind of measurement works' => sub {
	my @names = qw(doorbell-halt one-way own-doorbell hybrid rate rate-acked bandwidth-copy
		store-vectors store-unknown fan-out host host-spin late-join start start-doorbell clock);
	($status, $out, $err) = belfry('bench', @names, '--runs', 1, '--ms', 10, '--contestants',
		'floor,belfry,belfry-window,host', '--json', "$dir/all.json");
	is $status, 0, 'status';
	is $err, '', 'no words';
	my $result = read_json("$dir/all.json");
	is_deeply [ map { "$_->{scenario} $_->{contestant}: $_->{reason}" }
			grep { $_->{status} ne 'measured' } @{ $result->{series} } ], [], 'all were measured';
	my ($rate) = series($result, 'rate', 'belfry');
	cmp_ok $rate->{runs}[0]{rings_per_interrupt}, '>=', 1, 'interrupts are not more than rings';
	my ($one_way) = series($result, 'one-way', 'belfry');
	cmp_ok $one_way->{runs}[0]{clock_error_ns}, '>', 0, 'how far clocks may be apart is told';
};

subtest 'QEMU rings the same bells' => sub {
	plan skip_all => unable('no qemu-system-x86_64')
		unless grep { -x "$_/qemu-system-x86_64" } split /:/, $ENV{PATH};
	($status, $out, $err) = belfry('bench', 'doorbell-halt', 'start', '--runs', 1, '--ms', 20,
		'--contestants', 'qemu', '--json', "$dir/qemu.json");
	is $status, 0, 'status';
	is_deeply [ map { $_->{status} } @{ read_json("$dir/qemu.json")->{series} } ],
		[ ('measured') x 3 ], 'both were measured, and the clock';
};

# A program in place of QEMU, which is asked for its version first.
mkdir "$dir/fake" or die "$dir/fake: $!";
for (['is killed', "#!/bin/sh\n", 'kill -SEGV $$', 'by signal 11 \\(Segmentation fault\\)', ''],
	['ends at once', "#!/bin/sh\n", 'exit 3', 'with status 3', ''],
	['complains', "#!/bin/sh\n", 'printf "no such " >&2; sleep 0.3; echo machine >&2; exit 5', 'with status 5', ': no such machine'],
	['cannot be started', "#!/nonexistent\n", '', '', "$dir/fake/qemu-system-x86_64: No such file or directory"]) {
	my ($name, $head, $what, $end, $words) = @$_;
	subtest "a program that $name fails in clear words" => sub {
		my $qemu = config('fake/qemu-system-x86_64', "$head\[ \$1 != --version ] || exit 0\n$what\n");
		chmod 0755, $qemu;
		local $ENV{PATH} = "$dir/fake:$ENV{PATH}";
		($status, $out, $err) = belfry('bench', 'start', 'doorbell-halt', '--runs', 1, '--ms', 10,
			'--contestants', 'qemu');
		is $status, 1, 'status';
		like $err, qr/^belfry: doorbell-halt, qemu: guest [ab] ended too early.*; 2 more failed\n$/, 'a line';
		like $out, $end ? qr/^  qemu +failed: it ended $end without output\Q$words\E$/m
			: qr/^  qemu +failed: \Q$words\E$/m, 'start';
		like $out, $end ? qr/^  qemu +failed: guest [ab] ended too early, $end\Q$words\E$/m
			: qr/^  qemu +failed: guest [ab] ended too early, with status 255: \Q$words\E$/m, 'doorbell-halt';
	};
}

# A run is three starts, of 2 s each; what it has measured must not look like all of it.
subtest '--quick ends, however slow a contestant is' => sub {
	chmod 0755, config('fake/qemu-system-x86_64', "#!/bin/sh\n[ \$1 != --version ] || exit 0\n" .
		"sleep 2\necho hello\nexit 1\n");
	local $ENV{PATH} = "$dir/fake:$ENV{PATH}";
	my $began = time;
	($status, $out, $err) = belfry('bench', '--quick', 'start', '--contestants', 'qemu,floor', '--json', "$dir/q.json");
	cmp_ok time - $began, '<', 35, 'seconds';
	is $status, 11, 'status';
	my $words = qr/not complete: after 16 s, --quick was in turn [2-4] of 5; name fewer scenarios, or leave it out/;
	like $err, qr/^belfry: $words\n$/, 'said';
	like $out, qr/^note: $words$/m, 'in the table, too';
	like $out, qr/^  floor .* [1-4] of 5 runs$/m, 'and in the row';
	ok !read_json("$dir/q.json")->{complete}, 'in the file';
};

subtest "what is no UTF-8 in a program's version does no harm" => sub {
	chmod 0755, config('fake/qemu-system-x86_64', "#!/bin/sh\nprintf 'QEMU \\351 7\\n'\n");
	local $ENV{PATH} = "$dir/fake:$ENV{PATH}";
	($status, $out) = belfry('bench', 'poll', @tiny[0 .. 3], '--contestants', 'qemu,belfry', '--json', "$dir/latin.json");
	is +(belfry('bench', '--from', "$dir/latin.json"))[0], 1, 'it can be read again; QEMU has failed';
	my ($qemu) = grep { $_->{name} eq 'qemu' } @{ read_json("$dir/latin.json")->{contestants} };
	is $qemu->{version}, 'QEMU ? 7', 'version';
};

subtest 'QEMU may be in a folder with a quote in its name' => sub {
	mkdir "$dir/it's" or die "$dir/it's: $!";
	chmod 0755, config("it's/qemu-system-x86_64", "#!/bin/sh\n[ \$1 != --version ] || exec echo QEMU 7\necho hello\nexit 1\n");
	local $ENV{PATH} = "$dir/it's:$ENV{PATH}";
	($status, $out, $err) = belfry('bench', 'start', @tiny[0 .. 3], '--contestants', 'qemu,floor', '--json', "$dir/quote.json");
	is "$status $err", '0 ', 'status';
	my ($qemu) = grep { $_->{name} eq 'qemu' } @{ read_json("$dir/quote.json")->{contestants} };
	is $qemu->{version}, 'QEMU 7', 'version';
};

# It is its own vCPU, and never gets to any guest.
subtest "QEMU's vCPUs are pinned before their guests meet" => sub {
	chmod 0755, config('fake/qemu-system-x86_64', "#!/bin/sh\n[ \$1 != --version ] || exit 0\n" .
		"echo 'CPU 0/KVM' >/proc/\$\$/comm\nfor i in 1 2 3 4 5 6 7 8 9 10; do\n" .
		"	grep -q '^Cpus_allowed_list:.0\$' /proc/\$\$/status && { echo pinned >&2; exit 3; }\n" .
		"	sleep 0.2\ndone\necho not pinned >&2\n");
	local $ENV{PATH} = "$dir/fake:$ENV{PATH}";
	($status, $out) = belfry('bench', 'own-doorbell', '--runs', 1, '--ms', 10, '--contestants', 'qemu',
		'--cpus', 0);
	like $out, qr/^  qemu +failed: guest a ended too early, with status 3: pinned$/m, 'said';
};

for (['says something else', 'echo "qemu: cannot do that"; exit 1', qr/with status 1 and said 'qemu: cannot do that'/],
	['says a guest\'s first words and fails', 'echo hello; echo oh >&2; exit 3', qr/with status 3 and said 'hello': oh/]) {
	my ($name, $what, $words) = @$_;
	subtest "the start of a program that $name is not measured" => sub {
		chmod 0755, config('fake/qemu-system-x86_64', "#!/bin/sh\n[ \$1 != --version ] || exit 0\n$what\n");
		local $ENV{PATH} = "$dir/fake:$ENV{PATH}";
		($status, $out) = belfry('bench', 'start', '--runs', 1, '--ms', 10, '--contestants', 'qemu');
		is $status, 1, 'status';
		like $out, qr/^  qemu +failed: it ended $words$/m, 'said';
	};
}

# A guest's samples have 32 bits, in ticks: 2 s here. In place of QEMU, it takes what its guest would.
subtest 'samples that are longer than they can tell are told of' => sub {
	chmod 0755, config('fake/qemu-system-x86_64', <<'END');
#!/usr/bin/python3
import mmap, re, struct, sys, time
STATE, GO, TSC_KHZ, COUNT, SAMPLES = 0, 4, 8, 16, 4096
if '--version' in sys.argv:
    sys.exit()
page = mmap.mmap(int(re.search(r'mem-path=/proc/self/fd/(\d+)', ' '.join(sys.argv))[1]), 8192)
struct.pack_into('<QQ', page, TSC_KHZ, 2000000, 1)
struct.pack_into('<I', page, SAMPLES, 0xffffffff)
for state in 1, 2:
    struct.pack_into('<I', page, STATE, state)
    while struct.unpack_from('<I', page, GO)[0] != state:
        time.sleep(0.001)
struct.pack_into('<I', page, STATE, 3)
sys.exit(1)
END
	local $ENV{PATH} = "$dir/fake:$ENV{PATH}";
	($status, $out) = belfry('bench', 'clock', '--runs', 2, '--ms', 10, '--cpus', 'none', '--contestants', 'qemu');
	is $status, 0, 'status';
	like $out, qr/^  qemu +2147483\.6 /m, 'table';
	like $out, qr/^note: 2 samples took longer than 2\^32 ticks of the TSC, and count as that$/m, 'note';
};

# 32 bits of nanoseconds are 4.3 s.
subtest 'a start of seconds is told in full' => sub {
	chmod 0755, config('fake/qemu-system-x86_64', "#!/bin/sh\n[ \$1 != --version ] || exit 0\n" .
		"[ -e $dir/fake/slow ] || { touch $dir/fake/slow; sleep 4.5; }\necho hello; exit 1\n");
	local $ENV{PATH} = "$dir/fake:$ENV{PATH}";
	belfry('bench', 'start', '--runs', 1, '--ms', 10, '--contestants', 'qemu', '--json', "$dir/slow.json");
	cmp_ok +(series(read_json("$dir/slow.json"), 'start', 'qemu'))[0]{ns}{max}, '>=', 4.5e9, 'the slowest of three';
};

subtest 'the floor shows each byte when it comes, as belfry does' => sub {
	for my $args ([ 'bench', '--floor', '--no-link', guest('hello') ],
		[ 'run', '--set', 'vms.vm.kernel=' . guest('hello') ]) {
		socketpair my $from, my $to, AF_UNIX, SOCK_SEQPACKET, PF_UNSPEC or die "socketpair: $!";
		my ($pid, @writes) = fork // die "fork: $!";
		if ($pid == 0) {
			open STDOUT, '>&', $to;
			exec $belfry, @$args or POSIX::_exit(127);
		}
		close $to;
		for (1 .. 6) {
			sysread $from, my $bytes, 4096;
			push @writes, $bytes;
		}
		is join('|', @writes), "h|e|l|l|o|\n", $args->[0];
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
};

subtest 'a run that fails is counted, also when others do not' => sub {
	my $qemu = config('fake/qemu-system-x86_64', "#!/bin/sh\n[ \$1 != --version ] || exit 0\n" .
		"[ -e $dir/fake/was ] || { touch $dir/fake/was; echo first >&2; exit 3; }\necho hello; exit 1\n");
	chmod 0755, $qemu;
	local $ENV{PATH} = "$dir/fake:$ENV{PATH}";
	($status, $out, $err) = belfry('bench', 'start', '--runs', 3, '--ms', 10, '--contestants', 'floor,qemu',
		'--json', "$dir/once.json");
	is $status, 1, 'status';
	is $err, "belfry: start, qemu: it ended with status 3 without output: first\n", 'a line';
	like $out, qr/^  qemu .*  1 of 3 runs failed: it ended with status 3 without output: first$/m, 'table';
	my ($series) = series(read_json("$dir/once.json"), 'start', 'qemu');
	is "$series->{status} $series->{failed_runs} " . @{ $series->{runs} }, 'measured 1 2', 'in the file';
};

subtest 'what cannot run here says why' => sub {
	local $ENV{PATH} = '/nonexistent';
	($status, $out, $err) = belfry('bench', 'vsock', 'poll', '--runs', 1, '--ms', 10, '--contestants',
		'belfry,qemu', '--json', "$dir/cannot.json");
	is $status, 12, 'status: vsock is asked for';
	like $err, qr/^belfry: vsock: cannot run here: needs guests with Linux.*\n$/, 'words';
	like $out, qr/^  cannot run here: needs guests with Linux/m, 'vsock';
	like $out, qr/^  qemu +cannot run here: there is no qemu-system-x86_64 on the PATH$/m, 'QEMU';
	my ($qemu) = series(read_json("$dir/cannot.json"), 'poll', 'qemu');
	is $qemu->{status}, 'cannot run', 'in the file, too';
	my @short = ('--runs', 1, '--ms', 10, '--contestants');
	is((belfry('bench', 'poll', @short, 'belfry,qemu'))[0], 0, 'a contestant of several may be missing');
	($status, $out, $err) = belfry('bench', 'poll', @short, 'qemu');
	is "$status $err", "12 belfry: poll: cannot run here: there is no qemu-system-x86_64 on the PATH\n",
		'the only one may not';
	($status, $out, $err) = belfry('bench', 'peers', @short, 'floor');
	is "$status $err", "12 belfry: peers: cannot run here: no contestant that is asked for takes part in it\n",
		'nor may there be none';
	($status, $out, $err) = belfry('bench', '--quick', @short, 'qemu');
	is "$status $err", "12 belfry: cannot run here: there is no qemu-system-x86_64 on the PATH\n",
		'nor without a name';
};

subtest 'a file on standard output is all there is on it' => sub {
	($status, $out) = belfry('bench', 'poll', @tiny, '--json', '-');
	is $status, 0, 'status';
	is decode_json($out)->{version}, 1, 'JSON';
};

subtest 'the floor by itself' => sub {
	($status, $out, $err) = belfry('bench', '--floor', '--no-link', guest('hello'), 'a=1');
	is $status, 0, 'status';
	like $out, qr/^hello\ncommand line: a=1\n/, 'console';
	($status, $out) = belfry('bench', '--floor', guest('pingpong'), 'role=a rounds=100 poll_rounds=100',
		'role=b');
	like $out, qr/^result doorbell-spin n=100 /m, 'two guests';
	is((belfry('bench', '--floor', guest('pingpong'), 'role=x'))[0], 65, "a guest's status");
};

{
	local $ENV{TMPDIR} = '/nonexistent';
	fails 'no folder for sockets', 1, qr/\/nonexistent\/belfry-bench-\w+: No such file or directory/, 'poll';
}
fails 'a floor with a command line that is too long', 3,
	qr/floor: a command line of \d+ characters: at most \d+/, '--floor', guest('hello'), 'a' x 3000;
fails 'a floor without a guest', 2, "bench --floor: expected GUEST; try 'belfry help bench'", '--floor';
fails 'a floor with too many command lines', 2, "bench --floor: at most 2 command lines; try 'belfry help bench'",
	'--floor', guest('hello'), 1 .. 3;
fails 'a floor with a folder as its guest', 3, '/: not a regular file', '--floor', '/';
command('mkfifo', "$dir/fifo");
fails 'a floor with a FIFO, which nobody writes to', 3, "$dir/fifo: not a regular file", '--floor', "$dir/fifo";
fails 'a floor with an empty guest', 3, qr/floor: not an x86-64 ELF file .*/, '--floor', config('empty', '');
SKIP: {
	skip unable('needs root to change /dev'), 1 if $> != 0;
	subtest 'a floor without /dev/kvm' => sub {
		($status, $out, $err) = command('unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /dev; exec "$@" 2>&1', 'sh',
			$belfry, 'bench', '--floor', guest('hello'));
		is "$status $out", "4 belfry: /dev/kvm is missing\n", 'status and words';
	};
}
fails 'a floor with a guest that is none', 3,
	"floor: not an x86-64 ELF file with a PVH entry that fits into 33554432 bytes", '--floor', '/bin/sh';
fails 'a floor with a guest that is not there', 3, '/nonexistent: No such file or directory', '--floor',
	'/nonexistent';

# --- interrupted ------------------------------------------------------------------------

# Until something is so, 30 seconds at most.
sub becomes {
	my ($what) = @_;
	for (1 .. 3000) {
		return 1 if $what->();
		select undef, undef, undef, 0.01;
	}
	return 0;
}

subtest 'Ctrl-C: guests gone, the part that there is marked as such' => sub {
	my $job = spawn($belfry, 'bench', 'poll', '--runs', 50, '--ms', 500, '--contestants', 'floor,belfry',
		'--json', "$dir/part.json");
	my $child;
	for (1 .. 1000) {
		($child) = children_of($job->{pid});
		last if $child;
		select undef, undef, undef, 0.01;
	}
	ok $child, 'it has begun';
	kill 'INT', $job->{pid};
	($status, $out, $err) = finish($job);
	is $status, 130, 'status';
	ok !-e "/proc/$child", 'its guests are gone';
	like $out, qr/^note: not complete: interrupted by signal 2 \(Interrupt\)$/m, 'said';
	my $result = read_json("$dir/part.json");
	ok !$result->{complete}, 'marked in the file';
	is $result->{stopped}, 'interrupted by signal 2 (Interrupt)', 'with the reason';
};

# Not only killed: they are waited for, or the next run would begin beside them.
subtest 'stopped, no program that it has started is left' => sub {
	chmod 0755, config('fake/qemu-system-x86_64', "#!/bin/sh\n[ \$1 != --version ] || exit 0\n" .
		"echo \$\$ >>$dir/fake/pids\nexec sleep 60\n");
	local $ENV{PATH} = "$dir/fake:$ENV{PATH}";
	my $job = spawn($belfry, 'bench', 'poll', '--cpus', 'none', '--contestants', 'qemu');
	ok becomes(sub { 2 == (() = Belfry::slurp("$dir/fake/pids") =~ /\n/g) }), 'two have been started';
	kill 'TERM', $job->{pid};
	($status) = finish($job);
	is $status, 143, 'status';
	is_deeply [ grep { kill 0, $_ } split ' ', Belfry::slurp("$dir/fake/pids") ], [], 'none is left';
};

subtest 'on a terminal: progress with the time that is left, and Ctrl-C' => sub {
	my $t = Terminal->new([ $belfry, 'bench', 'poll', '--runs', 50, '--ms', 500, '--contestants',
		'floor,belfry' ]);
	ok $t->shows(qr/\r\e\[Kturn 1 of 50, \d+:\d\d left: poll, (floor|belfry)/), 'progress';
	$t->type("\x03");
	is $t->event, 'exit 130', 'status';
	ok $t->shows(qr/left: poll, \w+(\^C)?\r\e\[Kbelfry .*note: not complete: interrupted/s),
		'the line is taken back, and the table follows';
	is $t->mode, $t->{before}, 'the terminal is as it was';
};

subtest "belfry bench's guest by itself on the floor: what bench/overhead compares with" => sub {
	my $line = 'do=spin ms=20 warmup=1 max=1000 role=';
	($status, $out, $err) = belfry('bench', '--floor', guest('bench'), "${line}a alone=1", "${line}b");
	is "$status $err", '0 ', 'status';
	like $out, qr/^result spin n=[1-9]\d* .* p50=[1-9]\d* /m, 'its figures';
};

subtest 'contestants and cases take turns, in changing order' => sub {
	my $t = Terminal->new([ $belfry, 'bench', 'poll', 'own-doorbell', '--runs', 3, '--ms', 1, '--contestants',
		'floor,belfry' ]);
	my $end = '';
	$end ||= $t->event for 1 .. 6; # it takes a minute in an emulated machine
	is $end, 'exit 0', 'status';
	$t->look;
	my @turns;
	push @{ $turns[$1 - 1] }, "$2 $3"
		while $t->{seen} =~ /turn (\d) of 3, \d+:\d\d left: ([\w-]+), (\w+)/g;
	is_deeply \@turns, [
		[ 'own-doorbell floor', 'own-doorbell belfry', 'poll floor', 'poll belfry', 'clock floor' ],
		[ 'clock floor', 'poll belfry', 'poll floor', 'own-doorbell belfry', 'own-doorbell floor' ],
		[ 'own-doorbell belfry', 'own-doorbell floor', 'poll belfry', 'poll floor', 'clock floor' ] ],
		'each once a turn';
};

# Nobody reads its output, so that it stands still; all scenarios are more than a pipe takes.
subtest 'a second Ctrl-C ends it at once' => sub {
	pipe my $from, my $to or die "pipe: $!";
	fcntl $to, 1031, 4096 or die "F_SETPIPE_SZ: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDOUT, '>&', $to;
		exec $belfry, qw(bench --json -) or POSIX::_exit(127);
	}
	ok becomes(sub { my @there = glob("$dir/tmp/*"); @there }), 'it measures';
	kill 'INT', $pid;
	ok becomes(sub { my @left = glob("$dir/tmp/*"); !@left }), 'and no more';
	select undef, undef, undef, 0.2;
	is waitpid($pid, WNOHANG), 0, 'it is writing';
	kill 'INT', $pid;
	my $ended = becomes(sub { waitpid($pid, WNOHANG) == $pid });
	ok $ended && ($? & 127) == 2, 'ended by the signal';
	kill 'KILL', $pid if !$ended;
};

is_deeply [ glob("$dir/tmp/*") ], [], 'no folders are left behind';

# --- compared and described ---------------------------------------------------------------

subtest 'a result is compared as soon as it is measured' => sub {
	my @five = ('poll', '--runs', 5, '--ms', 5, '--contestants', 'floor,belfry');
	is((belfry('bench', @five, '--json', "$dir/five.json"))[0], 0, 'before');
	($status, $out) = belfry('bench', @five, '--baseline', "$dir/five.json");
	like $status, qr/^(0|10|11)$/, 'a verdict';
	like $out, qr/^poll, belfry .* x floor, .* \[.*\]$/m, 'said';
};

subtest 'the schema describes what is written' => sub {
	is schema_says($_), '', $_ for "$dir/r.json", "$dir/all.json", "$dir/cannot.json", "$dir/part.json",
		"$dir/once.json";
};

fails 'a CPU that there is not', 2, "--cpus 0,1023: there is no CPU 1023 that we may use; try 'belfry help bench'",
	'--cpus', '0,1023';

done_testing;
