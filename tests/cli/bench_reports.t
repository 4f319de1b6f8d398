#!/usr/bin/env perl
# tests/cli/bench_reports.t - belfry bench without a VM: what it writes of a result, how it judges,
# and what it refuses
use strict;
use warnings;
use Cwd 'abs_path';
use FindBin;
use JSON::PP;
use lib $FindBin::Bin;
use Belfry;
use Bench;
use Test::More;

my ($status, $out, $err);

# --- judging ----------------------------------------------------------------------------

my $before = result_file();
for (['the same', result_file(1.02), 0, 'not worse'], ['better', result_file(0.7), 0, 'better'],
	['worse', result_file(1.3), 10, 'worse'], ['too noisy', result_file(1.1, 0.5), 11, 'too noisy to tell']) {
	my ($name, $after, $want, $word) = @$_;
	subtest "a result that is $name" => sub {
		($status, $out, $err) = belfry('bench', '--compare', $before, $after, '--junit', "$dir/j.xml",
			'--summary', "$dir/s.md");
		is $status, $want, 'status';
		is $err, '', 'no words';
		like $out, qr/^poll, belfry +\Q$word\E .* x floor, /m, 'verdict';
		my $junit = Belfry::slurp("$dir/j.xml");
		my $failures = $want == 10 ? 1 : 0;
		is +(command('/usr/bin/python3', '-c', 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])',
			"$dir/j.xml"))[2], '', 'XML';
		like $junit, qr/<testsuite .* tests="2" failures="$failures" /, 'JUnit';
		like Belfry::slurp("$dir/s.md"), qr/^\| poll, belfry .* \| $word \|$/m, 'summary';
	};
}

subtest 'a file without what was added later is read' => sub {
	my $old = result_file(1, 0.01, sub { delete $_->{failed_runs} for @{ $_[0]{series} } });
	is((belfry('bench', '--compare', $old, $before))[0], 0, 'status');
};

subtest 'verdicts are told when a file takes standard output' => sub {
	($status, $out, $err) = belfry('bench', '--compare', $before, result_file(1.3), '--json', '-');
	is $status, 10, 'status';
	is decode_json($out)->{version}, 1, 'the file alone';
	like $err, qr/^poll, belfry +worse /m, 'verdict';
};

subtest 'the limit is what --max-regression says' => sub {
	my $after = result_file(1.3);
	is((belfry('bench', '--compare', $before, $after, '--max-regression', '40'))[0], 0, '40 %');
	is((belfry('bench', '--compare', $before, $after, '--max-regression', '25.5'))[0], 10, '25.5 %');
};

# The same, with a contestant of which a run has failed, or all.
sub failing {
	my ($contestant, $factor) = @_;
	return result_file($factor, 0.01, sub {
		my $series = { %{ $_[0]{series}[$contestant eq 'floor' ? 0 : 1] }, scenario => 'hybrid', contestant => $contestant,
			status => 'failed', reason => 'no such machine', failed_runs => 2 };
		push @{ $_[0]{series} }, $series;
	});
}

for (['qemu', 1, 0], ['qemu', 1.3, 10], ['belfry', 1, 1], ['belfry', 1.3, 10], ['floor', 1, 1]) {
	my ($contestant, $factor, $want) = @$_;
	subtest "$contestant has failed beside a factor of $factor" => sub {
		($status, $out, $err) = belfry('bench', '--compare', $before, failing($contestant, $factor));
		is "$status $err", "$want belfry: hybrid, $contestant: no such machine\n", 'status and words';
	};
}
is((belfry('bench', '--from', failing('qemu', 1)))[0], 1, 'without a baseline, any failure counts');

subtest 'a baseline of another machine' => sub {
	my $other = result_file(1, 0.01, sub { $_[0]{host}{cpu} = 'Z80' });
	($status, $out) = belfry('bench', '--compare', $other, $before);
	is $status, 0, 'is compared';
	like $out, qr/^warning: the baseline is of another machine: CPU: 'Z80' before, /m, 'with a warning';
	($status, $out, $err) = belfry('bench', '--compare', $other, $before, '--strict');
	is "$status $out", '3 ', 'and refused with --strict, before anything is printed';
	like $err, qr/^belfry: the baseline is of another machine: CPU: 'Z80' before, .*\n$/, 'words';
};

