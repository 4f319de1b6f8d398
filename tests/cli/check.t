#!/usr/bin/env perl
# tests/cli/check.t - belfry check, help and bad command lines
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry qw(:DEFAULT fails);
use Test::More;

my ($status, $out, $err);

my $ring = config('ring.yaml', <<'END');
links:
  ring: {}
vms:
  a:
    kernel: k
    cmdline: 'say "hi"'
    devices:
      - ivshmem: { link: ring }
END

my $ring_in_full = <<'END';
links:
  ring:
    size: 4M
    vectors: 1
    hugepages: none
vms:
  a:
    kernel: k
    cmdline: "say \"hi\""
    memory: 128M
    hugepages: none
    prefault: false
    cpus: 1
    on_reset: exit
    stop_timeout: 10
    devices:
      - ivshmem:
          link: ring
          doorbells: adaptive
          doorbells_max: 16
          doorbell_window: false
          revision: 1
          ioeventfd: auto
END

subtest 'a configuration is printed in full' => sub {
	($status, $out, $err) = belfry('check', $ring);
	is $status, 0, 'status';
	is $out, $ring_in_full, 'output';
	is $err, '', 'no words';
};

subtest 'what is printed means the same' => sub {
	my $printed = config('printed.yaml', $ring_in_full);
	is((belfry('check', $printed))[1], $ring_in_full, 'output');
};

subtest 'later files and --set override' => sub {
	my $more = config('more.yaml', '{"vms": {"a": {"cpus": 3, "memory": "1G"}}}');
	($status, $out) = belfry('check', $ring, $more, '--set', 'vms.a.cpus=4');
	is $status, 0, 'status';
	like $out, qr/^    memory: 1G$/m, 'the second file over the first';
	like $out, qr/^    cpus: 4$/m, '--set over both';
};

subtest 'a configuration from --set alone' => sub {
	($status, $out) = belfry('check', '--set', 'vms.a.kernel=k', '--set', 'vms.a.cmdline=x=y');
	is $status, 0, 'status';
	like $out, qr/^    cmdline: x=y$/m, 'the first = ends the path';
};

subtest 'standard input is a file, too' => sub {
	my $command = '"$0" check - <"$1"';
	($status, $out) = command('sh', '-c', $command, $belfry, $ring);
	is $out, $ring_in_full, 'output';
	my $bad = config('bad.yaml', "links: 5\n");
	($status, $out, $err) = command('sh', '-c', $command, $belfry, $bad);
	is $err, "belfry: <stdin>:1:8: links: expected a mapping, not text\n", 'words';
};

subtest 'the examples are right' => sub {
	for (glob 'configs/*.yaml') {
		($status, $out, $err) = belfry('check', $_);
		is "$status $err", '0 ', $_;
	}
};

# --- configurations that are wrong ------------------------------------------------------

fails 'a value out of bounds', 3, "$dir/cpus.yaml:3:11: vms.a.cpus 900: at most 64",
	'check', config('cpus.yaml', "vms:\n  a:\n    cpus: 900\n");
fails 'a typo', 3, "$dir/typo.yaml:1:13: vms.a: unknown key 'memroy'; did you mean 'memory'?",
	'check', config('typo.yaml', 'vms: { a: { memroy: 1M } }');
fails 'every mistake at once', 3,
	"$dir/all.yaml:1:19: vms.a.cpus 0: at least 1\nbelfry: "
	. "$dir/all.yaml:1:22: vms.a: unknown key 'memroy'; did you mean 'memory'?",
	'check', config('all.yaml', 'vms: { a: { cpus: 0, memroy: 1M } }');
fails 'a missing kernel', 3, "$dir/kernel.yaml:1:8: vms.a: kernel is missing",
	'check', config('kernel.yaml', 'vms: { a: {} }');
fails 'a VM mistyped', 3, "vms.b: kernel is missing; did you mean 'vms.a'?",
	'check', $ring, '--set', 'vms.b.cpus=2';
fails 'a VM forgotten', 3, 'vms.other: kernel is missing',
	'check', $ring, '--set', 'vms.other.cpus=2';
fails 'a file with nothing in it', 3,
	'there is nothing in this configuration: expected vms: { NAME: ... }',
	'check', config('nothing.yaml', "# nothing\n");
fails 'memory that is no number of huge pages', 3,
	"$dir/huge.yaml:1:8: vms.a: memory 33M: not a multiple of hugepages 2M; 34M would do",
	'check', config('huge.yaml', 'vms: { a: { kernel: k, memory: 33M, hugepages: 2M } }');
fails 'a link that nobody declares', 3,
	"$dir/link.yaml:1:37: vms.a.devices.0.ivshmem: link rnig: no such link; did you mean 'ring'?",
	'check', $ring, config('link.yaml', 'vms: { a: { kernel: k, devices: [ { ivshmem: { link: rnig } } ] } }');
