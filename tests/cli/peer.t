#!/usr/bin/env perl
# tests/cli/peer.t - belfry peer: its commands, its errors, its prompt
#
# The server is tests/interop/ivshmem_server.py, which knows nothing of belfry; servers that
# do wrong are a few lines below.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Belfry;
use Fcntl;
use IO::Handle;
use IO::Socket::UNIX;
use JSON::PP;
use POSIX 'mkfifo';
use Socket;
use Terminal;
use Test::More;

my $socket = "$dir/socket";
my ($status, $out, $err);

sub stop {
	my ($job) = @_;
	kill 'TERM', $job->{pid};
	return finish($job);
}

# Run belfry peer with these commands.
sub peer { return belfry('peer', $socket, @_) }

sub is_run {
	my ($name, $want_status, $want_out, $want_err, @args) = @_;
	($status, $out, $err) = belfry('peer', @args);
	subtest $name => sub {
		is $status, $want_status, 'status';
		is $out, $want_out, 'standard output';
		is $err, $want_err, 'standard error';
	};
}

# Commands that must fail, with this message.
sub fails {
	my ($name, $want_status, $message, @commands) = @_;
	is_run $name, $want_status, '', "belfry: $message\n", $socket, @commands;
}

# A command line that must be refused before there is a server.
sub refused {
	my ($message, @args) = @_;
	is_run "refused: @args", 2, '', "belfry: $message\n", @args;
}

# What a script on standard input makes of it.
sub feed {
	my ($text, @options) = @_;
	my $script = config('script', $text);
	return command('sh', '-c', 'exec "$@" < "$0"', $script, $belfry, 'peer', @options, $socket);
}

# --- the command line ---------------------------------------------------------------------

($status, $out, $err) = belfry('peer', '--help');
is $status, 0, '--help: status';
like $out, qr/^usage: belfry peer \[OPTION\]\.\.\. SOCKET \[COMMAND\]\.\.\.$/m, '--help: usage';
like $out, qr/^ring PEER\|all \[VECTOR\|all\] +ring a doorbell/m, '--help: the commands';
is $err, '', '--help: nothing else';
is +(belfry('help', 'peer'))[1], $out, 'belfry help peer says the same';

refused q(peer: expected a SOCKET; try 'belfry help peer');
refused q(unknown option '-x'; try 'belfry help peer'), '-x', 's', 'list';
refused q(unknown option '--set'; try 'belfry help peer'), '--set', 's';
refused q(option '--timeout' needs a value; try 'belfry help peer'), '--timeout';
refused q(--timeout 5x: expected a time such as 500ms or 10s; try 'belfry help peer'),
	'--timeout', '5x', 's';
refused q(--timeout 0: expected a time such as 500ms or 10s; try 'belfry help peer'),
	'--timeout', '0', 's';
refused q(--vectors 0: expected 1 to 2048; try 'belfry help peer'), '--vectors', '0', 's';
refused q(--vectors 2049: expected 1 to 2048; try 'belfry help peer'), '--vectors', '2049', 's';
refused q(there is no command 'rign'; try 'help'), '/nowhere', 'list', 'rign 0';
refused q(ring: expected 'ring PEER|all [VECTOR|all]'), '/nowhere', 'ring';
for (['ring', '0'], ['ring', '0', '1']) {
	refused qq(ring: expected 'ring PEER|all [VECTOR|all]'\nbelfry: each command is one argument: quote it, as 'ring 0'),
		'/nowhere', @$_;
}
refused q(int: expected 'int PEER VECTOR|all, all'), '/nowhere', 'int 1 2 3';
refused q(list: expected 'list'), '/nowhere', 'list all';
refused q(a quote is not closed), '/nowhere', 'write 0 "abc';

# --- servers that are not there, or do wrong ----------------------------------------------

