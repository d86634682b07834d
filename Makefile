# Holdfast: `make help` lists what there is to do.

VERSION ?= $(file < vm/version)
TESTS ?=
KERNEL_VARIANT ?= debug
FLAVOUR ?= cloud
NAMES ?=
selftests = kernel/tools/testing/selftests/layout_pin

.PHONY: help demo check lint series series-check build-check patches-check off-check torture bench regress deb deb-check tools selftests clean

help:
	@echo 'make demo            build, boot and show RDMA into a leased DAX file'
	@echo 'make check [TESTS=N] build the debug kernel and run the tests (named N)'
	@echo 'make check KERNEL_VARIANT=stock'
	@echo '                     the holes of the unpatched kernel: these tests fail there'
	@echo 'make lint            checkpatch, sparse, W=1, kernel-doc, shellcheck, mandoc'
	@echo 'make build-check [NAMES=N]'
	@echo '                     compile what changed for other configurations, architectures'
	@echo 'make patches-check   build the kernel after each patch of the series'
	@echo 'make off-check       CONFIG_LAYOUT_PIN=n answers as the unpatched kernel does'
	@echo 'make torture         an hour of races, SIGKILL, faults and bad input'
	@echo 'make bench           instructions of the patched and of the stock kernel'
	@echo 'make regress         other people'\''s tests say the same of both kernels'
	@echo 'make series          the patches as mails, new files in them, with a cover letter'
	@echo 'make series-check    build the kernel after each of these mails'
	@echo 'make deb [FLAVOUR=full]'
	@echo '                     Debian packages of the kernel and of the tools; takes hours'
	@echo 'make deb-check       build, install and boot such packages, small ones'
	@echo 'make clean           remove build/'
	@echo 'vm/run --help        run a command in the machine under test'

demo:
	vm/install --kernel $(VERSION)
	vm/build --variant release --kernel $(VERSION)
	$(MAKE) --no-print-directory tools
	demo/run --kernel $(VERSION)

check:
	vm/install --kernel $(VERSION)
	vm/build --variant $(KERNEL_VARIANT:stock=stock-debug) --kernel $(VERSION)
	$(MAKE) --no-print-directory tools selftests
	TESTS='$(TESTS)' KERNEL_VARIANT=$(KERNEL_VARIANT:stock=stock-debug) \
		vm/check --kernel $(VERSION)

tools:
	@$(MAKE) --no-print-directory -C tools

selftests:
	@vm/fetch --kernel $(VERSION)
	@$(MAKE) --no-print-directory -C $(selftests) VERSION=$(VERSION)
	@$(MAKE) --no-print-directory -C torture VERSION=$(VERSION)

lint:
	vm/fetch --kernel $(VERSION)
	vm/lint --kernel $(VERSION)

series:
	vm/install --kernel $(VERSION)
	vm/series --kernel $(VERSION)

series-check:
	vm/install --kernel $(VERSION)
	vm/patches-check --mails --kernel $(VERSION)

off-check:
	vm/install --kernel $(VERSION)
	vm/build --variant stock --kernel $(VERSION)
	vm/build --variant off --kernel $(VERSION)
	$(MAKE) --no-print-directory tools
	vm/off-check --kernel $(VERSION)

torture:
	vm/install --kernel $(VERSION)
	vm/build --variant debug --kernel $(VERSION)
	vm/build --variant race --kernel $(VERSION)
	vm/build --variant release --kernel $(VERSION)
	$(MAKE) --no-print-directory selftests
	vm/torture --kernel $(VERSION)

bench:
	vm/install --kernel $(VERSION)
	vm/build --variant release --kernel $(VERSION)
	vm/build --variant stock --kernel $(VERSION)
	$(MAKE) --no-print-directory tools
	$(MAKE) --no-print-directory -C bench
	bench/run --kernel $(VERSION)

build-check:
	vm/install --kernel $(VERSION) build-check
	vm/build-check --kernel $(VERSION) $(NAMES)

patches-check:
	vm/install --kernel $(VERSION)
	vm/patches-check --kernel $(VERSION)

regress:
	vm/install --kernel $(VERSION) regress
	vm/build --variant stock --kernel $(VERSION)
	vm/build --variant release --kernel $(VERSION)
	vm/regress --kernel $(VERSION)

deb:
	vm/install --kernel $(VERSION) deb
	vm/deb --flavour $(FLAVOUR) --kernel $(VERSION)

deb-check:
	vm/install --kernel $(VERSION) deb
	vm/deb-check --kernel $(VERSION)

clean:
	rm -rf build
