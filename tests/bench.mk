# tests/bench.mk: the benchmark without guests
bench-libs := $(shell $(PKG_CONFIG) --libs jansson 2>/dev/null || echo -ljansson) -lm
bench-report-objs := bench/stats.o bench/result.o base/number.o bench/ci.o bench/compare.o bench/files.o bench/format.o \
	bench/host.o bench/html.o bench/json_read.o bench/json_write.o bench/payloads.o \
	bench/scenario.o bench/table.o base/err.o base/text.o

tests-y += bench_stats
bench_stats-test-libs := $(bench-libs)
bench_stats-test-y := tests/unit/bench_stats_test.o bench/stats.o

tests-y += bench_noise
bench_noise-test-y := tests/unit/bench_noise_test.o bench/noise.o

tests-y += bench_compare
bench_compare-test-libs := $(bench-libs)
bench_compare-test-y := tests/unit/bench_compare_test.o $(bench-report-objs)

tests-y += bench_json
bench_json-test-libs := $(bench-libs)
bench_json-test-y := tests/unit/bench_json_test.o $(bench-report-objs)

tests-y += bench_files
bench_files-test-libs := $(bench-libs)
bench_files-test-y := tests/unit/bench_files_test.o $(bench-report-objs)

bench-fuzz-libs := $(bench-libs)
bench-fuzz-y := tests/fuzz/bench_fuzz.o $(bench-report-objs)
