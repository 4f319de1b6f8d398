#!/usr/bin/env perl
# tests/install/abi.t - tests/checks/abi tells what breaks programs from what does not
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../cli";
use Belfry;
use Test::More;

plan skip_all => unable('abidiff is not installed') if system('command -v abidiff >/dev/null') != 0;

my $baseline = Belfry::slurp('tests/abi/libbelfry.abi');
my ($library) = glob "$build/libbelfry.so.*.*";

# Compare the library with an earlier one, which differs from the baseline as said.
sub compare {
	my ($change) = @_;
	local $_ = $baseline;
	ok $change->(), 'the baseline can be changed so';
	return command('tests/checks/abi', $library, config('earlier.abi', $_));
}

subtest 'the library is as the baseline' => sub {
	my ($status, $out, $err) = compare(sub { 1 });
	is $status, 0 or diag $out;
	is $err, '';
};

subtest 'a call that is gone is an error' => sub {
	my ($status, $out, $err) = compare(sub {
		s{(<elf-symbol name=')belfry_version('.*?/>)}{$1belfry_version$2\n$1belfry_gone$2};
	});
	is $status, 1;
	like $out, qr/belfry_gone/;
	like $err, qr/make abi-baseline/;
};

subtest 'an argument of another type is an error' => sub {
	my ($status, $out) = compare(sub {
		my ($int) = /<type-decl name='int' .* id='(\w+)'/;
		s{(<function-decl name='belfry_vm_add_doorbell'.*?)<parameter type-id='\w+'}{$1<parameter type-id='$int'}s;
	});
	is $status, 1;
	like $out, qr/belfry_vm_add_doorbell/;
};

subtest 'a member of another type is an error' => sub {
	my ($status, $out) = compare(sub {
		my ($type) = /name='uint64_t' .* id='(\w+)'/;
		s{(<class-decl name='belfry_result' .*?name='status' type-id=')\w+}{$1$type}s;
	});
	is $status, 1;
	like $out, qr/belfry_result.*status/s;
};

subtest 'a new call is none' => sub {
	my ($status, $out) = compare(sub {
		s{<elf-symbol name='belfry_version'.*?/>\n}{}
			&& s{<function-decl name='belfry_version'.*?</function-decl>\n}{}s;
	});
	is $status, 0 or diag $out;
};

subtest 'a struct that has grown wants a decision' => sub {
	my ($status, $out) = compare(sub {
		s{(<class-decl name='belfry_stats' size-in-bits=')320(.*?)\s*<data-member [^\n]*\n[^\n]*name='panics'[^\n]*\n[^\n]*</data-member>}{${1}256$2}s;
	});
	is $status, 1;
	like $out, qr/'uint64_t panics'.* at offset 256/;
};

done_testing;