# A server that answers each client by calling @answer with the socket.
sub wrong_server {
	my ($answer) = @_;
	unlink "$dir/wrong";
	my $listener = IO::Socket::UNIX->new(Local => "$dir/wrong", Listen => 5) or die "listen: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		my $client = $listener->accept;
		$answer->($client);
		POSIX::_exit(0);
	}
	return $pid;
}

sub with_wrong_server {
	my ($name, $message, $answer) = @_;
	my $pid = wrong_server($answer);
	is_run $name, 5, '', "belfry: $dir/wrong: $message\n", '--timeout', '300ms', "$dir/wrong", 'list';
	kill 'KILL', $pid;
	waitpid $pid, 0;
}

my $message = sub { return pack 'q<', $_[0] };
my $say = sub {
	my @values = @_;
	return sub { syswrite $_[0], join '', map { $message->($_) } @values; sleep 30 };
};

is_run 'nobody listens', 5, '', "belfry: $dir/no: nobody listens, start the ivshmem server\n",
	"$dir/no", 'list';
is_run 'a path that is too long', 3, '', sprintf("belfry: %s: 120 bytes; a socket's path has at most 107\n",
	'x' x 120), 'x' x 120, 'list';
with_wrong_server 'a server that says nothing',
	'server is silent or too slow: its version has not come in 300 ms', sub { sleep 30 };
with_wrong_server 'a server that stops in the middle of a message',
	'server is silent or too slow: the rest of its version has not come in 300 ms',
	sub { syswrite $_[0], "\0\0\0"; sleep 30 };
with_wrong_server 'another version',
	'incompatible version: server speaks version 7, this is for version 0', $say->(7);
with_wrong_server 'garbage',
	"incompatible version: server starts with ${\unpack 'q<', 'lo, what'}, which is no version " .
	'(QEMU before 2.5 sent none)', sub { syswrite $_[0], "lo, what here"; sleep 30 };
with_wrong_server 'no descriptor with the memory', 'server sent no descriptor with the memory',
	$say->(0, 3, -1);
with_wrong_server 'an ID that is none', 'server gave us the ID 65536: IDs are 0 to 65535',
	$say->(0, 65536);
with_wrong_server 'a server that hangs up', 'server hung up before our ID',
	sub { syswrite $_[0], $message->(0) };

subtest 'a server that accepts nobody' => sub {
	my $listener = IO::Socket::UNIX->new(Local => "$dir/full", Listen => 1) or die "listen: $!";
	my @queue;
	for (1 .. 20) {
		socket my $s, AF_UNIX, SOCK_STREAM, 0 or die "socket: $!";
		fcntl $s, F_SETFL, O_NONBLOCK;
		last if !connect $s, pack_sockaddr_un("$dir/full");
		push @queue, $s;
	}
	is_run 'it is given up', 5, '',
		"belfry: $dir/full: no answer from the ivshmem server\n", '--timeout', '300ms',
		"$dir/full", 'list';
};

# --- commands -----------------------------------------------------------------------------

my $running = foreign_server(2);

# The ID of who joins next: the server counts up.
sub next_id {
	my ($id) = (peer('info'))[1] =~ /^id (\d+)$/m;
	return $id + 1;
}
my $me;

is_run 'alone on a link', 0, "id 0\nvectors 2\npeers 0\nmemory 1048576\nserver joined\nrings 0\n" .
	"heard 0\nwaiting 0\n", '', $socket, 'info', 'list';
is_run 'memory stays while the server does', 0,
	"00000ffe  00 00 68 69 0a 00 41 ff  00 00                    |..hi..A...|\n", '',
	$socket, 'write 4k "hi\n\0" 65 0xff; read 0xffe 10 # all of it';
is_run 'a whole row', 0, "00001000  68 69 0a 00 41 ff 00 00  00 00 00 00 00 00 00 00  |hi..A...........|\n",
	'', $socket, 'hexdump 4k 16';
$me = next_id();
is_run 'a ring at ourselves', 0, "vector 1: 3\n", '', $socket, "ring $me 1",
	"int $me 1; ring $me 1", 'wait 1';
