#!/usr/bin/env perl
# tests/cli/bench.t - belfry bench: what it measures, writes, judges, and refuses
use strict;
use warnings;
use Cwd 'abs_path';
use FindBin;
use JSON::PP;
use lib $FindBin::Bin;
use Belfry;
use Test::More;

my @tiny = ('--runs', 1, '--ms', 20, '--contestants', 'floor,belfry');
my ($status, $out, $err);

# An error: its status, its one line, and nothing else.
sub fails {
	my ($name, $want, $words, @args) = @_;
	subtest $name => sub {
		($status, $out, $err) = belfry('bench', @args);
		is $status, $want, 'status';
		is $err, "belfry: $words\n", 'words';
		is $out, '', 'no output';
	};
}

sub read_json { return decode_json(Belfry::slurp($_[0])) }

# A copy of a result, changed by a function.
my $copies = 0;
sub copy {
	my ($result, $change) = @_;
	my $copy = decode_json(encode_json($result));
	$change->($copy) if $change;
	return config('copy' . $copies++ . '.json', encode_json($copy));
}

sub series {
	my ($result, $scenario, $contestant) = @_;
	return grep { $_->{scenario} eq $scenario && ($_->{contestant} // '') eq $contestant }
		@{ $result->{series} };
}

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
	is scalar(@{ $result->{series} }), 4, 'series';
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
		[ 'measured', 'measured' ], 'both were measured';
};

subtest 'what cannot run here says why' => sub {
	local $ENV{PATH} = '/nonexistent';
	($status, $out) = belfry('bench', 'vsock', 'poll', '--runs', 1, '--ms', 10, '--contestants',
		'belfry,qemu', '--json', "$dir/cannot.json");
	is $status, 0, 'status';
	like $out, qr/^  cannot run here: needs guests with Linux/m, 'vsock';
	like $out, qr/^  qemu +cannot run here: there is no qemu-system-x86_64 on the PATH$/m, 'QEMU';
	my ($qemu) = series(read_json("$dir/cannot.json"), 'poll', 'qemu');
	is $qemu->{status}, 'cannot run', 'in the file, too';
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

fails 'a floor without a guest', 2, "bench --floor: expected GUEST; try 'belfry --help'", '--floor';
fails 'a floor with a guest that is none', 3,
	"floor: not an x86-64 ELF file with a PVH entry that fits into 33554432 bytes", '--floor', '/bin/sh';
fails 'a floor with a guest that is not there', 3, '/nonexistent: No such file or directory', '--floor',
	'/nonexistent';

# --- interrupted ------------------------------------------------------------------------

subtest 'Ctrl-C: guests gone, the part that there is marked as such' => sub {
	my $job = spawn($belfry, 'bench', 'poll', '--runs', 50, '--ms', 500, '--contestants', 'floor,belfry',
		'--json', "$dir/part.json");
	my $child;
	for (1 .. 1000) {
		($child) = split ' ', Belfry::slurp("/proc/$job->{pid}/task/$job->{pid}/children");
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

is_deeply [ glob("$dir/tmp/*") ], [], 'no folders are left behind';

# --- judging ----------------------------------------------------------------------------

# Seven runs that nobody has made: the floor at 10 us, belfry at 10 us times @factor.
my $measured = read_json("$dir/r.json");
sub judged {
	my ($factor, $spread, $change) = @_;
	return copy($measured, sub {
		my ($result) = @_;
		$result->{series} = [ series($result, 'poll', 'floor'), series($result, 'poll', 'belfry') ];
		for my $series (@{ $result->{series} }) {
			my $mine = $series->{contestant} eq 'belfry';
			my ($run) = @{ $series->{runs} };
			$series->{histogram} = [ [9500, 500], [10000, 499], [50000, 1] ];
			$series->{samples} = 1000;
			$series->{runs} = [ map {
				my $figure = 10000 * ($mine ? $factor * (1 + $spread * ($_ % 3 - 1)) : 1);
				+{ %$run, turn => $_, figure => $figure } } 1 .. 7 ];
		}
		$change->($result) if $change;
	});
}

my $before = judged(1, 0.01);
for (['the same', judged(1.02, 0.01), 0, 'same'], ['better', judged(0.7, 0.01), 0, 'better'],
	['worse', judged(1.3, 0.01), 10, 'worse'], ['too noisy', judged(1.1, 0.5), 11, 'too noisy to tell']) {
	my ($name, $after, $want, $word) = @$_;
	subtest "a result that is $name" => sub {
		($status, $out, $err) = belfry('bench', '--compare', $before, $after, '--junit', "$dir/j.xml",
			'--summary', "$dir/s.md");
		is $status, $want, 'status';
		is $err, '', 'no words';
		like $out, qr/^poll, belfry +\Q$word\E .* x floor, /m, 'verdict';
		my $junit = Belfry::slurp("$dir/j.xml");
		my $failures = $want == 10 ? 1 : 0;
		like $junit, qr/<testsuite .* tests="2" failures="$failures" /, 'JUnit';
		like Belfry::slurp("$dir/s.md"), qr/^\| poll, belfry .* \| $word \|$/m, 'summary';
	};
}

subtest 'the limit is what --max-regression says' => sub {
	my $after = judged(1.3, 0.01);
	is((belfry('bench', '--compare', $before, $after, '--max-regression', '40'))[0], 0, '40 %');
	is((belfry('bench', '--compare', $before, $after, '--max-regression', '25.5'))[0], 10, '25.5 %');
};

subtest 'a result is compared as soon as it is measured' => sub {
	($status, $out) = belfry('bench', 'poll', @tiny, '--baseline', $before);
	is $status, 11, 'one run is too few';
	like $out, qr/too noisy to tell .*7 runs before, 1 now: at least 5 of each are needed/, 'said';
};

subtest 'a baseline of another machine' => sub {
	my $other = judged(1, 0.01, sub { $_[0]{host}{cpu} = 'Z80' });
	($status, $out) = belfry('bench', '--compare', $other, $before);
	is $status, 0, 'is compared';
	like $out, qr/^warning: the baseline is of another machine: CPU: 'Z80' before, /m, 'with a warning';
	($status, $out, $err) = belfry('bench', '--compare', $other, $before, '--strict');
	is $status, 3, 'and refused with --strict';
	like $err, qr/^belfry: the baseline is of another machine: CPU: 'Z80' before, .*\n$/, 'words';
};

my $future = copy($measured, sub { $_[0]{version} = 2 });
fails 'a baseline of a version to come', 3,
	"$future: a result of format version 2; this belfry knows versions up to 1", 'poll', '--baseline',
	$future;
fails 'a baseline that is not there', 3, '/nonexistent: No such file or directory', '--baseline',
	'/nonexistent';
fails 'a baseline that is none', 3, config('none.json', '{"a": 1}') . ': not a result of belfry bench',
	'--baseline', "$dir/none.json";
subtest 'nothing in common' => sub {
	($status, $out, $err) = belfry('bench', '--compare', $before, copy($measured, sub { $_[0]{series} = [] }));
	is $status, 3, 'status';
	is $err, "belfry: the two results have no measurement in common\n", 'words';
};

# --- files ------------------------------------------------------------------------------

subtest 'the schema describes what is written' => sub {
	($status, $out) = belfry('bench', '--schema');
	is $status, 0, 'status';
	config('schema.json', $out);
	my $validate = 'import json, sys, jsonschema; ' .
		'jsonschema.validate(json.load(open(sys.argv[2])), json.load(open(sys.argv[1])))';
	for ("$dir/r.json", "$dir/all.json", "$dir/cannot.json", "$dir/part.json") {
		($status, undef, $err) = command('/usr/bin/python3', '-W', 'ignore', '-c', $validate,
			"$dir/schema.json", $_);
		is "$status $err", '0 ', $_;
	}
	my $bad = copy($measured, sub { delete $_[0]{series}[0]{runs}[0]{turn} });
	is +(command('/usr/bin/python3', '-W', 'ignore', '-c', $validate, "$dir/schema.json", $bad))[0], 1,
		'and not another file';
};

for my $kind (qw(json hgrm html junit summary)) {
	subtest "a full disk: --$kind" => sub {
		($status, $out, $err) = belfry('bench', '--from', copy($measured, sub { splice @{ $_[0]{series} }, 1 }),
			"--$kind", '/dev/full');
		is $status, 1, 'status';
		is $err, "belfry: /dev/full: No space left on device\n", 'words';
	};
}

subtest 'standard output that is full' => sub {
	($status, $out, $err) = command('sh', '-c', '"$0" bench --from "$1" >/dev/full', $belfry, $before);
	is $status, 1, 'status';
	is $err, "belfry: standard output: No space left on device\n", 'words';
};

subtest 'percentiles go to a file for each series' => sub {
	is((belfry('bench', '--from', $before, '--hgrm', "$dir/x.hgrm"))[0], 0, 'status');
	for ('floor', 'belfry') {
		like Belfry::slurp("$dir/x-poll-$_.hgrm"),
			qr/^ +Value +Percentile TotalCount 1\/\(1-Percentile\)\n\n.*#\[Max /s, $_;
	}
};

subtest 'the page, in a browser without a network' => sub {
	my ($chromium) = grep { -x } map { "$_/chromium" } split /:/, $ENV{PATH};
	plan skip_all => unable('no chromium') unless $chromium;
	is((belfry('bench', '--from', $before, '--baseline', $before, '--html', "$dir/page.html"))[0], 0, 'status');
	my @chromium = ('timeout', 18, $chromium, qw(--headless --no-sandbox --no-zygote --disable-gpu
		--disable-quic --no-first-run --disable-background-networking --disable-component-update
		--disable-sync --proxy-server=127.0.0.1:1 --dump-dom), "--user-data-dir=$dir/chromium",
		'file://' . abs_path("$dir/page.html"));
	for my $try (1 .. 3) { # it does not always start on a machine that is busy
		($status, $out, $err) = command(@chromium);
		last if $status eq 0 || diag("chromium: status $status, try $try");
	}
	is $status, 0, 'chromium';
	ok $out =~ /<body data-drawn="1">/, 'one chart has been drawn';
	ok $out =~ /<h3>poll<\/h3>.*<canvas role="img"/s, 'that of the one scenario';
	ok $out =~ /<td>belfry<\/td>(<td>[\d.]+ [num]?s<\/td>){7}<td>1\.00<\/td>/, 'a row of figures, and 1.00 x the floor';
	ok $out =~ /<td>poll, belfry<\/td>.*<td>same<\/td>/, 'the verdict';
	ok $out !~ /(src|href)="http/, 'nothing from elsewhere';
};

# --- command lines that are wrong ----------------------------------------------------------

my $help = "; try 'belfry --help'";
fails 'a typo', 2, "unknown scenario 'dorbell-spin'; did you mean 'doorbell-spin'?$help", 'dorbell-spin';
fails 'no scenario', 2, "unknown scenario 'xyzzy'; belfry bench --list has them$help", 'xyzzy';
fails 'a contestant with a typo', 2, "unknown contestant 'qmu'; did you mean 'qemu'?$help",
	'--contestants', 'floor,qmu';
fails 'a number that is none', 2, "--runs 0: expected a number from 1 to 100$help", '--runs', 0;
fails 'a number with a tail', 2, "--ms 5s: expected a number from 1 to 10000$help", '--ms', '5s';
fails 'CPUs that are none', 2, "--cpus x: expected CPUs, such as 0,2-3, or none$help", '--cpus', 'x';
fails 'a percentage that is none', 2, "--max-regression -5: expected a percentage from 0 to 1000$help",
	'--max-regression=-5';
fails 'a judge that is none', 2, "--judge x: expected ratio or time$help", '--judge', 'x';
fails 'one file to compare', 2, "bench --compare: expected two files$help", '--compare', 'a';
fails 'a result and scenarios', 2, "bench --from: takes no SCENARIO$help", '--from', 'a', 'poll';
fails 'an unknown option', 2, "unknown option '--fast'$help", '--fast';
fails 'a CPU that there is not', 2, "--cpus 0,1023: there is no CPU 1023 that we may use$help",
	'--cpus', '0,1023';

done_testing;