my $future = result_file(1, 0.01, sub { $_[0]{version} = 2 });
fails 'a baseline of a version to come', 3,
	"$future: a result of format version 2; this belfry knows versions up to 1", 'poll', '--baseline',
	$future;
fails 'a baseline that is not there', 3, '/nonexistent: No such file or directory', '--baseline',
	'/nonexistent';
fails 'a baseline that is none', 3, config('none.json', '{"a": 1}') . ': not a result of belfry bench',
	'--baseline', "$dir/none.json";
subtest 'nothing in common' => sub {
	($status, $out, $err) = belfry('bench', '--compare', $before,
		result_file(1, 0.01, sub { $_[0]{series} = [] }));
	is $status, 3, 'status';
	is $err, "belfry: the two results have no measurement in common\n", 'words';
};

# --- files ------------------------------------------------------------------------------

subtest 'the schema describes results' => sub {
	is schema_says($before), '', 'one';
	isnt schema_says(result_file(1, 0.01, sub { delete $_[0]{series}[0]{runs}[0]{turn} })), '',
		'and not another file';
	is((belfry('bench', '--from', $before, '--json', "$dir/again.json"))[0], 0, 'read and written');
	is schema_says("$dir/again.json"), '', 'it is still one';
	is_deeply read_json("$dir/again.json"), read_json($before), 'with nothing lost';
};

for my $kind (qw(json hgrm html junit summary)) {
	subtest "a full disk: --$kind" => sub {
		($status, $out, $err) = belfry('bench', '--from', result_file(1, 0.01, sub { splice @{ $_[0]{series} }, 1 }),
			"--$kind", '/dev/full');
		is $status, 1, 'status';
		is $err, "belfry: /dev/full: No space left on device\n", 'words';
	};
}

# What can be known before is told before anything is measured: there is no table.
fails "a folder that is not there: $_", 1, '/nonexistent/x: No such file or directory', 'poll', $_,
	'/nonexistent/x' for qw(--json --hgrm --html --junit --summary);
fails "a folder as a file: $_", 1, '/: Is a directory', 'poll', $_, '/' for qw(--json --summary);
fails 'two files in one', 2, "bench: two files are to go to '-'; try 'belfry help bench'", 'poll', '--json', '-',
	'--summary', '-';
fails 'a baseline of another machine, if strict', 3, qr/the baseline is of another machine: CPU: 'a cpu' before, .*/,
	'poll', '--strict', '--baseline', $before;
fails 'a baseline without what is to be measured', 3, 'the two results have no measurement in common', 'start',
	'--baseline', $before;

my ($few, $peers, $no_floor) = (
	result_file(1, 0.01, sub { splice @{ $_->{runs} }, 4 for @{ $_[0]{series} } }),
	result_file(1, 0.01, sub { @$_{qw(scenario parameter value)} = ('peers', 'peers', 2) for @{ $_[0]{series} } }),
	result_file(1, 0.01, sub { shift @{ $_[0]{series} } }));
fails 'a baseline with too few runs', 3, 'the baseline has fewer than 5 runs of each: measure it again', 'poll', '--baseline', $few;
fails 'a baseline with too few runs of the floor', 3, 'the baseline has fewer than 5 runs of each: measure it again', 'poll', '--baseline',
	result_file(1, 0.01, sub { splice @{ $_[0]{series}[0]{runs} }, 4 });
fails 'a baseline of other cases', 3, 'the two results have no measurement in common', 'peers', '--baseline', $peers;
my $needs = 'nothing has a floor both in the baseline and now; --judge time needs none';
fails 'ratios of a baseline without a floor', 3, $needs, 'poll', '--judge', 'ratio', '--baseline', $no_floor;
fails 'a baseline of ratios, and no floor now', 3, $needs, 'poll', '--contestants', 'belfry', '--baseline', $before;
fails 'a comparison of too few runs', 2, "--runs 4: a comparison needs at least 5; try 'belfry help bench'", 'poll',
	'--runs', 4, '--baseline', $before;

