#!/usr/bin/env perl
# tests/cli/serve.t - belfry serve: options, files, who may join, clients that do wrong
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use Serve;
use Fcntl;
use JSON::PP;
use POSIX 'mkfifo';
use Socket;
use Test::More;

$SIG{PIPE} = 'IGNORE'; # clients that are dropped

my ($status, $out, $err);

subtest 'the options of QEMU\'s server keep their meaning' => sub {
	my $server = serve('-S', $path, '-l', '2M', '-n', '3', '-p', "$dir/pid", '-F', '-v');
	is slurp("$dir/pid"), "$server->{pid}\n", 'the process ID';
	($status, $out, $err) = belfry('peer', '-S', $path, 'info');
	is $status, 0, 'a peer joins';
	like $out, qr/^vectors 3$/m, 'vectors';
	like $out, qr/^memory 2097152$/m, 'size';
	($status, $out, $err) = end($server);
	is $status, 0, 'SIGTERM ends it well';
	is $out, '', 'nothing to standard output';
	like $err, qr/^belfry: ivshmem: 0 clients are there; \d+ with 3 vectors each fit$/m,
		'what fits is said';
	like $err, qr/^belfry: ivshmem: peer 0 has joined: pid \d+, uid $<, gid \d+$/m, 'who joins';
	like $err, qr/^belfry: ivshmem: peer 0 has left$/m, 'who leaves';
	is_deeply [glob("$dir/ring*"), grep { -e } "$dir/pid"], [], 'every file it has made is gone';
};

subtest 'a file may describe it, and options change what the file says' => sub {
	my $file = config('servers.yaml', "servers:\n  a: { path: $path, vectors: 2, size: 1M }\n");
	my $server = serve($file, '--vectors', '5', '--set', 'servers.a.size=2M');
	my $info = status_of($path);
	is $info->{server}, 'a', 'name';
	is $info->{size}, 2 << 20, 'size';
	is $info->{counters}{vectors}, 5, 'vectors';
	end($server);
	($status, $out, $err) = belfry('check', $file);
	like $out, qr/^servers:\n  a:\n    path: \Q$path\E\n    size: 1M\n    vectors: 2\n/m,
		'belfry check knows servers';
};

subtest 'bad command lines and configurations' => sub {
	my $two = config('two.yaml', "servers:\n  a: {}\n  b: {}\n");
	my $none = config('none.yaml', "links:\n  a: {}\n");
	for (
		[[$none], 3, "$none: has no server under servers:"],
		[[$none, qw(-l 1M --name b)], 3, "$none: has no server b under servers:"],
		[[$two, qw(--name c)], 3, "$two: has no server c under servers:"],
		[[qw(--frobnicate)], 2, "unknown option '--frobnicate'; try"],
		[[qw(-S)], 2, "option '-S' needs a value"],
		[[$two], 2, 'serve: there are several servers; which one? --name'],
		[[qw(--name a/b)], 3, "servers.a/b: a name is 1 to 32 letters"],
		[[qw(-l 3M)], 3, 'servers.ivshmem.size 3M: not a power of two; 4M would do'],
		[[qw(-n 2049)], 3, 'servers.ivshmem.vectors 2049: at most 2048'],
		[[qw(--mode 0999)], 3, 'servers.ivshmem: mode 0999: expected octal digits'],
		[[qw(--mode 7777)], 3, 'servers.ivshmem: mode 7777: at most 0777'],
		[[qw(-M a -m /tmp)], 3, 'servers.ivshmem: has shm and dir; expected one of them'],
		[[qw(--owner nobody-at-all)], 3, 'owner nobody-at-all: no such user'],
		[[qw(--allow-gids no-such-group)], 3, 'allow_gids no-such-group: no such group'],
		[['--control', "$dir/none/control"], 3, "cannot make the socket $dir/none/control: No such"],
		[['-m', "$dir/none"], 3, "ivshmem: a file in $dir/none: No such"],
		[['-m', $two], 3, "ivshmem: a file in $two: Not a directory"],
		[['-S', '/nonexistent/x'], 3, '/nonexistent/x.lock: No such file'],
		[['-S', '/' . 'x' x 107], 3, 'servers.ivshmem.path /xxx'],
	) {
		my ($args, $want, $message) = @$_;
		($status, $out, $err) = belfry('serve', '-S', $path, @$args);
		is $status, $want, "@$args: status";
		like $err, qr/\Abelfry: \Q$message\E/, "@$args: message";
		is_deeply [glob("$dir/ring*")], [], 'nothing is left behind';
	}
};

# --- the path ---

