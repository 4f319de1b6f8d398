# tests/linux/Linux.pm - Linux guests for tests: make them, run them, read their consoles
#
# A test that uses this runs where KVM has hardware support: on this host, or else, from
# its first line on, in the lab machine (tests/lab/machine). It is the same either way.
# Therefore it comes before Belfry, which makes files:
#
#	use lib "$FindBin::Bin/../cli", $FindBin::Bin;
#	use Linux;
#	use Belfry;
#
# `make linux` gets the kernels and builds what the guests need.
package Linux;
use strict;
use warnings;
use Exporter 'import';
use File::Basename 'dirname';

our @EXPORT = qw($bzimage $vmlinux $fast $thorough initrd boot start done stop console);

my ($root, $lab);

sub first_line {
	my ($path) = @_;
	open my $file, '<', $path or die "$path: $! (make linux)\n";
	chomp(my $line = <$file>);
	return $line;
}

sub runs_linux {
	open my $file, '<', '/proc/cpuinfo' or return 0;
	return -w '/dev/kvm' && grep { /^flags\b.*\b(vmx|svm)\b/ } <$file>;
}

BEGIN {
	$root = dirname(__FILE__) . '/../..';
	$lab = $ENV{BELFRY_LAB} // "$root/build/lab";
	if (!-e "$lab/generic/vmlinux") {
		die "no kernels in $lab (make linux)\n" if $ENV{BELFRY_EXPECT_ALL};
		print "1..0 # SKIP no kernels in $lab (make linux)\n";
		exit 0;
	}
	if (!runs_linux()) {
		die "in the lab, but no hardware support for KVM\n" if $ENV{BELFRY_IN_LAB}++;
		exec "$root/tests/lab/machine", '--again', $^X, $0, @ARGV or die "tests/lab/machine: $!\n";
	}
}

use Belfry;

our $bzimage = "$lab/cloud/bzImage";
our $vmlinux = "$lab/cloud/vmlinux";

# Arguments that save an emulated guest half of its time; they change nothing that the
# tests are about.
our $fast = 'console=ttyS0 quiet nokaslr mitigations=off edd=off 8250.nr_uarts=1 lsm= '
	. 'tsc=reliable';

# Whether there is time for all of it (make check-lab), or for the quick part only.
our $thorough = $ENV{BELFRY_THOROUGH};

my $seconds = 300; # for a guest from start to end; takes 10, emulated

# An initrd with a script, or else a shell, the power button, and modules and files that are
# needed.
my $count = 0;
sub initrd {
	my ($guest) = @_;
	my $n = $count++;
	my $rc = delete $guest->{rc};
	my @script = defined $rc ? ('-s', config("rc.$n", "#!/bin/sh\n$rc")) : ();
	my @modules = (qw(button evdev), @{ delete $guest->{modules} // [] });
	my @files = @{ delete $guest->{files} // [] };
	my @command = ("$root/tools/linux-initrd", '-k',
		"$lab/root:" . first_line("$lab/cloud/version"),
		(map { ('-m', $_) } @modules), (map { ('-f', $_) } @files),
		@script, "$dir/initrd.$n");
	system(@command) == 0 or die "@command: $?";
	return "$dir/initrd.$n";
}

# The YAML of one guest: { rc => script, modules => [], files => [], devices => [text],
# and any key of a VM }.
sub guest_yaml {
	my ($name, $spec) = @_;
	my %guest = (kernel => $vmlinux, cmdline => $fast, memory => '128M', %$spec);
	my $devices = delete $guest{devices} // [];
	$guest{initrd} //= initrd(\%guest);
	return "  $name:\n"
		. join('', map { "    $_: $guest{$_}\n" } sort keys %guest)
		. (@$devices ? "    devices:\n" : '')
		. join('', map { "      - $_\n" } @$devices);
}

# Start guests: vms => { name => guest }, links => { name => text }, arguments => [].
# Return a job; done(), stop(), console(), and Belfry's wait_for() take it.
sub start {
	my %all = @_;
	my $links = $all{links} // {};
	my $yaml = (%$links ? "links:\n" : '')
		. join('', map { "  $_: $links->{$_}\n" } sort keys %$links)
		. "vms:\n"
		. join('', map { guest_yaml($_, $all{vms}{$_}) } sort keys %{ $all{vms} });
	my $file = config('linux.' . $count++ . '.yaml', $yaml);
	return spawn($belfry, 'run', $file, @{ $all{arguments} // [] });
}

# Wait for the end. Return: exit status, standard output without \r, standard error.
sub done {
	my ($job) = @_;
	my ($status, $output, $errors) = finish($job, $seconds);
	return ($status, $output =~ s/\r//gr, $errors);
}

# Ask a job to end, as a user would.
sub stop {
	my ($job) = @_;
	kill 'TERM', $job->{pid};
	return done($job);
}

# Run one guest to its end.
sub boot {
	return done(start(vms => { vm => {@_} }));
}

# What one of several guests has written.
sub console {
	my ($output, $name) = @_;
	return join '', map { "$_\n" } $output =~ /^\Q$name\E\| (.*)$/mg;
}

1;
