# tests of the loop and of how peers meet
tests-y += loop
loop-test-y := tests/unit/loop_test.o base/loop.o base/err.o base/event.o

tests-y += err
err-test-y := tests/unit/err_test.o base/err.o base/text.o

tests-y += sized
sized-test-y := tests/unit/sized_test.o base/sized.o base/err.o

tests-y += event
event-test-y := tests/unit/event_test.o base/event.o

tests-y += wire
wire-test-y := tests/unit/wire_test.o ivshmem/wire.o

tests-y += roster
roster-test-y := tests/unit/roster_test.o ivshmem/roster.o ivshmem/roster_check.o ivshmem/roster_restore.o base/err.o

roster-fuzz-y := tests/fuzz/roster_fuzz.o ivshmem/roster.o ivshmem/roster_check.o \
	ivshmem/roster_restore.o base/err.o

ivshmem-peer-o := ivshmem/peer.o ivshmem/member.o ivshmem/table.o ivshmem/wire.o \
	ivshmem/dial.o ivshmem/late.o base/loop.o base/err.o base/event.o base/file.o \
	base/log.o
ivshmem-server-o := ivshmem/server.o ivshmem/server_join.o ivshmem/server_send.o ivshmem/server_store.o \
	ivshmem/listen.o ivshmem/roster.o ivshmem/roster_check.o ivshmem/roster_restore.o ivshmem/policy.o \
	ivshmem/carrier.o base/number.o base/text.o

tests-y += handshake
handshake-test-y := tests/peers/handshake_test.o tests/peers/fake_server.o \
	tests/peers/party.o $(ivshmem-peer-o)

tests-y += peers
peers-test-y := tests/peers/peers_test.o tests/peers/party.o $(ivshmem-peer-o) \
	$(ivshmem-server-o)

tests-y += reconnect
reconnect-test-y := tests/peers/reconnect_test.o tests/peers/fake_server.o \
	tests/peers/party.o $(ivshmem-peer-o)

ivshmem-api-o := ivshmem/peer_api.o ivshmem/shared.o base/number.o base/sized.o

tests-y += peer_api
peer_api-test-y := tests/peers/peer_api_test.o tests/peers/fake_server.o \
	$(ivshmem-peer-o) $(ivshmem-api-o)

tests-y += peer_server
peer_server-test-y := tests/peers/peer_server_test.o $(ivshmem-peer-o) $(ivshmem-api-o) \
	$(ivshmem-server-o) base/thread.o

tests-y += peer_words
peer_words-test-y := tests/unit/peer_words_test.o cli/peer_words.o

tests-y += crowd
crowd-test-y := tests/peers/crowd_test.o tests/peers/fake_server.o \
	tests/peers/party.o $(ivshmem-peer-o)

tests-y += dial
dial-test-y := tests/peers/dial_test.o ivshmem/dial.o base/err.o base/event.o base/file.o base/log.o

tests-y += late
late-test-y := tests/peers/late_test.o ivshmem/late.o base/loop.o base/err.o base/event.o

# ivshmem-objs: see tests/devices.mk
tests-y += device
device-test-y = tests/peers/device_test.o $(ivshmem-objs)

tests-y += service
service-test-y = tests/peers/service_test.o $(lib-y)

tests-y += scarce
scarce-test-y := tests/peers/scarce_test.o tests/peers/party.o $(ivshmem-peer-o) \
	$(ivshmem-server-o)
# What these answer is the test's choice.
scarce-wrapped := eventfd calloc sendmmsg bf_loop_accept
$(O)/tests/scarce.t: private LDFLAGS += $(scarce-wrapped:%=-Wl,--wrap=%)