subtest 'no half files, and nothing beside them' => sub {
	my %was = (json => 'what was there', html => 'what was there', summary => 'what was there, ' x 30);
	mkdir "$dir/small" or die "$dir/small: $!";
	config("small/$_", $was{$_}) for keys %was;
	for my $kind (sort keys %was) {
		($status, $out, $err) = command('sh', '-c', 'ulimit -f 1; exec "$@" >/dev/null', 'sh', $belfry, 'bench',
			'--from', $before, "--$kind", "$dir/small/$kind");
		is $status, 1, "$kind: status";
		is $err, "belfry: $dir/small/$kind: File too large\n", "$kind: words";
		is Belfry::slurp("$dir/small/$kind"), $was{$kind}, "$kind: the file is as it was";
	}
	is_deeply [ sort map { s/.*\///r } glob("$dir/small/*") ], [ sort keys %was ], 'no other file';
};

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

subtest 'percentiles on standard output have titles' => sub {
	($status, $out) = belfry('bench', '--from', $before, '--hgrm', '-');
	like $out, qr/^#\[poll, floor\]\n +Value .*\n\n#\[poll, belfry\]\n +Value .*#\[Buckets .*\]\n\n$/s, 'of both';
};

subtest 'the page, in a browser without a network' => sub {
	my ($chromium) = grep { -x } map { "$_/chromium" } split /:/, $ENV{PATH};
	plan skip_all => unable('no chromium') unless $chromium;
	my $after = result_file(0.9999, 0.01, sub {
		my ($result) = @_;
		push @{ $result->{contestants} },
			{ name => 'belfry-window', version => 'belfry 2', runs => JSON::PP::true, reason => undef },
			{ name => 'qemu', version => undef, runs => JSON::PP::false, reason => 'not asked for' };
		my ($of_belfry) = series($result, 'poll', 'belfry');
		my %not_run = (contestant => 'belfry', parameter => undef, value => undef, unit => 'ns',
			status => 'not run', reason => undef, failed_runs => 0);
		push @{ $result->{series} },
			{ %$of_belfry, scenario => 'hybrid', parameter => 'pause_us', value => 10 },
			{ %not_run, scenario => 'hybrid', parameter => 'pause_us', value => 500 },
			{ %$of_belfry, scenario => 'rate', unit => 'per_s', runs =>
				[ map { { %$_, rings_per_interrupt => 8.5 } } @{ $of_belfry->{runs} } ], failed_runs => 1, reason => 'a <b>' },
			{ %not_run, scenario => 'host' }, { %not_run, scenario => 'host', contestant => 'qemu' };
	});
	my $then = result_file(1, 0.01, sub {
		my ($of_belfry) = series($_[0], 'poll', 'belfry');
		push @{ $_[0]{series} }, map { { %$of_belfry, scenario => 'hybrid', parameter => 'pause_us', value => $_ } } 10, 500;
	});
	is((belfry('bench', '--from', $after, '--baseline', $then, '--max-regression', 7, '--html', "$dir/page.html"))[0],
		1, 'status: a run has failed');
	config('page.html', Belfry::slurp("$dir/page.html") . <<'END');
<script>
for (const { data, options } of Object.values(Chart.instances))
  for (const dataset of data.datasets)
    for (const raw of dataset.data)
      document.body.append(`\n${options.plugins.tooltip.callbacks.label({ dataset, raw })}`);
document.body.dataset.told = "all";
</script>
END
	my @chromium = ('timeout', 18, $chromium, qw(--headless --no-sandbox --no-zygote --disable-gpu
		--disable-quic --no-first-run --disable-background-networking --disable-component-update
		--disable-sync --proxy-server=127.0.0.1:1 --dump-dom), "--user-data-dir=$dir/chromium",
		'file://' . abs_path("$dir/page.html"));
	for my $try (1 .. 3) { # it does not always start on a machine that is busy
		($status, $out, $err) = command(@chromium);
		last if $status eq 0 || diag("chromium: status $status, try $try");
	}
	is $status, 0, 'chromium';
	ok $out =~ /<body data-drawn="2"/, 'two charts have been drawn';
	ok $out =~ /<h3>poll<\/h3>.*<canvas [^>]*role="img".*<h3>hybrid<\/h3>.*<canvas/s, 'those of the two scenarios';
	ok $out =~ /<td>belfry<\/td>(<td>(?=[\d.]{5} )\d+\.\d+ us<\/td>){7}<td>1\.00<\/td>/,
		'a row of figures of four digits, and 1.00 x the floor';
	ok $out =~ /<th colspan="2">rate<\/th>.*<td>belfry<\/td><td colspan="2">9\.999 k\/s<\/td>/s,
		'a rate has a heading of its own';
	ok $out =~ /<td>belfry, pause 10 us<\/td>/, 'a case is called as in the table';
	ok $out =~ /<dt>runs below a hypervisor<\/dt><dd>a hypervisor<\/dd>/, 'so is a fact';
	ok $out =~ /<p class="dim">Not run: hybrid \(belfry, pause 500 us\), host<\/p>/, 'what was not run is one line';
	is_deeply [ $out =~ /<td class="reason"[^>]*>(.*?)<\/td>/g ],
		[ '8.5 rings an interrupt; 1 of 8 runs failed: a &lt;b&gt;' ], 'and no row; remarks have one';
	ok $out =~ /aria-label="floor, belfry, belfry before"/, 'its lines: also that of the baseline';
	ok $out =~ / data-told="all"/ && $out =~ /^belfry before, pause 10 us: 9\.900 us$/m,
		'what is under the mouse, also of a baseline with more cases';
	ok $out =~ />Worse is slower by more than 7 %,/, 'what worse is';
	ok $out =~ /<td>poll, belfry<\/td>(<td>1\.000 x floor<\/td>){2}<td>\+0\.0 %<\/td><td>[-+][\d.]+ to [-+][\d.]+ %<\/td><td>not worse<\/td>/,
		'before and now, and the verdict';
	ok $out !~ /<dt>belfry-window/, 'who took no part has no version';
	ok $out =~ /<dt>qemu<\/dt><dd>not asked for<\/dd>/, 'and who was not asked for is not said to be unable';
	ok $out !~ /(src|href)="http/, 'nothing from elsewhere';
};

# --- the manual's snippets ------------------------------------------------------------------

# The shell commands of a snippet, by Python, from its YAML.
sub snippet {
	my ($title, $commands) = @_;
	my ($yaml) = Belfry::slurp('man/belfry-bench.1.scd') =~ /^## \Q$title\E\n.*?^```\n(.*?)^```$/ms;
	my ($s, $text, $words) = command('/usr/bin/python3', '-c',
		"import sys, yaml; y = yaml.safe_load(sys.argv[1]); print('\\n'.join($commands))", $yaml // '');
	is "$s $words", '0 ', 'YAML';
	return $text;
}

# Run them as the runner does, in a folder of their own, with a program that has measured @after.
sub ci {
	my ($script, $after, @files) = @_;
	command('rm', '-rf', "$dir/ci");
	mkdir "$dir/$_" for 'ci', 'ci/bin', 'ci/ci';
	my $real = abs_path($belfry);
	chmod 0755, config('ci/bin/belfry', "#!/bin/sh\nwhile [ \"\$1\" != --json ]; do shift; done\nexec $real bench --from $after \"\$@\"\n");
	config("ci/$_", Belfry::slurp($before)) for @files;
	local $ENV{GITHUB_STEP_SUMMARY} = "$dir/ci/summary.md";
	local $ENV{PATH} = "$dir/ci/bin:$ENV{PATH}";
	return (command('bash', '-e', '-c', "cd $dir/ci\n$script"))[0];
}

subtest 'the snippet for GitHub Actions' => sub {
	my $script = snippet('GitHub Actions', "s['run'] for s in y if s.get('name') == 'latency'");
	is ci($script, $before), 0, 'no baseline';
	is Belfry::slurp("$dir/ci/baseline.json"), Belfry::slurp("$dir/ci/new.json"), 'that is the baseline now';
	like Belfry::slurp("$dir/ci/summary.md"), qr/^### belfry bench/, 'a summary';
	is ci($script, $before, 'baseline.json'), 0, 'the same';
	is ci($script, result_file(1.1, 0.5), 'baseline.json'), 0, 'too noisy to tell';
	isnt ci($script, result_file(1.3), 'baseline.json'), 0, 'worse';
	is ci("belfry() { echo '{}' >new.json; return 11; }\n$script", $before), 0, 'not complete';
	ok !-e "$dir/ci/baseline.json", 'that is no baseline';
};

subtest 'the snippet for GitLab CI' => sub {
	my $script = snippet('GitLab CI', "y['latency']['script']");
	is ci($script, $before, 'ci/baseline.json'), 0, 'the same';
	my $files = snippet('GitLab CI', "y['latency']['artifacts']['paths'] + " .
		"[y['latency']['artifacts']['reports']['junit']]");
	ok -s "$dir/ci/$_", "it has written $_" for split ' ', $files;
	is ci($script, result_file(1.1, 0.5), 'ci/baseline.json'), 11, 'too noisy to tell, which it allows';
	is ci($script, result_file(1.3), 'ci/baseline.json'), 10, 'worse';
};

# --- what the harness costs --------------------------------------------------------------

# In place of the program: the floor inside takes so much of what it takes alone, by turns.
sub overhead {
	my ($pairs, @factors) = @_;
	mkdir "$dir/overhead";
	config('overhead/belfry', <<"END");
#!/bin/sh
n=\$(cat $dir/overhead/n)
case "\$*" in
*--floor*) echo "result x p50=10000" ;;
*) set -- @factors
	shift \$((n % \$#))
	echo "{\\"series\\": [{\\"ns\\": {\\"p50\\": \$1}}]}"
	echo \$((n + 1)) >$dir/overhead/n ;;
esac
END
	config('overhead/n', 0);
	chmod 0755, "$dir/overhead/belfry";
	return command('bench/overhead', "$dir/overhead", $pairs);
}

for (['less than 1 %', 0, 9990, 10050, 10020], ['more than 1 %', 1, 10300, 10250],
	['cannot be told at this noise', 11, 9000, 10000, 11000]) {
	my ($words, $want, @factors) = @$_;
	subtest "the harness adds: $words" => sub {
		($status, $out, $err) = overhead(8, @factors);
		is "$status $err", "$want ", 'status';
		is scalar(() = $out =~ / \Q$words\E$/mg), 3, 'three scenarios';
	};
}
subtest 'an interval is of the order of the pairs' => sub {
	($status, $out) = overhead(10, map { 10000 + 100 * $_ } 1 .. 10);
	like $out, qr/ratio 1\.055 \[1\.010, 1\.100\]/, 'ten: all of them';
	($status, $out) = overhead(15, map { 10000 + 100 * $_ } 1 .. 15);
	like $out, qr/ratio 1\.080 \[1\.030, 1\.130\]/, '15: without two at either end';
	is((overhead(7, 1))[0], 1, 'seven are too few');
};

subtest 'bench/linux leaves no shared memory' => sub {
	mkdir "$dir/linux";
	chmod 0755, config('linux/belfry', "#!/bin/sh\nname=\$(sed -n 's/.* shm: \\([^,]*\\),.*/\\1/p' \$2)\n" .
		"touch /dev/shm/\$name\necho \$name >$dir/linux/name\n");
	my $bandwidth = "import sys; sys.dont_write_bytecode = True\nfrom importlib.machinery import SourceFileLoader\n" .
		"bench = SourceFileLoader('linux', 'bench/linux').load_module().Bench(sys.argv[1], sys.argv[1])\n" .
		"bench.initrd = lambda *_: 'initrd'\nbench.bandwidth()\n";
	is((command('/usr/bin/python3', '-W', 'ignore', '-c', $bandwidth, "$dir/linux"))[0], 0, 'status');
	my ($name) = Belfry::slurp("$dir/linux/name") =~ /^(belfry-bench.*)\n/;
	ok $name && !unlink("/dev/shm/$name"), 'it is gone';
};

# A shell that a signal ends does not run its EXIT trap, and what it has started in the background
# ignores Ctrl-C.
for my $script ('memory', 'clients_ratio') {
	subtest "bench/$script, interrupted, leaves nothing" => sub {
		mkdir "$dir/$_" for 'stand-in', 'left';
		unlink "$dir/stand-in/pid";
		chmod 0755, config('stand-in/belfry', "#!/bin/sh\necho \$\$ >$dir/stand-in/pid\nexec sleep 60\n");
		local $ENV{TMPDIR} = "$dir/left";
		my $job = spawn("bench/$script", "$dir/stand-in");
		my $pid;
		for (1 .. 1000) {
			($pid) = Belfry::slurp("$dir/stand-in/pid") =~ /^(\d+)\n/ and last;
			select undef, undef, undef, 0.01;
		}
		kill 'TERM', $job->{pid};
		($status) = finish($job);
		is $status, 130, 'status';
		ok !kill(0, $pid), 'what it has started is gone';
		is_deeply [ glob("$dir/left/*") ], [], 'and its files';
	};
}

# --- command lines that are wrong ----------------------------------------------------------

my $help = "; try 'belfry help bench'";
fails 'a typo', 2, "unknown scenario 'dorbell-spin'; did you mean 'doorbell-spin'?", 'dorbell-spin';
fails 'no scenario', 2, "unknown scenario 'xyzzy'; belfry bench --list has them$help", 'xyzzy';
fails 'a contestant with a typo', 2, "unknown contestant 'qmu'; did you mean 'qemu'?",
	'--contestants', 'floor,qmu';
fails 'a contestant without a name', 2, "unknown contestant ''$help", '--contestants', $_ for '', 'belfry,';
fails 'a number that is none', 2, "--runs 0: expected a number from 1 to 100$help", '--runs', 0;
fails 'a number with a tail', 2, "--ms 5s: expected a number from 1 to 10000$help", '--ms', '5s';
fails 'CPUs that are none', 2, "--cpus x: expected CPUs, such as 0,2-3, or none$help", '--cpus', 'x';
fails 'a percentage that is none', 2, "--max-regression -5: expected a percentage from 0 to 1000$help",
	'--max-regression=-5';
fails 'a judge that is none', 2, "--judge x: expected ratio or time$help", '--judge', 'x';
fails 'one file to compare', 2, "bench --compare: expected two files$help", '--compare', 'a';
fails 'a result and scenarios', 2, "bench --from: takes no SCENARIO$help", '--from', 'a', 'poll';
fails "a result and $_->[0]", 2, "bench --from: takes no $_->[0]$help", '--from', 'a', @$_
	for ['--quick'], ['--contestants', 'floor'], ['--runs', 1], ['--ms', 1], ['--cpus', 'none'];
fails 'a comparison that is to measure', 2, "bench --compare: takes no --quick$help", '--quick', '--compare', 'a', 'b';
fails "$_->[0] without a baseline", 2, "bench $_->[0]: needs --baseline$help", 'poll', @$_
	for ['--max-regression', 10], ['--judge', 'time'], ['--strict'];
fails '--no-link without the floor', 2, "bench --no-link: needs --floor$help", 'poll', '--no-link';
fails 'an unknown option', 2, "unknown option '--fast'$help", '--fast';
fails 'a CPU that there is not', 2, "--cpus 0,1023: there is no CPU 1023 that we may use$help",
	'--cpus', '0,1023';

done_testing;
