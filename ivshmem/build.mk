# ivshmem: how peers meet
lib-y += ivshmem/dial.o
lib-y += ivshmem/ids.o
lib-y += ivshmem/late.o
lib-y += ivshmem/listen.o
lib-y += ivshmem/member.o
lib-y += ivshmem/outbox.o
lib-y += ivshmem/peer.o
lib-y += ivshmem/server.o
lib-y += ivshmem/table.o
lib-y += ivshmem/wire.o
