# tests of the loop and of how peers meet
tests-y += loop
loop-test-y := tests/unit/loop_test.o base/loop.o base/err.o base/event.o

tests-y += err
err-test-y := tests/unit/err_test.o base/err.o

tests-y += event
event-test-y := tests/unit/event_test.o base/event.o

tests-y += wire
wire-test-y := tests/unit/wire_test.o ivshmem/wire.o

tests-y += outbox
outbox-test-y := tests/unit/outbox_test.o ivshmem/outbox.o ivshmem/ids.o base/err.o base/event.o

ivshmem-peer-o := ivshmem/peer.o ivshmem/member.o ivshmem/table.o ivshmem/wire.o \
	ivshmem/dial.o ivshmem/late.o base/loop.o base/err.o base/event.o base/log.o
ivshmem-server-o := ivshmem/server.o ivshmem/listen.o ivshmem/outbox.o ivshmem/ids.o

tests-y += handshake
handshake-test-y := tests/peers/handshake_test.o tests/peers/fake_server.o \
	tests/peers/party.o $(ivshmem-peer-o)

tests-y += peers
peers-test-y := tests/peers/peers_test.o tests/peers/party.o $(ivshmem-peer-o) \
	$(ivshmem-server-o)

tests-y += reconnect
reconnect-test-y := tests/peers/reconnect_test.o tests/peers/fake_server.o \
	tests/peers/party.o $(ivshmem-peer-o)

tests-y += crowd
crowd-test-y := tests/peers/crowd_test.o tests/peers/fake_server.o \
	tests/peers/party.o $(ivshmem-peer-o)

tests-y += dial
dial-test-y := tests/peers/dial_test.o ivshmem/dial.o base/err.o base/event.o base/log.o

tests-y += late
late-test-y := tests/peers/late_test.o ivshmem/late.o base/loop.o base/err.o base/event.o

# ivshmem-objs: see tests/devices.mk
tests-y += device
device-test-y = tests/peers/device_test.o $(ivshmem-objs)
