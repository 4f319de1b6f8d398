#!/usr/bin/env perl
# tests/cli/failures.t - tests/failures says why a test failed
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use Test::More;

mkdir "$dir/tap";

# What it says of the one test program that has printed this.
sub failures {
	config('tap/x.t', $_[0]);
	my ($status, $out, $err) = command('tests/failures', "$dir/tap");
	is "$status $err", '0 ', 'status';
	return $out;
}

is failures("ok 1\n# fine\nok 2\n1..2\n"), '', 'all is well: nothing';
is failures("ok 1 - a\n# before\nnot ok 2 - b\n# after\nok 3 - c\n# fine\nok 4 - d\n1..4\n"),
	"x.t: # before\nx.t: not ok 2 - b\nx.t: # after\nx.t: ok 3 - c\n", 'what is around a failure';
is failures("not ok 1 - a\nnot ok 2 - b\n1..2\n"),
	"x.t: not ok 1 - a\nx.t: not ok 2 - b\nx.t: 1..2\n", 'two in a row: each once';
is failures("1..2\nok 1\nSegmentation fault\n"), "x.t: Segmentation fault\n", 'an early end';
is failures("ok 1\n1..1\nERROR: AddressSanitizer: x\n"), "x.t: 1..1\nx.t: ERROR: AddressSanitizer: x\n",
	'a sanitizer';
is failures(''), "x.t: printed nothing\n", 'nothing at all';
is scalar(() = failures("1..1\n" . "# line\n" x 1000 . "not ok 1\n") =~ /\n/g), 81, 'no more than 80 lines';

done_testing;
