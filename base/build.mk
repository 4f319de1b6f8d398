# base: leaf helpers
lib-y += base/err.o
lib-y += base/event.o
lib-y += base/file.o
lib-y += base/hugepages.o
lib-y += base/log.o
lib-y += base/loop.o
lib-y += base/number.o
lib-y += base/schema.o
lib-y += base/sized.o
lib-y += base/text.o
lib-y += base/thread.o
