#!/usr/bin/env perl
# tests/guest/guests.t - runs the guest tests that guest-tests/tests.conf lists
#
#	tests/guest/guests.t [NAME...]
#
# A test passes if `belfry run` ends as the list says, in time, no guest prints "not ok",
# and as many doorbells went through user space as the list says. What guests print comes
# along as comments.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../cli";
use Belfry;
use Test::More;

plan skip_all => unable('/dev/kvm is not there or may not be used') if !-w '/dev/kvm';

my %status = (pass => 0, fail => 65, reset => 32, crash => 33);
my $shm = "belfry-test-$$";
my $initrd = config('initrd', join '', map { "$_\n" } 1 .. 20000);
my ($sum, $length) = split ' ', `cksum $initrd`;

# --- a test's configuration, VM by VM -------------------------------------------------

sub bytes {
	my ($number, $unit) = $_[0] =~ /^(\d+)([KMG]?)$/ or die "$_[0]: no size";
	return $number << { '' => 0, K => 10, M => 20, G => 30 }->{$unit};
}

# "key=value,key=value" as a list of YAML's "key: value"
sub yaml { return map { s/=/: /r } split /,/, $_[0] // '' }

# Command line with {initrd} and {length} filled in. The length counts its own digits.
sub fill_in {
	my ($line) = @_;
	$line =~ s/\{initrd\}/$length,$sum/;
	my $rest = length($line =~ s/\{length\}//r);
	my ($whole) = grep { $_ == $rest + length } $rest + 1 .. $rest + 4;
	return $line =~ s/\{length\}/$whole/r;
}

# The file that is memory number $n: made once a test, however many VMs have it.
sub memory_file {
	my ($n, $kind, $size) = @_;
	my $path = "$dir/memory-$n";
	return $path if -e $path;
	config("memory-$n", $kind eq 'file' ? "\xa5" x bytes($size) : '');
	truncate $path, bytes($size) or die "$path: $!";
	return $path;
}

# Where the memory of device number $n is: a list of YAML's "key: value".
sub source {
	my ($links, $n, $kind, $size, $vectors) = @_;
	if ($kind eq 'link') {
		$links->{"ring$n"} //= "{ size: $size, vectors: $vectors }";
		return "link: ring$n";
	}
	return ($kind eq 'shm' ? "shm: $shm-$n" : 'file: ' . memory_file($n, $kind, $size),
		"size: $size");
}

# A VM's devices, from "kind:...+kind:...*times"
sub devices {
	my ($links, $words) = @_;
	my $n = 0;
	return map {
		my ($device, $times) = split /\*/;
		my ($where, $keys) = split /,/, $device, 2;
		map { join ', ', source($links, ++$n, split /:/, $where), yaml($keys) } 1 .. $times // 1;
	} split /\+/, $words eq '-' ? '' : $words;
}

sub vm {
	my ($links, $cpus, $memory, $devices, $guest, $cmdline) = @_;
	my ($size, $keys) = split /,/, $memory, 2;
	my @devices = devices($links, $devices);
	return join "\n    ", "kernel: $build/guests/$guest", "cpus: $cpus", "memory: $size", yaml($keys),
		$cmdline =~ /\{initrd\}/ ? "initrd: $initrd" : (),
		$cmdline ne '' ? "cmdline: '" . fill_in($cmdline) . "'" : (),
		@devices ? 'devices:' : (), map { "  - ivshmem: { $_ }" } @devices;
}

sub text {
	my ($links, @vms) = @_;
	my $n = 0;
	return join '', %$links ? "links:\n" : (), map({ "  $_: $links->{$_}\n" } sort keys %$links),
		"vms:\n", map { $n++; "  vm$n:\n    $_\n" } @vms;
}

# --- running it -----------------------------------------------------------------------

# The guest has changed the file if its command line said so.
sub file_is_marked {
	my ($text) = @_;
	return 1 if $text !~ /mark=0x5a/;
	return substr(Belfry::slurp("$dir/memory-1"), 0, 4096) eq "\x5a" x 4096;
}

# Each VM has rung as many doorbells by way of user space as "slow=N" or "slow=N-M" says.
sub slow_as_wanted {
	my ($ends, $said) = @_;
	my ($least, $most) = $ends =~ /,slow=(\d+)(?:-(\d+))?/ or return 1;
	my @rung = $said =~ /exits to user space \d+, of them doorbells (\d+)/g;
	return @rung && !grep { $_ < $least || $_ > ($most // $least) } @rung;
}

sub run {
	my ($test) = @_;
	my %links;
	my $text = text(\%links, map { vm(\%links, @$_) } @{ $test->{vms} });
	my ($status, $out, $err) =
		finish(spawn($belfry, 'run', '--stats', config('config.yaml', $text)), $test->{limit});
	my $said = $out . $err;
	my ($ends) = split /,/, $test->{ends};
	my $want = $ends =~ /^status-(\d+)/ ? 64 + $1 : $status{$ends};
	ok($status eq $want && $said !~ /^(?:.*\| )?not ok/m && file_is_marked($text)
			&& slow_as_wanted($test->{ends}, $said), $test->{name})
		? note $said
		: diag "ends with $status, expected $want ($test->{ends}); the config file was\n$text$said";
	unlink glob("$dir/memory-* /dev/shm/$shm-*");
}

sub tests {
	my @tests;
	open my $file, '<', 'guest-tests/tests.conf' or die "guest-tests/tests.conf: $!";
	while (my $line = <$file>) {
		next if $line =~ /^\s*(#|$)/;
		chomp $line;
		my ($name, $limit, $ends, @vm) = split ' ', $line, 8;
		push @tests, { name => $name, limit => $limit, ends => $ends } if $name ne '+';
		push @{ $tests[-1]{vms} }, [@vm[0 .. 3], $vm[4] // ''];
	}
	return @tests;
}

my %only = map { $_ => 1 } @ARGV;
my @tests = grep { !@ARGV || delete $only{ $_->{name} } } tests();
die "no such test: @{[sort keys %only]}\n" if %only;
run($_) for @tests;
done_testing;