subtest 'of servers that race for one path, one serves' => sub {
	my @jobs = map { spawn($belfry, 'serve', '-S', $path) } 1 .. 6;
	wait_socket();
	my @busy;
	for my $job (@jobs) {
		next if waiting($job);
		($status, $out, $err) = finish($job);
		push @busy, $status;
		like $err, qr/^belfry: \Q$path\E\.lock: (process \d+|another process) serves there$/,
			'the loser says who serves';
	}
	is_deeply \@busy, [(7) x 5], 'the others end with status 7';
	ok joins(), 'clients join the one that is left';
	my ($one) = grep { !exists $_->{ended} } @jobs;
	($status) = end($one);
	is $status, 0, 'it ends well';
};

subtest 'a stale socket is replaced' => sub {
	my $server = serve('-S', $path);
	kill 'KILL', $server->{pid};
	finish($server);
	ok -S $path, 'a server that was killed leaves its socket';
	$server = serve('-S', $path);
	ok joins(), 'clients join the next';
	end($server);
	ok !-e $path, 'which removes it';
};

subtest 'one that was given away is replaced, too' => sub {
	# As in our unit: root, who may not write to all files.
	my @unit = ('setpriv', '--bounding-set=-dac_override', $belfry, 'serve', '-S', $path);
	for (0, 1) {
		my $job = spawn(@unit, qw(--owner 65534 --mode 0600));
		ok wait_for_error($job, qr/ clients are there; /), $_ ? 'the next starts' : 'one starts';
		kill $_ ? 'TERM' : 'KILL', $job->{pid};
		finish($job);
	}
	my $other = IO::Socket::UNIX->new(Local => $path, Listen => 1);
	chown 65534, -1, $path;
	chmod 0600, $path;
	($status, $out, $err) = command(@unit);
	is $status, 7, 'what no server has left is not: status';
	is $err, "belfry: $path exists: stop its server or remove it\n", 'message';
	ok -S $path, 'it is there';
	unlink $path;
};

subtest 'what is another program\'s is left alone' => sub {
	my $other = IO::Socket::UNIX->new(Local => $path, Listen => 1);
	($status, $out, $err) = belfry('serve', '-S', $path);
	is $status, 7, 'a live socket: status';
	is $err, "belfry: $path exists: stop its server or remove it\n", 'message';
	$other->blocking(0);
	ok !$other->accept, 'it has not even noticed';
	ok(IO::Socket::UNIX->new(Peer => $path), 'it still listens');
	unlink $path;
	config('ring.sock', "precious\n");
	($status, $out, $err) = belfry('serve', '-S', $path);
	is $status, 7, 'a plain file: status';
	is slurp($path), "precious\n", 'it is there';
	unlink $path;
};

subtest 'a server that is refused removes no files of others' => sub {
	my $other = IO::Socket::UNIX->new(Local => $path, Listen => 1);
	my $pid = config('theirs.pid', "1\n");
	my $metrics = config('theirs.prom', "# HELP belfry_server_capacity\n");
	my @files = ('-p', $pid, '--metrics', $metrics);
	($status, $out, $err) = belfry('serve', '-S', $path, @files);
	is $status, 7, 'the path is taken: status';
	is slurp($pid) . slurp($metrics), "1\n# HELP belfry_server_capacity\n", 'files stay';
	($status, $out, $err) = belfry('serve', '-S', "$path.2", '--control', $path, @files);
	is $status, 7, 'the control socket is taken: status';
	is slurp($pid) . slurp($metrics), "1\n# HELP belfry_server_capacity\n", 'files stay';
	unlink $path, $pid, $metrics;
};

subtest 'whoever monitors may read the files, whatever the umask' => sub {
	my $before = umask 077;
	my $server = serve('-S', $path, '-p', "$dir/pid", '--metrics', "$dir/prom");
	umask $before;
	is sprintf('%o', (stat "$dir/$_")[2] & 07777), '644', $_ for 'pid', 'prom';
	is sprintf('%o', (stat $path)[2] & 07777), '700', 'the socket has what the umask leaves';
	end($server);
};

# A server that may not write to @file, as it says.
sub cannot_be {
	my ($name, $what, $option, $file, $why) = @_;
	($status, $out, $err) = belfry('serve', '-S', $path, $option, "$dir/file");
	is $status, 3, "$name: status";
	is $err, "belfry: $dir/$file: cannot be the $what: it is $why\n", "$name: message";
	ok !-e $path && !-e "$path.lock", "$name: nothing was served";
}

