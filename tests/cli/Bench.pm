# tests/cli/Bench.pm - for tests of belfry bench: results that nobody has measured
package Bench;
use strict;
use warnings;
use Exporter 'import';
use FindBin;
use JSON::PP;
use lib $FindBin::Bin;
use Belfry;
use Test::More;

our @EXPORT = qw(fails read_json series result_file schema_says);

sub fails {
	my ($name, $want, $words, @args) = @_;
	Belfry::fails($name, $want, $words, 'bench', @args);
}

sub read_json { return decode_json(Belfry::slurp($_[0])) }

sub series {
	my ($result, $scenario, $contestant) = @_;
	return grep { $_->{scenario} eq $scenario && ($_->{contestant} // '') eq $contestant }
		@{ $result->{series} };
}

sub run_of {
	my ($turn, $figure) = @_;
	return { turn => $turn, samples => 100, figure => $figure, ns => percentiles($figure), exits => 0,
		steal => 0.001, waited => undef, others => 0.02, disturbed => JSON::PP::false };
}

sub percentiles {
	my ($p50) = @_;
	return { min => $p50 * 0.9, p50 => $p50, p90 => $p50 * 1.1, p99 => $p50 * 1.2, p99_9 => $p50 * 2,
		p99_99 => $p50 * 3, max => $p50 * 5 };
}

# Seven runs of poll: the floor at 10 us, belfry at 10 us times @factor, up and down by @spread.
my $files = 0;
sub result_file {
	my ($factor, $spread, $change) = @_;
	$factor //= 1;
	$spread //= 0.01;
	my %figures = (floor => [ (10000) x 7 ],
		belfry => [ map { 10000 * $factor * (1 + $spread * ($_ % 3 - 1)) } 1 .. 7 ]);
	my @series = map { my $figures = $figures{$_}; {
		scenario => 'poll', contestant => $_, parameter => undef, value => undef, unit => 'ns',
		status => 'measured', reason => undef, failed_runs => 0, samples => 700, ns => percentiles($figures->[2]),
		histogram => [ [9500, 350], [10000, 349], [50000, 1] ],
		runs => [ map { run_of($_, $figures->[$_ - 1]) } 1 .. 7 ],
	} } qw(floor belfry);
	my $result = {
		format => 'belfry-bench', version => 1, belfry => '0.1.0', date => '2026-01-02T03:04:05Z',
		complete => JSON::PP::true, stopped => undef, emulated => JSON::PP::false,
		settings => { runs => 7, ms => 200, warmup_ms => 51, quick => JSON::PP::false, cpus => '0,1' },
		host => { map { $_ => "a $_" } qw(cpu cpus hypervisor kvm_module kvm_hardware kernel governor smt
			mitigations halt_poll_ns clocksource transparent_hugepages) },
		contestants => [ map { { name => $_, version => undef, runs => JSON::PP::true, reason => undef } }
			qw(floor belfry) ],
		notes => [ 'a note' ],
		scenarios => { poll => 'round trip through the shared memory, without doorbells' },
		series => \@series,
	};
	$change->($result) if $change;
	return config('result' . $files++ . '.json', encode_json($result));
}

# What the schema has against a file; '' when nothing.
sub schema_says {
	my ($file) = @_;
	my ($status, $schema) = belfry('bench', '--schema');
	my $validate = 'import json, sys, jsonschema; ' .
		'jsonschema.validate(json.load(open(sys.argv[2])), json.loads(sys.argv[1]))';
	my (undef, undef, $err) = command('/usr/bin/python3', '-W', 'ignore', '-c', $validate, $schema, $file);
	return $status ? "status $status" : $err;
}

1;
