# SPDX-License-Identifier: Apache-2.0
# Few targets over Meson. BUILD=DIR chooses the build folder.
BUILD ?= build
PREFIX ?= /usr/local
SEEDS ?= 200
SECONDS_EACH ?= 60
MESON ?= meson

.PHONY: all demo test check sim fuzz bench install clean asan tsan format

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) src/skiff
	@ln -sf src/skiff $(BUILD)/skiff

$(BUILD)/build.ninja:
	@$(MESON) setup $(BUILD) >$(BUILD).log || { tail -n 20 $(BUILD).log; rm -f $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log

demo: all
	tools/demo.sh $(BUILD)/skiff

# Everything in minutes: style and layers, unit tests, golden folders, seeds of the fuzzers, simulation, end to end.
test: all
	@$(MESON) configure $(BUILD) -Dtests=enabled
	tools/run-tests.sh $(BUILD)

check: $(BUILD)/build.ninja
	tools/check.sh

asan:
	@[ -e $(BUILD)-asan/build.ninja ] || $(MESON) setup $(BUILD)-asan -Db_sanitize=address,undefined -Dbuildtype=debug >/dev/null
	@ninja -C $(BUILD)-asan
	tools/run-tests.sh --quick $(BUILD)-asan

tsan:
	@[ -e $(BUILD)-tsan/build.ninja ] || $(MESON) setup $(BUILD)-tsan -Db_sanitize=thread -Dbuildtype=debug >/dev/null
	@ninja -C $(BUILD)-tsan
	tools/run-tests.sh --workers $(BUILD)-tsan

sim: $(BUILD)/build.ninja
	@ninja -C $(BUILD) tests/sim/sim
	$(BUILD)/tests/sim/sim 1 $(SEEDS)

fuzz:
	tools/fuzz.sh $(SECONDS_EACH)

bench: all
	@ninja -C $(BUILD)
	bench/run.sh $(BUILD)

# LINKS=1 adds the names argocd and kubectl-argo-rollouts.
install: all
	DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) LINKS=$(LINKS) tools/install.sh $(BUILD)/skiff

format:
	clang-format-14 -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan build-fuzz