subtest 'what is in the place of a file to write is left alone' => sub {
	my $precious = config('precious', "precious\n");
	for (['-p', 'pid file', "notes\n", "1\n2\n", '7', "123456789012345\n"],
		['--metrics', 'metrics file', "notes\n", "# HELP other_\n", "1\n", '# HELP']) {
		my ($option, $what, @texts) = @$_;
		for my $file ('file', 'file.new') {
			my @how = ($what, $option, $file);
			for my $text (@texts) {
				config($file, $text);
				cannot_be('a text', @how, 'there, with something else in it');
				is slurp("$dir/$file"), $text, 'it is as it was';
			}
			unlink "$dir/$file";
			mkfifo "$dir/$file", 0600;
			cannot_be('a FIFO', @how, 'there, and no regular file');
			ok -p "$dir/$file", 'it is there';
			unlink "$dir/$file";
			for my $to ($precious, "$dir/nowhere") {
				symlink $to, "$dir/$file";
				cannot_be('a link', @how, 'a symbolic link');
				is readlink "$dir/$file", $to, 'it is there';
				unlink "$dir/$file";
			}
			mkdir "$dir/$file";
			cannot_be('a folder', @how, 'there, and no regular file');
			rmdir "$dir/$file";
		}
	}
	is slurp($precious), "precious\n", 'what the links named is as it was';
	unlink $precious;
	SKIP: {
		skip 'making a device takes root', 4 if system("mknod $dir/file c 1 7 2> /dev/null") != 0;
		cannot_be('a device', 'pid file', '-p', 'file', 'there, and no regular file');
		ok -c "$dir/file", 'it is there';
		unlink "$dir/file";
	}
};

subtest 'files that a server has left are replaced' => sub {
	my @files = ('-p', "$dir/pid", '--metrics', "$dir/prom");
	my $server = serve('-S', $path, @files);
	kill 'KILL', $server->{pid};
	finish($server);
	ok -s "$dir/pid" && -s "$dir/prom", 'a server that was killed leaves them';
	config("$_.new", '') for 'pid', 'prom';
	for (0, 1) {
		$server = serve('-S', $path, @files);
		is slurp("$dir/pid"), "$server->{pid}\n", 'the pid file is written';
		like slurp("$dir/prom"), qr/^# HELP belfry_/, 'the metrics are, too';
		end($server);
		is_deeply [glob "$dir/{pid,prom}*"], [], 'and all are removed';
		config($_, '') for 'pid', 'prom'; # empty ones will do
	}
	unlink "$dir/pid", "$dir/prom";
};

subtest 'what comes in the place of the metrics is left alone, too' => sub {
	my $server = serve('-S', $path, '--metrics', "$dir/prom", qw(--metrics-interval 1));
	unlink "$dir/prom";
	config('prom', "another's\n");
	ok wait_for_error($server, qr/metrics: .*it is there, with something else/), 'it is said';
	end($server);
	is slurp("$dir/prom"), "another's\n", 'it is there';
	unlink "$dir/prom";
};

subtest 'a link in the place of the socket or the lock is left alone' => sub {
	my $precious = config('precious', "precious\n");
	symlink $precious, "$path.lock";
	($status, $out, $err) = belfry('serve', '-S', $path);
	is $status, 3, 'the lock: status';
	like $err, qr/^belfry: \Q$path\E\.lock: Too many levels of symbolic links$/, 'message';
	ok -l "$path.lock" && slurp($precious) eq "precious\n", 'link and file are as they were';
	unlink "$path.lock";

	my $other = serve('-S', "$dir/other");
	for my $to ("$dir/other", "$dir/nowhere") {
		symlink $to, $path;
		($status, $out, $err) = belfry('serve', '-S', $path);
		is $status, 7, 'the socket: status';
		is $err, "belfry: $path exists: stop its server or remove it\n", 'message';
		ok -l $path, 'the link is there';
		unlink $path;
	}
	symlink "$dir/other", $path;
	ok joins(), 'clients may come by a link';
	unlink $path;
	end($other);
};

subtest 'a file that has the lock\'s name is left alone' => sub {
	for my $text ("precious\n", "1\n2\n", '7') {
		config('ring.sock.lock', $text);
		($status, $out, $err) = belfry('serve', '-S', $path);
		is $status, 3, 'status';
		is $err, "belfry: $path.lock: is something else than a server's lock\n", 'message';
		is slurp("$path.lock"), $text, 'it is as it was';
	}
	unlink "$path.lock";
	mkfifo "$path.lock", 0600;
	($status, $out, $err) = belfry('serve', '-S', $path);
	is $status, 3, 'a FIFO: status';
	ok -p "$path.lock", 'it is there';
	unlink "$path.lock";
	for my $text ("4194304\n", '') {
		config('ring.sock.lock', $text);
		my $server = serve('-S', $path);
		is slurp("$path.lock"), "$server->{pid}\n", 'one that a server has left is taken';
		end($server);
	}
};

