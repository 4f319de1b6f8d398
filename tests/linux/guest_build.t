#!/usr/bin/env perl
# tests/linux/guest_build.t - guest/ builds on its own, and as DKMS would build it
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../cli";
use Belfry;
use Cwd 'abs_path';
use Test::More;

my $lab = $ENV{BELFRY_LAB} // 'build/lab';
plan skip_all => unable("no kernel headers in $lab (make linux)")
	if !-e "$lab/cloud/headers/Makefile";
my $headers = abs_path("$lab/cloud/headers");
my ($status, $out, $err);

# A command in a shell; all it says goes to $out.
sub runs {
	my ($name, $command) = @_;
	($status, $out, $err) = command('sh', '-c', "exec 2>&1; $command");
	is $status, 0, $name or diag $out;
}

# The folder by itself, as somebody would copy it into a guest.
runs('copied away from belfry', "cp -r guest $dir/guest && rm -rf $dir/guest/build");
runs('the library and the samples', "make -C $dir/guest WERROR=1");
ok -x "$dir/guest/build/$_", "there is $_" for qw(pingpong ring nodriver);
runs('the module', "make -C $dir/guest module KDIR=$headers KFLAGS=W=1");
unlike $out, qr/warning:/, 'without a warning';
ok -e "$dir/guest/build/module/ivshmem.ko", 'there is a module';

# What DKMS does: copy the sources to its tree, and run MAKE there.
my $version = (belfry('--version'))[1] =~ /(\d+\.\d+\.\d+)/ ? $1 : 'no version';
my $sources = "$dir/usr/src/belfry-ivshmem-$version";
my $tree = "$dir/dkms/belfry-ivshmem/$version";
runs('make dkms-install', "make -C guest dkms-install DESTDIR=$dir");
ok -e "$sources/dkms.conf", 'it has the version that belfry has';
my $make = config('make.bash', <<"BASH");
kernel_source_dir=$headers dkms_tree=$dir/dkms
cd $tree/build && . ./dkms.conf && eval "\${MAKE[0]}"
BASH
runs('as DKMS builds it', "mkdir -p $tree && cp -r $sources $tree/build && bash $make");
my $ko = "$tree/build/module/ivshmem.ko";
ok -e $ko, 'there is a module';
like `/sbin/modinfo -F alias $ko`, qr/^pci:v00001AF4d00001110/m, 'for ivshmem devices';
done_testing;