fails 'bad YAML', 3, "$dir/yaml.yaml:2:1: YAML is indented by spaces, not by tabs",
	'check', config('yaml.yaml', "vms:\n\ta: {}\n");
fails 'a wrong --set', 3, '--set vms.a.cpus 0: at least 1', 'check', $ring, '--set', 'vms.a.cpus=0';
fails 'a --set that leads nowhere', 3, "--set vms.a: unknown key 'cpu'; did you mean 'cpus'?",
	'check', $ring, '--set', 'vms.a.cpu=1';
fails 'a file that is not there', 3, "$dir/none: No such file or directory", 'check', "$dir/none";
fails 'a folder', 3, "$dir: Is a directory", 'check', $dir;
fails 'two devices on one link', 3,
	'vms.a.devices.1.ivshmem: link ring: another device has it already',
	'check', $ring, '--set', 'vms.a.devices.1.ivshmem.link=ring';

# --- command lines that are wrong -------------------------------------------------------

my $try = "; try 'belfry --help'";
fails 'no command', 2, "expected a command$try";
fails 'an unknown command', 2, "unknown command 'frob'$try", 'frob';
fails 'a command with a slip', 2, "unknown command 'rnu'; did you mean 'run'?", 'rnu';
fails 'an unknown option in place of a command', 2, "unknown option '--frob'$try", '--frob';
fails 'help for an unknown command', 2, "unknown command 'frob'$try", 'help', 'frob';
$try = "; try 'belfry help check'";
fails 'no file', 2, "check: expected a FILE or --set$try", 'check';
fails 'an unknown option', 2, "unknown option '--frob'$try", 'check', '--frob', $ring;
fails 'an unknown letter', 2, "unknown option '-x'$try", 'check', $ring, '-x';
fails 'an option without its value', 2, "option '--set' needs a value$try", 'check', $ring, '--set';
fails 'an option with a value it does not take', 2, "option '--help=1' takes no value$try",
	'check', '--help=1';
fails '--set without =', 2, "--set vms.a.cpus: expected PATH=VALUE$try",
	'check', $ring, '--set', 'vms.a.cpus';
fails '--set too often', 2, "--set vms.a.cpus=1: at most 128 of them$try",
	'check', $ring, ('--set', 'vms.a.cpus=1') x 129;
fails 'an unknown schema', 2, "--schema=xml: expected help, json or man$try",
	'check', '--schema=xml';
fails '--schema and a file', 2, "check: --schema takes no FILE$try",
	'check', '--schema=json', $ring;

# --- help -------------------------------------------------------------------------------

sub says {
	my ($name, $pattern, @args) = @_;
	subtest $name => sub {
		($status, $out, $err) = belfry(@args);
		is $status, 0, 'status';
		like $out, $pattern, 'output';
		is $err, '', 'no words';
		is((grep { length > 100 } split /\n/, $out), 0, 'no long line')
			unless "@args" =~ /config|schema/;
	};
}

says '--help', qr/^usage: belfry COMMAND.*^exit status:/ms, '--help';
subtest '--help and belfry(1) have the same exit statuses' => sub {
	my ($page) = Belfry::slurp("$FindBin::Bin/../../man/belfry.1.scd") =~ /^# EXIT STATUS(.*?)^# /ms;
	my ($help) = (belfry('--help'))[1] =~ /^exit status:\n(.*)/ms;
	my @in_page = map { /\*(\d+)\*/g } $page =~ /^(\*\d.*)/mg;
	is_deeply [$help =~ /^  (\d+)/mg], \@in_page;
};
says 'help', qr/^usage: belfry COMMAND/, 'help';
says '--version', qr/^belfry \d+\.\d+\.\d+\n$/, '--version';
says 'help help', qr/^usage: belfry COMMAND/, 'help', 'help';
says 'help check', qr/^usage: belfry check /, 'help', 'check';
says 'check --help', qr/^usage: belfry check /, 'check', '--help';
says 'help run', qr/^usage: belfry run /, 'help', 'run';
says '--help-config', qr/^  cpus +number +1\.\.64 +1 +virtual CPUs$/m, '--help-config';
says '--schema=json', qr/"\$schema": "https:\/\/json-schema\.org/, 'check', '--schema=json';
says '--schema=man', qr/^## vms\.NAME\.devices\.N\.ivshmem$/m, 'check', '--schema=man';

subtest 'a full disk is an error' => sub {
	($status, $out, $err) = command('sh', '-c', '"$0" check "$1" >/dev/full', $belfry, $ring);
	is $status, 1, 'status';
	is $err, "belfry: standard output: No space left on device\n", 'words';
};

done_testing;