subtest 'at the end, only what is its own is removed' => sub {
	my $server = serve('-S', $path, '-p', "$dir/pid", '--metrics', "$dir/prom");
	for ('pid', 'prom') {
		unlink "$dir/$_";
		config($_, "another's\n");
	}
	rename $path, "$dir/moved";
	symlink "$dir/moved", $path;
	($status) = end($server);
	is $status, 0, 'status';
	is slurp("$dir/pid") . slurp("$dir/prom"), "another's\nanother's\n", 'files of others stay';
	ok -l $path, 'a link in the place of the socket stays';
	ok !-e "$path.lock" && !-e "$path.control", 'the rest is gone';
	unlink $path, "$dir/moved", "$dir/pid", "$dir/prom";
};

subtest 'owner, group and mode' => sub {
	my $server = serve('-S', $path, qw(--mode 0620 --owner 0 --group 65534));
	my @stat = stat $path;
	is sprintf('%o', $stat[2] & 07777), '620', 'mode';
	is $stat[4], 0, 'owner';
	is $stat[5], 65534, 'group';
	is sprintf('%o', (stat "$path.control")[2] & 07777), '600', 'the control socket is ours alone';
	end($server);
};

SKIP: {
	my @there = ('unshare', '-m', 'sh', '-c', 'mount --bind "$0" /etc/group && exec "$@"',
		config('group', slurp('/etc/group') . 'crowd:x:54321:' . join(',', map { "member$_" } 1 .. 5000) . "\n"));
	skip unable('no other /etc/group can be mounted here'), 1 if (command(@there, 'true'))[0] != 0;
	subtest 'a group of thousands' => sub {
		my $server = spawn(@there, $belfry, 'serve', '-S', $path, qw(--group crowd --allow-gids crowd));
		ok wait_for_error($server, qr/ clients are there; /), 'is known';
		is((stat $path)[5], 54321, 'and has the socket');
		end($server);
	};
}

# --- memory ---

subtest 'memory of any kind' => sub {
	my $server = serve('-S', $path, qw(-l 64G));
	is status_of($path)->{size}, 64 << 30, '64 GiB';
	end($server);
	my $shm = "belfry-test-$$";
	$server = serve('-S', $path, '-l', '1M', '-M', $shm);
	is -s "/dev/shm/$shm", 1 << 20, 'POSIX shared memory is made';
	end($server);
	ok !-e "/dev/shm/$shm", '... and removed';
	open my $there, '>', "/dev/shm/$shm";
	truncate $there, 1 << 20;
	$server = serve('-S', $path, '-l', '1M', '-M', $shm);
	end($server);
	ok -e "/dev/shm/$shm", 'what was there already stays';
	($status, $out, $err) = belfry('serve', '-S', $path, '-l', '2M', '-M', $shm);
	is $status, 3, 'another size: status';
	is $err, "belfry: ivshmem: shm $shm is there with 1048576 bytes, not 2097152\n", 'message';
	unlink "/dev/shm/$shm";
	($status, $out, $err) = belfry('serve', '-S', $path, '-M', $shm, qw(--allow-uids nobody-at-all));
	is $status, 3, 'a mistake elsewhere: status';
	ok !-e "/dev/shm/$shm", 'none is left behind';
	$server = serve('-S', $path, '-l', '1M', '-m', $dir);
	is status_of($path)->{size}, 1 << 20, 'a file in a directory';
	end($server);
	is_deeply [glob("$dir/belfry-*")], [], '... that has no name';
};

# A server whose memory is a file on hugetlbfs, that only it can see.
sub serve_huge {
	return ('unshare', '-m', 'sh', '-c', "mount -t hugetlbfs none $dir/huge && exec \"\$@\"", 'sh',
		$belfry, 'serve', '-S', $path, '-m', "$dir/huge", @_);
}

my $pool = '/proc/sys/vm/nr_hugepages';
my $pages = slurp($pool) + 0;

sub set_pool {
	open my $file, '>', $pool or return 0;
	print $file $_[0];
	return close($file) && slurp($pool) == $_[0];
}

