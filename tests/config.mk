# tests/config.mk: the configuration, without a machine behind it
config-objs := vmm/config.o vmm/config_check.o vmm/config_json.o vmm/config_load.o \
	vmm/config_path.o vmm/config_schema.o vmm/config_syntax.o vmm/config_text.o \
	vmm/config_yaml.o devices/ivshmem_conf.o ivshmem/server_conf.o \
	base/err.o base/event.o base/hugepages.o base/number.o base/schema.o base/text.o

tests-y += schema
schema-test-y := tests/unit/schema_test.o base/err.o base/event.o base/number.o base/schema.o base/text.o

tests-y += config
config-test-y := tests/unit/config_test.o tests/unit/config_devices.o $(config-objs)

tests-y += config_yaml
config_yaml-test-y := tests/unit/config_yaml_test.o tests/unit/config_devices.o $(config-objs)

tests-y += mistakes
mistakes-test-y := tests/unit/mistakes_test.o tests/unit/config_devices.o $(config-objs)

tests-y += config_text
config_text-test-y := tests/unit/config_text_test.o tests/unit/config_devices.o $(config-objs)

tests-y += config_server
config_server-test-y := tests/unit/config_server_test.o tests/unit/config_devices.o $(config-objs)

# tests/fuzz/config_fuzz.c is built from these, by clang
config-fuzz-y := tests/fuzz/config_fuzz.o tests/unit/config_devices.o $(config-objs)