$me = next_id();
is_run 'all vectors of one', 0, "2 doorbells rung\nvector 0: 1\nvector 1: 1\n", '',
	$socket, "ring $me all", 'wait --count 2';
is_run 'ring all rings the others', 0, "0 doorbells rung\n", '', $socket, 'ring all';
is_run 'a wait that ends in vain', 6, '', "belfry: wait: not rung in time\n",
	$socket, 'wait any --timeout 20ms', 'list';
$me = next_id();
is_run 'not often enough', 6, "vector 0: 1\n", "belfry: wait: not rung in time\n",
	$socket, "ring $me", 'wait 0 --count 2 --timeout 20ms';
is_run 'quit ends a script', 0, '', '', $socket, 'sleep 1ms', 'quit; list', 'ring 99';
is_run '-S as QEMU has it', 0, '', '', '-S', $socket, '-v', 'list';
$me = next_id();
is_run 'fewer vectors are wanted', 0, "our_id = $me\n  vector 0 is enabled (fd=8)\n", '',
	'--vectors', '1', $socket, 'dump';
is_run 'help for one command', 0,
	"sleep TIME                                       do nothing: 500ms, 10s, 2m\n", '',
	$socket, 'help sleep';

fails 'nobody of that ID', 1, 'ring: peer 99 is not on the link', 'ring 99', 'list';
$me = next_id();
fails 'no such vector', 1, "ring: peer $me has no vector 2: it has 2, from 0 on", "ring $me 2";
fails 'no such vector to wait for', 1, 'wait: vector 2: we have 2, from 0 on', 'wait 2';
fails 'an ID that is none', 2, q(ring: 'x': expected a peer's ID or all), 'ring x';
fails 'an ID too high', 2, q(ring: '65536': at most 65535), 'ring 65536';
fails 'a vector that is none', 2, q(int: '-1': expected a vector or all), 'int 0 -1';
fails 'a wait without a time', 2, q(wait: '--timeout': expected a value behind it), 'wait --timeout';
fails 'a wait of a mistyped option', 2, q(wait: '--tmeout': expected --timeout TIME or --count N),
	'wait --tmeout';
fails 'a wait of a wrong time', 2, q(wait: '5y': expected a time such as 500ms or 10s),
	'wait --timeout 5y';
fails 'a wait of another option', 2, q(wait: '--for': expected --timeout TIME or --count N),
	'wait 0 --for 5s';
fails 'a watch of another option', 2, q(watch: '5s': expected --for TIME), 'watch 5s';
fails 'a sleep without a time', 2, q(sleep: 'long': expected a time such as 500ms or 10s), 'sleep long';
fails 'read beyond the end', 1,
	'read: offset 1048570, length 10: the shared memory has 1048576 bytes', 'read 1048570 10';
fails 'write beyond the end', 1,
	'write: offset 1048575, length 2: the shared memory has 1048576 bytes', 'write 1048575 1 2';
fails 'fill beyond the end changes nothing', 1,
	'fill: offset 0, length 1048577: the shared memory has 1048576 bytes', 'fill 0 1048577 1';
fails 'an offset that wraps', 1,
	'read: offset 18446744073709551615, length 2: the shared memory has 1048576 bytes',
	'read 0xffffffffffffffff 2';
fails 'an offset that is none', 2, q(read: 'a': expected an offset), 'read a 1';
fails 'half a range', 2, q(checksum: '1': expected OFFSET LENGTH), 'checksum 1';
fails 'a byte too large', 2, q(fill: '256': at most 255), 'fill 0 1 256';
fails 'text without quotes', 2,
	q(write: 'hello': expected a byte, 0 to 255; text stands in quotes), 'write 0 hello';
fails 'a quoted number', 2, q(write: '0': expected an offset), 'write "0" 1';
fails 'help for no command', 2, q(there is no command 'nope'; try 'help'), 'help nope';

# --- files --------------------------------------------------------------------------------

subtest 'memory goes to a file and comes back' => sub {
	my $text = join '', map { chr($_ % 251) } 1 .. 200_000;
	my $file = config('in', $text);
	($status, $out, $err) = peer("load $file 1000", "save $dir/out 1000 200000", 'checksum 1000 200000',
		"save $dir/all", 'fill 0 1M 0');
	is $status, 0, 'status' or diag $err;
	is Belfry::slurp("$dir/out"), $text, 'the same';
	is -s "$dir/all", 1 << 20, 'all of it without a range';
	my ($crc) = (command('python3', '-c',
		"import zlib; print('%08x' % zlib.crc32(open('$file', 'rb').read()))"))[1];
	is $out, $crc, 'the checksum is that of zlib';
};

subtest 'files that do not work' => sub {
	my $big = config('big', 'x' x 100);
	fails 'a file that does not fit', 1,
		'load: offset 1048500, length 100: the shared memory has 1048576 bytes', "load $big 1048500";
	fails 'no such file', 1, "load: $dir/none: No such file or directory", "load $dir/none";
	fails 'a folder', 1, "load: $dir: Is a directory", "load $dir";
	fails 'nowhere to save', 1, "save: $dir/no/where: No such file or directory", "save $dir/no/where";
	fails 'a full disk', 1, 'save: /dev/full: No space left on device', 'save /dev/full 0 4k';
	($status, $out, $err) = command('sh', '-c', 'exec "$0" peer "$1" list info > /dev/full', $belfry, $socket);
	is $status, 1, 'standard output is full: status';
	is $err, "belfry: standard output: No space left on device\n", 'standard output is full: message';
};

subtest 'what standard input has behind a NUL is not skipped' => sub {
	my $script = config('nul', "write 0 65\nread 0 1\nread 0 1\0 garbage\nwrite 0 66\n");
	($status, $out, $err) = command('sh', '-c', 'exec "$0" peer "$1" < "$2"', $belfry, $socket, $script);
	is $status, 1, 'status';
	is scalar(() = $out =~ /^00000000  41/mg), 1, 'the lines before are run';
	is $err, "belfry: standard input: a line has a NUL\n", 'message';
};

subtest 'a file stays as it is when the memory cannot be read' => sub {
	my ($shm, $file) = ("belfry-peer-$$", config('saved', "precious\n"));
	my $other = spawn($belfry, 'serve', '-S', "$dir/shrinks", '-l', '1M', '-M', $shm);
	select undef, undef, undef, 0.01 until -S "$dir/shrinks.control";
	my $us = spawn($belfry, 'peer', "$dir/shrinks", 'info', 'sleep 500ms', "save $file 8k 4k");
	my $json = spawn($belfry, 'peer', '--json', "$dir/shrinks", 'info', 'sleep 500ms', 'read 0 1M');
	ok wait_for($us, qr/^waiting 0$/m) && wait_for($json, qr/"waiting"/), 'they have joined';
	truncate "/dev/shm/$shm", 4096;
	($status, $out, $err) = finish($json);
	is $status, 1, 'for JSON: status';
	unlike $out, qr/"read"/, 'and no object is begun';
	($status, $out, $err) = finish($us);
	is $status, 1, 'status';
	is Belfry::slurp($file), "precious\n", 'the file';
	is +(stop($other))[0], 0, 'the server ends';
};

subtest 'a pipe that holds more than the memory' => sub {
	($status, $out, $err) = command('sh', '-c',
		'head -c 2M /dev/zero | "$0" peer "$1" "load /dev/stdin 4k"', $belfry, $socket);
	is $status, 1, 'status';
	like $err, qr/^belfry: load: offset \d+, length \d+: the shared memory has 1048576 bytes$/, 'message';
};

# --- JSON ---------------------------------------------------------------------------------

subtest 'every command speaks JSON' => sub {
	my $other = spawn($belfry, 'peer', $socket, 'sleep 20s');
	my @commands = ('info', 'write 0 "a\"b"', 'read 0 4', 'fill 0 4 0x61', 'checksum 0 4',
		"save $dir/json 0 4", "load $dir/json 8", 'list', 'ring all', 'wait --timeout 10ms');
	for (1 .. 200) { # until the other is there
		($status, $out, $err) = belfry('peer', '--json', $socket, 'list');
		last if $out =~ /"id"/;
		select undef, undef, undef, 0.05;
	}
	($status, $out, $err) = belfry('peer', '--json', $socket, @commands);
	is $status, 6, 'the last one has waited in vain';
	my @said = map { decode_json($_) } split /\n/, $out;
	is scalar @said, scalar @commands, 'an object each';
	my $id = $said[7]{peers}[0]{id};
	my $own = delete $said[0]{id};
	is_deeply $said[0], { command => 'info', vectors => 2, peers => 1, memory => 1 << 20,
		server => 'joined', rings => 0, heard => 0, waiting => 0 }, 'info';
	is_deeply $said[1], { command => 'write', offset => 0, length => 3 }, 'write';
	is_deeply $said[5], { command => 'save', offset => 0, length => 4 }, 'save';
	is_deeply $said[6], { command => 'load', offset => 8, length => 4 }, 'load';
	is $said[2]{hex}, '61226200', 'memory';
	is $said[4]{crc32}, 'ad98e545', 'checksum';
	is_deeply $said[7], { command => 'list', peers => [ { id => $id, vectors => 2, unheld => 0 } ] }, 'list';
	is_deeply $said[8], { command => 'ring', rings => 2 }, 'ring';
	is_deeply $said[9], { command => 'wait', timed_out => JSON::PP::true, rings => [] }, 'wait';
	ok $own != $id, 'IDs differ';
	kill 'TERM', $other->{pid};
	is +(finish($other))[0], 128 + 15, 'a sleep ends by a signal';
};

# --- watching and waiting while others come and go ----------------------------------------

subtest 'a watch tells of everything, in time' => sub {
	my $watch = spawn($belfry, 'peer', '--json', $socket, 'info', 'watch');
	ok wait_for($watch, qr/"id":(\d+)/), 'it runs';
	my ($id) = Belfry::slurp("$dir/out.$watch->{n}") =~ /"id":(\d+)/;
	peer('sleep 50ms', "ring $id 1");
	wait_for($watch, qr/"left"/);
	kill 'INT', $watch->{pid};
	($status, $out, $err) = finish($watch);
	is $status, 128 + 2, 'Ctrl-C ends it: status';
	my (undef, @said) = map { decode_json($_) } split /\n/, $out;
	my %seen = map { $_->{event} => $_ } @said;
	is_deeply [ sort keys %seen ], [ 'joined', 'left', 'ring' ], 'events';
	is $seen{joined}{peer}, $seen{left}{peer}, 'who joins is who leaves';
	is "$seen{ring}{vector} x$seen{ring}{count}", '1 x1', 'the ring';
	like $_->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, 'when' for @said;
};

subtest 'a watch in plain words, for a while' => sub {
	my $watch = spawn($belfry, 'peer', $socket, 'info', 'watch --for 2s');
	ok wait_for($watch, qr/^id (\d+)/), 'it runs';
	my ($id) = Belfry::slurp("$dir/out.$watch->{n}") =~ /^id (\d+)/;
	peer('sleep 50ms', "ring $id");
	($status, $out, $err) = finish($watch);
	is $status, 0, 'status';
	like $out, qr/^\S+Z peer \d+ joined$/m, 'joins';
	like $out, qr/^\S+Z ring at vector 0, count 1$/m, 'rings';
	like $out, qr/^\S+Z peer \d+ left$/m, 'leaves';
};

subtest 'a wait goes on while others join and leave' => sub {
	my $wait = spawn($belfry, 'peer', $socket, 'info', 'wait 1 --timeout 20s');
	ok wait_for($wait, qr/^id (\d+)/), 'it runs';
	my ($id) = Belfry::slurp("$dir/out.$wait->{n}") =~ /^id (\d+)/;
	peer('list') for 1 .. 5;
	peer("ring $id 0", "ring $id 1");
	($status, $out, $err) = finish($wait);
	is $status, 0, 'status';
	like $out, qr/^vector 1: 1\n\z/m, 'the vector that it waits for';
};

# --- scripts ------------------------------------------------------------------------------

subtest 'commands come from standard input' => sub {
	($status, $out, $err) = feed("# a comment\n\nwrite 0 \"x\"; read 0 1\nring 99999\nlist\n");
	is $status, 2, 'the first failure ends it';
	is $out, "00000000  78" . ' ' x 48 . "|x|\n", 'what came before has run';
	is $err, "belfry: ring: '99999': at most 65535\nbelfry: standard input: stopped at line 4\n", 'where';
	($status, $out, $err) = feed('help sleep');
	is $status, 0, 'the last line may lack its end';
	like $out, qr/^sleep/, 'it has run';
	($status, $out, $err) = feed('');
	is "$status$out$err", '0', 'nothing to do';
	($status, $out, $err) = feed('write 0 ' . ('7 ' x 300_000) . "\nread 299999 2\n");
	is $status, 0, 'a long line: status' or diag $err;
	like $out, qr/ 07 00 /, 'a long line: all of it';
};

# --- at a terminal ------------------------------------------------------------------------

subtest 'a prompt' => sub {
	my $t = Terminal->new([ $belfry, 'peer', $socket ]);
	ok $t->shows(qr/peer \d+> \z/), 'it is there';
	$t->type("rign\n");
	ok $t->shows(qr/there is no command 'rign'; try 'help'\s.*peer \d+> \z/s), 'a mistake is told of';
	$t->type("write 0 \"abd\x7fc\"\nread 0 3\n");
	ok $t->shows(qr/61 62 63 .*\|abc\|\s+peer \d+> \z/s), 'a line can be mended';
	$t->{seen} = '';
	$t->type("watch\n");
	for (1 .. 50) { # the first may come before the watch
		peer('list');
		$t->look;
		last if $t->{seen} =~ /peer \d+ left/;
	}
	like $t->{seen}, qr/peer \d+ left/, 'watch shows others';
	$t->type("\x03");
	ok $t->shows(qr/\^C.*peer \d+> \z/s), 'Ctrl-C ends the command';
	$t->type("quit\n");
	is $t->event, 'exit 0', 'quit ends the program';
	is $t->mode, $t->{before}, 'the terminal is as it was';
};

subtest 'the link goes on at a prompt' => sub {
	my $t = Terminal->new([ $belfry, 'peer', $socket ]);
	ok $t->shows(qr/peer (\d+)> \z/), 'it is there';
	my ($id) = $t->{seen} =~ /peer (\d+)>/;
	is +(peer("ring $id 1", "ring $id 1"))[0], 0, 'somebody rings';
	$t->type("wait\n");
	ok $t->shows(qr/vector 1: 2\s/), 'both rings are there';
	$t->type("\x04");
	is $t->event, 'exit 0', 'Ctrl-D ends it';
};

for ([ 'INT', "\x03" ], [ 'TERM', undef ], [ 'HUP', undef ]) {
	my ($name, $key) = @$_;
	subtest "SIG$name at a prompt" => sub {
		my $t = Terminal->new([ $belfry, 'peer', $socket ]);
		ok $t->shows(qr/peer \d+> \z/), 'it is there';
		$key ? $t->type($key) : kill $name, $t->pid;
		my $number = { INT => 2, TERM => 15, HUP => 1 }->{$name};
		is $t->event, 'exit ' . (128 + $number), 'status';
		is $t->mode, $t->{before}, 'the terminal is as it was';
	};
}

subtest 'a FIFO that nobody writes to does not hold up a signal' => sub {
	mkfifo "$dir/silent", 0600 or die "mkfifo: $!";
	my $us = spawn($belfry, 'peer', $socket, 'info', "load $dir/silent");
	ok wait_for($us, qr/^waiting 0$/m), 'it loads';
	kill 'TERM', $us->{pid};
	($status, $out, $err) = finish($us);
	is $status, 128 + 15, 'status';
	is $err, '', 'no words';
};

subtest 'nor does one that nobody reads, or standard output' => sub {
	mkfifo "$dir/deaf", 0600 or die "mkfifo: $!";
	sysopen my $deaf, "$dir/deaf", O_RDWR or die "fifo: $!";
	my $shell = 'exec "$0" peer "$@" > ' . "$dir/deaf";
	for (['TERM', $belfry, 'peer', $socket, "save $dir/silent"], # has no reader
		['INT', $belfry, 'peer', $socket, "save $dir/deaf"],
		['TERM', 'sh', '-c', $shell, $belfry, $socket, 'read 0 1M'],
		['TERM', 'sh', '-c', $shell, $belfry, $socket, 'info']) # the pipe is full
	{
		my ($signal, @command) = @$_;
		my $us = spawn(@command);
		select undef, undef, undef, 0.5;
		kill $signal, $us->{pid};
		($status, $out, $err) = finish($us, 10);
		is $status, 128 + { INT => 2, TERM => 15 }->{$signal}, "$command[-1]: status";
		is $err, '', 'no words';
	}
};

subtest 'what is saved to a FIFO comes through' => sub {
	my $us = spawn($belfry, 'peer', $socket, 'fill 0 1M 0x2a', "save $dir/silent 0 1M");
	open my $from, '<', "$dir/silent" or die "fifo: $!";
	my $got = do { local $/; <$from> };
	ok $got eq '*' x (1 << 20), 'all of it';
	is +(finish($us))[0], 0, 'status';
};

subtest 'what comes through a FIFO is loaded' => sub {
	mkfifo "$dir/talks", 0600 or die "mkfifo: $!";
	my $us = spawn($belfry, 'peer', $socket, 'info', "load $dir/talks 64", 'read 64 5');
	ok wait_for($us, qr/^waiting 0$/m), 'it loads';
	open my $to, '>', "$dir/talks" or die "fifo: $!";
	$to->autoflush(1);
	print $to $_ for 'he', 'llo';
	close $to;
	($status, $out, $err) = finish($us);
	is $status, 0, 'status' or diag $err;
	like $out, qr/^00000040  68 65 6c 6c 6f .*\|hello\|$/m, 'all of it';
};

# --- the server goes ----------------------------------------------------------------------

subtest 'a server that ends, and another in its place' => sub {
	my $watch = spawn($belfry, 'peer', $socket, 'info', 'watch');
	ok wait_for($watch, qr/^id (\d+)/), 'it runs';
	is +(stop($running))[0], 0, 'the server has ended';
	ok wait_for($watch, qr/Z server lost: server hung up$/m), 'it is told of';
	$running = foreign_server(2);
	ok wait_for($watch, qr/Z server changed: .*$/m), 'and so is another link';
	kill 'INT', $watch->{pid};
	($status, $out, $err) = finish($watch);
	is $status, 128 + 2, 'status';
	is $err, '', 'no other words';
};

subtest 'commands go on without the server' => sub {
	$me = next_id();
	my $script = spawn($belfry, 'peer', $socket, 'write 0 "x"', 'read 0 1', 'sleep 300ms', 'info',
		"ring $me", 'wait --timeout 5s');
	ok wait_for($script, qr/78/), 'it runs';
	stop($running);
	($status, $out, $err) = finish($script);
	is $status, 0, 'status';
	like $out, qr/^server lost$/m, 'info knows';
	like $out, qr/^vector 0: 1$/m, 'we can be rung';
	is $err, "belfry: server lost: server hung up\n", 'it is told of';
};

done_testing;