SKIP: {
	mkdir "$dir/huge";
	skip unable('no huge pages of 2 MiB can be set aside, or hugetlbfs mounted here'), 1
		if !set_pool(4) || slurp('/proc/meminfo') !~ /^Hugepagesize: +2048 kB/m ||
			(command('unshare', '-m', 'mount', '-t', 'hugetlbfs', 'none', "$dir/huge"))[0] != 0;
	subtest 'a directory of hugetlbfs' => sub {
		my $server = spawn(serve_huge(qw(-l 4M)));
		wait_socket();
		($status, $out, $err) = belfry('peer', '-S', $path, 'fill 0 4M 0x5a', 'read 0x3ffff0 16');
		is $status, 0, 'a peer uses it' or diag $err;
		like $out, qr/5a 5a 5a/, 'all of it';
		like slurp('/proc/meminfo'), qr/^HugePages_Free: +2$/m, 'in two pages';
		end($server);
		like slurp('/proc/meminfo'), qr/^HugePages_Free: +4$/m, 'that are free again';
		for (
			['16M', 4, "needs 8 huge pages of 2M, and 4 are free; as root: echo 8 > "],
			['1M', 3, "size 1M: less than a page of $dir/huge, 2M\n"],
		) {
			my ($size, $want, $message) = @$_;
			($status, $out, $err) = command(serve_huge('-l', $size));
			is $status, $want, "$size: status";
			like $err, qr/^belfry: ivshmem: \Q$message\E/, 'message';
		}
		is_deeply [glob("$dir/ring*")], [], 'nothing is left behind';
	};
	set_pool($pages);
}

# --- who may join ---

subtest 'users who are not listed are refused, and SIGHUP reads the list again' => sub {
	my $text = "servers:\n  a: { path: $path, allow_uids: '%s' }\n";
	my $file = config('policy.yaml', sprintf $text, '1-9,nobody');
	my $server = serve($file);
	ok !joins(), 'root is refused';
	config('policy.yaml', sprintf $text, '0');
	kill 'HUP', $server->{pid};
	ok wait_for_error($server, qr/the configuration was read again/), 'SIGHUP';
	ok joins(), 'now root may join';
	config('policy.yaml', sprintf $text, 'nobody-at-all');
	kill 'HUP', $server->{pid};
	ok wait_for_error($server, qr/stays as it is: allow_uids nobody-at-all: no such user/),
		'a mistake changes nothing';
	config('policy.yaml', "servers:\n  a: { path: $path, vectors: 7 }\n");
	kill 'HUP', $server->{pid};
	ok wait_for_error($server, qr/a: vectors stays as it is until the server starts anew/),
		'what cannot change is named';
	ok joins(), 'and the server goes on';
	($status, $out, $err) = end($server);
	like $err, qr/^belfry: a: a client was refused: pid \d+, uid 0, gid \d+: neither its user nor its groups are allowed$/m,
		'the log says who was refused';
};

