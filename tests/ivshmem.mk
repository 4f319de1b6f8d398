# tests of the loop and of how peers meet
tests-y += loop
loop-test-y := tests/unit/loop_test.o base/loop.o base/err.o

tests-y += wire
wire-test-y := tests/unit/wire_test.o ivshmem/wire.o

tests-y += outbox
outbox-test-y := tests/unit/outbox_test.o ivshmem/outbox.o ivshmem/ids.o base/err.o

ivshmem-peer-o := ivshmem/peer.o ivshmem/member.o ivshmem/table.o ivshmem/wire.o \
	base/loop.o base/err.o base/log.o
ivshmem-server-o := ivshmem/server.o ivshmem/listen.o ivshmem/outbox.o ivshmem/ids.o

tests-y += handshake
handshake-test-y := tests/peers/handshake_test.o tests/peers/fake_server.o \
	tests/peers/party.o $(ivshmem-peer-o)

tests-y += peers
peers-test-y := tests/peers/peers_test.o tests/peers/party.o $(ivshmem-peer-o) \
	$(ivshmem-server-o)
