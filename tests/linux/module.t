#!/usr/bin/env perl
# tests/linux/module.t - guest/ on belfry's device: what QEMU's has not, and what needs no
# driver of its own (module_qemu.t has the rest)
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../cli", $FindBin::Bin;
use Linux;
use Belfry;
use Test::More;

my ($status, $out, $err);
my $linux = "$build/linux";
my $driver = "$linux/module/ivshmem.ko";

# All claims of a guest, as tests.
sub report {
	my ($name, $console) = @_;
	subtest $name => sub {
		my $claims = 0;
		while ($console =~ /^(not )?ok - (.*)$/mg) {
			ok !$1, $2;
			$claims++;
		}
		cmp_ok $claims, '>', 0, 'it had something to say';
		diag $console if !Test::More->builder->is_passing;
	};
}

my $claim = <<'RC';
ok() { "$@" && echo "ok - $*" || echo "not ok - $*"; }
RC

my $tests = start(
	links => { window => '{ size: 2M, vectors: 4 }', other => '{ size: 1M, vectors: 2 }' },
	vms => {
		vm => {
			rc => $claim . <<'RC',
mount -t debugfs debug /sys/kernel/debug
ok doorbell_test /dev/ivshmem0
ok memory_test /dev/ivshmem0 cached
ok memory_test /dev/ivshmem1 cached
ok grep -E 'mem 0x0{7}[1-9a-f][0-9a-f]{8}-.* write-back' /sys/kernel/debug/x86/pat_memtype_list
ok gone_test /dev/ivshmem0 /modules/ivshmem.ko 3
ok rmmod ivshmem
RC
			modules => [$driver],
			files => [map { "$linux/tests/$_" } qw(doorbell_test memory_test gone_test)],
			devices => ['ivshmem: { link: window, doorbell_window: true }',
				'ivshmem: { link: other }'],
		},
	});
($status, $out, $err) = done($tests);
is $status, 0, 'the guest powers off';
$out =~ s/^vm\| //mg;
like $out, qr/^# registers mapped, window mapped$/m, 'the doorbell window can be mapped';
report('driver, library and window', $out);

my $device = '0000:00:01.0';
my $uio = start(
	links => { bells => '{ size: 1M }' },
	vms => {
		waits => {
			rc => <<"RC",
echo 1af4 1110 >/sys/bus/pci/drivers/uio_pci_generic/new_id
nodriver wait $device 3 && echo all of them
RC
			modules => ['uio_pci_generic'],
			files => ["$linux/nodriver"],
			devices => ['ivshmem: { link: bells, revision: 0, msi: false }'],
		},
		rings => {
			rc => <<"RC",
echo 1 >/sys/bus/pci/devices/$device/enable
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	nodriver ring $device 0; nodriver ring $device 1
	sleep 1
done
RC
			files => ["$linux/nodriver"],
			devices => ['ivshmem: { link: bells }'],
		},
	});
wait_for($uio, qr/^waits\| all of them/m);
stop($uio);
$out = console(Belfry::slurp("$dir/out.$uio->{n}") =~ s/\r//gr, 'waits');
is_deeply [$out =~ /^(interrupt \d+, status \d+)$/mg],
	['interrupt 1, status 1', 'interrupt 2, status 1', 'interrupt 3, status 1'],
	'uio_pci_generic waits for INTx, one ring after the other' or diag $out;
done_testing;