subtest 'groups may join, too' => sub {
	my $server = serve('-S', $path, '--allow-uids', '1', '--allow-gids', (split ' ', $()[0]);
	ok joins(), 'by its group';
	end($server);
};

subtest 'limits on clients' => sub {
	for (['--clients-max', 'there are 2 clients, as many as may be'],
		['--clients-per-uid', 'its user has 2 clients, as many as it may have']) {
		my ($option, $message) = @$_;
		my $server = serve('-S', $path, $option, 2);
		my @inside = map { connect_raw() } 1 .. 2;
		wait_peers(2);
		ok !joins(), "$option: a third is refused";
		close shift @inside;
		wait_peers(1);
		ok joins(), 'when one has left, another may come';
		($status, $out, $err) = end($server);
		like $err, qr/a client was refused: pid \d+, uid 0, gid \d+: \Q$message\E$/m, 'log';
	}
};

# --- clients that do wrong ---

subtest 'clients that connect and close at once do no harm' => sub {
	my $server = serve('-S', $path, '--log-level', 'error');
	for (1 .. 1000) {
		close connect_raw();
	}
	ok joins(), 'others join';
	is wait_peers(0)->{counters}{peers}, 0, 'nobody is left over';
	kill 'HUP', $server->{pid};
	kill 'USR2', $server->{pid};
	select undef, undef, undef, 0.3;
	wait_socket();
	($status, $out, $err) = end($server);
	is $err, '', 'and a log of errors says nothing';
};

subtest 'whoever speaks, half-closes or dies leaves, and nobody misses a thing' => sub {
	my $server = serve('-S', $path, '-n', '4');
	my $load = spawn("$build/clients", qw(--clients=20 --vectors=4 --churn=200 --among-others), $path);
	for my $wrong (
		sub { syswrite $_[0], 'garbage' },
		sub { shutdown $_[0], 1 },
		sub { sysread $_[0], my $part, 13 },
		sub { },
	) {
		for (1 .. 10) {
			my $sock = connect_raw();
			$wrong->($sock);
			select undef, undef, undef, 0.002;
			close $sock;
		}
	}
	($status, $out, $err) = finish($load);
	is $status, 0, 'the others have had every message and every ring' or diag $err;
	($status, $out, $err) = end($server);
	like $err, qr/^belfry: ivshmem: peer \d+ dropped: it sent something$/m, 'log';
};

subtest 'who reads nothing, or a byte a second, is dropped when the time is over' => sub {
	my $server = serve('-S', $path, qw(-n 64 --stall 1));
	my @slow = map { connect_raw() } 1 .. 2;
	wait_peers(2);
	# A crowd that these two are to be told of: more than a socket takes.
	my $load = spawn("$build/clients", qw(--clients=8 --vectors=64), $path);
	for (1 .. 30) {
		sysread $slow[1], my $byte, 1;
		select undef, undef, undef, 1;
		last if slurp("$dir/err.$server->{n}") =~ /(dropped.*){2}/s;
	}
	($status, $out, $err) = finish($load);
	is $status, 0, 'the crowd was told that they have come, and that they have left'
		or diag $err;
	($status, $out, $err) = end($server);
	is scalar(() = $err =~ /peer [01] dropped: it has read nothing for 1 s, \d+ messages wait/g), 2,
		'both are dropped' or diag $err;
};

subtest 'who reads slowly, but reads, stays' => sub {
	my $server = serve('-S', $path, qw(-n 64 --stall 1));
	my $slow = connect_raw();
	wait_peers(1);
	my $load = spawn("$build/clients", qw(--clients=8 --vectors=64 --among-others), $path);
	for (1 .. 15) {
		sysread $slow, my $message, 8;
		select undef, undef, undef, 0.2;
	}
	my $counters = wait_peers(1)->{counters};
	is $counters->{stalled}, 1, 'more waits for it than its socket takes, for three seconds';
	is $counters->{dropped}, 0, 'but it is there';
	($status) = finish($load);
	is $status, 0, 'the others have had every message';
	end($server);
};

subtest 'who reads as fast as it can stays, however many come at once' => sub {
	my $server = serve('-S', $path, qw(-n 2048 --queue 4k));
	($status, $out, $err) = command("$build/clients", qw(--clients=6 --vectors=2048), $path);
	is $status, 0, 'each has had every message' or diag $err;
	is wait_peers(0)->{counters}{dropped}, 0, 'nobody was dropped';
	end($server);
};

subtest 'who lags too many bytes behind and reads nothing is dropped' => sub {
	my $server = serve('-S', $path, qw(-n 1000 --queue 4k));
	my $silent = connect_raw();
	wait_peers(1);
	my @others = map { connect_raw() } 1 .. 2;
	ok wait_for_error($server, qr/peer 0 dropped: it does not read, \d+ messages wait/), 'log';
	end($server);
};

subtest 'when descriptors are used up, newcomers are refused and those inside go on' => sub {
	my $server = spawn('/bin/sh', '-c', "ulimit -n 80; exec $belfry serve -S $path -n 4");
	wait_socket();
	my @inside;
	for (1 .. 20) {
		my $sock = connect_raw();
		push @inside, $sock if $sock;
	}
	ok wait_for_error($server, qr/a client was refused: .*RLIMIT_NOFILE has no descriptors for more than 8$/m), 'log';
	my $there = status_of($path)->{counters};
	is $there->{peers}, 8, 'those who fit are inside';
	cmp_ok $there->{refused}, '>', 0, 'some were refused';
	is $there->{dropped}, 0, 'and nobody was dropped';
	close $_ for @inside;
	wait_peers(0);
	ok joins(), 'later there is room again';
	($status, $out, $err) = end($server);
	is $status, 0, 'status';
	like $err, qr/; 8 with 4 vectors each fit$/m, 'as had been said';
};

# --- what it says of itself ---

subtest 'status and metrics' => sub {
	my $server = serve('-S', $path, '-n', '2', '--metrics', "$dir/metrics", qw(--metrics-interval 1));
	my @inside = map { connect_raw() } 1 .. 2;
	my $info = wait_peers(2);
	for (1 .. 500) { # the last may be there, and not have been told yet
		last if !grep { $_->{queued} } @{ $info->{peers} };
		select undef, undef, undef, 0.01;
		$info = status_of($path);
	}
	is scalar @{ $info->{peers} }, 2, 'a peer each';
	my $peer = $info->{peers}[1];
	is $peer->{id}, 1, 'id';
	is $peer->{pid}, $$, 'pid';
	is $peer->{uid}, 0, 'uid';
	is $peer->{vectors}, 2, 'vectors';
	is $peer->{queued}, 0, 'queue';
	cmp_ok abs($peer->{joined} - time), '<', 60, 'when it joined';
	is $info->{counters}{joined}, 2, 'counters';
	for (1 .. 1000) {
		last if slurp("$dir/metrics") =~ /_peers\{server="ivshmem"\} 2$/m;
		select undef, undef, undef, 0.01;
	}
	like slurp("$dir/metrics"), qr/^# TYPE belfry_server_joined_total counter\nbelfry_server_joined_total\{server="ivshmem"\} 2$/m,
		'metrics';
	end($server);
	ok !-e "$dir/metrics", 'the file goes with the server';
	($status, $out, $err) = belfry('serve', '--status', $path);
	is $status, 5, 'no server: status';
	is $err, "belfry: $path: nobody listens, start the ivshmem server\n", 'message, which names what was given';
	IO::Socket::UNIX->new(Local => "$path.control", Listen => 1) or die; # and it is closed, but stays
	is_deeply [belfry('serve', '--status', $path)], [$status, $out, $err], 'the same with a socket left behind';
	unlink "$path.control";
};

subtest 'a control socket at another place is asked there' => sub {
	my $server = serve('-S', $path, '--control', "$dir/a.ctl");
	is status_of("$dir/a.ctl")->{path}, $path, 'by its path';
	($status, $out, $err) = belfry('serve', '--status', $path);
	is $status, 5, 'at the socket there is none: status';
	is $out, '', 'nothing is printed';
	is $err, "belfry: $path: no control socket: belfry serve --control says where it is\n", 'message';
	is status_of("$dir/a.ctl")->{counters}{joined}, 0, 'nobody has joined for that';
	unlink "$path.lock";
	is_deeply [belfry('serve', '--status', $path)], [$status, $out, $err], "nor has another program's";
	end($server);
	$server = serve('-S', $path);
	is status_of("$path.control")->{path}, $path, 'the usual one may be named, too';
	end($server);
};

subtest 'a server that says nothing is not waited for' => sub {
	my $server = serve('-S', $path);
	kill 'STOP', $server->{pid};
	($status, $out, $err) = belfry('serve', '--status', $path);
	is $status, 5, 'status';
	is $err, "belfry: $path.control: the server says nothing\n", 'message';
	kill 'CONT', $server->{pid};
	end($server);
};

subtest 'without a file, none is said to have been read' => sub {
	my $server = serve('-S', $path);
	kill 'HUP', $server->{pid};
	ok wait_for_error($server, qr/there is no FILE to read again/), 'SIGHUP';
	kill 'USR2', $server->{pid};
	ok wait_for_error($server, qr/(?:clients are there.*){2}/s), 'SIGUSR2';
	(undef, undef, $err) = end($server);
	unlike $err, qr/configuration was read/, 'in neither case';
};

subtest 'who is started to ignore SIGINT, as a script\'s background is, does' => sub {
	local $SIG{INT} = 'IGNORE';
	my $server = serve('-S', $path);
	kill 'INT', $server->{pid};
	select undef, undef, undef, 0.3;
	ok !Serve::ended($server->{pid}), 'it goes on';
	($status) = end($server);
	is $status, 0, 'SIGTERM ends it';
	$SIG{INT} = 'DEFAULT';
	$server = serve('-S', $path);
	kill 'INT', $server->{pid};
	is +(finish($server))[0], 0, 'else, SIGINT does';
};

subtest 'the background' => sub {
	($status, $out, $err) = belfry('serve', '-S', $path, '--daemonize', '-p', "$dir/pid");
	is $status, 0, 'it returns when clients can connect';
	ok joins(), 'they can';
	my $pid = slurp("$dir/pid") + 0;
	kill 'TERM', $pid;
	for (1 .. 500) {
		last if !-e $path;
		select undef, undef, undef, 0.01;
	}
	ok !-e "$dir/pid", 'SIGTERM ends it';
	($status, $out, $err) = belfry('serve', '-S', '/nonexistent/x', '--daemonize');
	is $status, 3, 'a mistake is told before';
	like $err, qr/No such file/, 'to whoever started it';
};

# --- where the log goes ---

# A server whose log we read, or not.
sub serve_with_reader {
	mkfifo "$dir/log", 0600;
	sysopen my $reader, "$dir/log", O_RDWR | O_NONBLOCK;
	my $server = spawn('sh', '-c', 'exec 2> "$0"; exec "$@"', "$dir/log", $belfry, 'serve', '-S', $path);
	wait_socket();
	unlink "$dir/log";
	return ($server, $reader);
}

subtest 'the server outlives whoever reads its log' => sub {
	my ($server, $reader) = serve_with_reader();
	close $reader;
	my $inside = connect_raw();
	is wait_peers(1)->{counters}{joined}, 1, 'clients join';
	($status) = end($server);
	is $status, 0, 'it ends well';
	is_deeply [glob("$dir/ring*")], [], 'no file is left behind';
};

subtest 'clients do not wait for whoever reads the log' => sub {
	my ($server, $reader) = serve_with_reader();
	for (1 .. 1200) {
		close connect_raw();
	}
	is status_of($path)->{server}, 'ivshmem', 'the server answers';
	is wait_peers(0)->{counters}{peers}, 0, 'and has seen all of them leave';
	my $lost = qr/^belfry: lines of the log that were lost: [1-9]\d*\nbelfry: ivshmem: peer /m;
	my $said = '';
	sysread $reader, $said, 1 << 20;
	close connect_raw();
	for (1 .. 500) {
		last if $said =~ $lost;
		select undef, undef, undef, 0.01;
		sysread $reader, $said, 1 << 20, length $said;
	}
	like $said, $lost, 'how many lines were lost is in the log';
	end($server);
};

sub mistake_is_read {
	my ($pid, $file) = @_;
	my $sock = connect_raw();
	ok joins(), 'a client joins';
	syswrite $sock, 'garbage';
	wait_peers(0);
	config($file, "servers:\n  a: { path: $path, allow_uids: nobody-at-all }\n");
	kill 'HUP', $pid;
}

subtest 'the journal is told levels' => sub {
	my $file = config('log.yaml', "servers:\n  a: { path: $path }\n");
	my $server = spawn('sh', '-c',
		"JOURNAL_STREAM=\$(stat -L -c %d:%i /dev/fd/2) exec $belfry serve $file");
	wait_socket();
	mistake_is_read($server->{pid}, 'log.yaml');
	ok wait_for_error($server, qr/stays as it is/), 'a mistake';
	(undef, undef, $err) = end($server);
	like $err, qr/^<6>a: peer 0 has joined: pid /m, 'info';
	like $err, qr/^<4>a: peer \d dropped: it sent something$/m, 'warning';
	like $err, qr/^<3>the configuration stays as it is: allow_uids nobody-at-all: no such user$/m,
		'error';
	is_deeply [grep { !/^<\d>\S/ } split /\n/, $err], [], 'every line has one';
};

SKIP: {
	mkdir "$dir/dev";
	config('dev/null', '');
	my $log = IO::Socket::UNIX->new(Local => "$dir/dev/log", Type => SOCK_DGRAM);
	my @private = ('unshare', '-m', 'sh', '-c',
		"mount --bind /dev/null $dir/dev/null && mount --rbind $dir/dev /dev && exec \"\$@\"", 'sh');
	skip unable('mounts are not permitted'), 1 if (command(@private, 'true'))[0] != 0;
	subtest 'in the background, syslog is told everything' => sub {
		my $file = config('log.yaml', "servers:\n  a: { path: $path, pid_file: $dir/pid }\n");
		($status, $out, $err) = command(@private, $belfry, 'serve', '--daemonize', $file);
		is $status, 0, 'it starts' or diag $err;
		my $pid = slurp("$dir/pid") + 0;
		mistake_is_read($pid, 'log.yaml');
		my $said = '';
		for (1 .. 500) {
			$said .= "$_\n" while defined $log->recv($_, 2048, Socket::MSG_DONTWAIT());
			last if $said =~ /stays as it is/;
			select undef, undef, undef, 0.01;
		}
		like $said, qr/^<30>.*belfry\[$pid\]: a: peer 0 has joined: pid /m, 'info, of a daemon';
		like $said, qr/^<28>.*: a: peer \d dropped: it sent something$/m, 'warning';
		like $said, qr/^<27>.*: the configuration stays as it is: allow_uids nobody-at-all/m, 'error';
		close connect_raw() for 1 .. 1200;
		is status_of($path)->{server}, 'a', 'clients do not wait for its reader';
		is wait_peers(0)->{counters}{peers}, 0, 'all of them have left';
		my $lost = qr/^<28>.*: lines of the log that were lost: [1-9]\d*\n<30>.*: a: peer /m;
		for (1 .. 500) {
			$said .= "$_\n" while defined $log->recv($_, 2048, Socket::MSG_DONTWAIT());
			last if $said =~ $lost;
			close connect_raw();
			select undef, undef, undef, 0.01;
		}
		like $said, $lost, 'how many lines were lost is in the log';
		kill 'TERM', $pid;
		for (1 .. 500) {
			last if !-e $path;
			select undef, undef, undef, 0.01;
		}
		ok !-e $path, 'SIGTERM ends it';
	};
}

done_testing;
