# gspc: `make help` lists what there is to do.

VENV ?= .venv
TORCH ?= torch==2.13.0
DEMO_ITERATIONS ?= 1500

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Whatever the installed package is made of. A change of any of these, or of which there are, installs it again.
SOURCES := $(shell find gspc kernels man pyproject.toml -type f \
	! -path '*/__pycache__/*' ! -path 'man/guide/*' ! -path 'man/mkdocs*' ! -name '*.so' ! -name '.*' | LC_ALL=C sort)

.PHONY: help install demo test emulated fuzz check stubs bench wasm npm viewer cli dist man docs clean FORCE

help: ## list the targets
	@echo 'make TARGET [VENV=$(VENV)] [TORCH="$(TORCH)"]'
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

$(VENV)/.made:
	@python=$$(PYTHON='$(PYTHON)' .ci/packages) && echo $$python -m venv $(VENV) && $$python -m venv $(VENV)
	$(PIP) install --quiet $(TORCH)
	$(PIP) install --quiet 'scikit-build-core>=0.11' 'nanobind==3.1.*' 'cmake>=3.24' ninja
	@touch $@

$(VENV)/.sources: FORCE | $(VENV)/.made
	@cmp --silent <(printf '%s\n' $(SOURCES)) $@ || printf '%s\n' $(SOURCES) > $@

# Without build isolation and with a build folder that stays, only what changed is compiled again.
BUILD = --config-settings=build-dir=build/$(notdir $(VENV))
$(VENV)/.installed: $(VENV)/.made $(VENV)/.sources $(SOURCES)
	$(PIP) install --quiet --no-build-isolation $(BUILD) --config-settings=cmake.define.GSPC_BUNDLE_OPENMP=OFF '.[test]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.made
	$(PIP) install --quiet 'ruff>=0.14' 'mypy>=1.18' 'clang-format==23.*' 'clang-tidy==23.*'
	@touch $@

install: $(VENV)/.installed ## install gspc into VENV, compiling what changed

demo: export PATH := $(abspath $(BIN)):$(PATH)
demo: install ## generate a scene, then fit, compress, decompress, render, inspect and evaluate it
	rm -rf demo
	gspc demo-scene demo/scene
	gspc fit demo/scene -o demo/model.pt --iterations $(DEMO_ITERATIONS)
	gspc compress demo/model.pt -o demo/scene.pcgs
	gspc decompress demo/scene.pcgs --upto 4 | gspc render -o demo/renders > demo/pictures.txt
	gspc inspect-bitstream demo/scene.pcgs
	gspc eval demo/scene.pcgs --data demo/scene
	@echo "$$(wc -l < demo/pictures.txt) pictures of level 4:"
	@sed -n '1~12p' demo/pictures.txt | sed 's/^/  /; $$s/$$/ .../'

# A test process per processor, each with one thread, unless a test asks for more: that takes less time than one
# process with all threads, because most tests are too small for several.
WORKERS := $(shell n=$$(nproc); echo $$((n < 8 ? n : 8)))
test: install ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile

# The AVX-512 units with their intrinsics emulated, for processors that have AVX2 only. The tests named are those that
# run one instruction set after the other; the fuzzers under sanitizers, which build their own, are left out.
# `python -m` finds the checkout's Python files, which take the first kernels on the path.
EMULATED_TESTS := heads mlp rows optimizer grid ssim rate raster rans codec codec_golden codec_variants
emulated: install ## test the kernels for AVX-512 on a processor without it (needs SIMDe's headers)
	@echo '#include <simde/x86/avx512.h>' | $(CXX) -fsyntax-only -x c++ - 2>/dev/null || \
		{ echo 'make emulated: no SIMDe here; apt-get install libsimde-dev' >&2; exit 1; }
	$(BIN)/cmake -S kernels -B build/emulated -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
		-DPython_EXECUTABLE=$(abspath $(BIN))/python -DGSPC_EMULATE_AVX512=ON > build/emulated.log
	$(BIN)/ninja -C build/emulated --quiet _kernels _codec
	mkdir -p build/emulated/path/gspc && cp build/emulated/_*.so build/emulated/path/gspc
	export PYTHONPATH=$(abspath build/emulated/path); \
	$(BIN)/python -c 'from gspc import _codec, _kernels; assert _kernels.supported_isa() == _codec.supported_isa() == "v4"'; \
	$(BIN)/python -m pytest -q -k 'not sanitizers' $(EMULATED_TESTS:%=tests/test_%.py)

# Targets are small, so that they run thousands of inputs a second; with sanitizers, for every instruction set here.
SECONDS ?= 60
fuzz: ## fuzz the decoder core, SECONDS=60 for each of the targets (needs clang with libFuzzer)
	tests/native/fuzz/build.sh
	tests/native/fuzz/run.sh $(SECONDS)

# What the compiled modules offer to Python, as nanobind sees it. Versions of nanobind differ in how they write it.
STUBS := gspc/_kernels.pyi gspc/_codec.pyi
build/stubs/%.pyi: install $(VENV)/.dev FORCE
	@mkdir -p $(@D)
	@$(BIN)/python -m nanobind.stubgen -q -m gspc.$* -o $@
	@$(BIN)/ruff format --quiet $@

stubs: $(STUBS:gspc/%=build/stubs/%) ## write the types of the compiled modules (gspc/_*.pyi) again
	cp $^ gspc/

CPP := $(shell find kernels tests -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.cu' -o -name '*.cuh' | LC_ALL=C sort)
# All sources but those of instruction sets, which are intrinsics for the most part. omp.h is the compiler's own.
TIDY_SOURCES := 'kernels/(?!.*_(isa|vnni)\.cpp).*\.cpp$$'
TIDY_FLAGS = -quiet -hide-progress -extra-arg=-Wno-unknown-warning-option -extra-arg=-idirafter$(shell $(CXX) -print-file-name=include)

check: install cli $(VENV)/.dev $(STUBS:gspc/%=build/stubs/%) ## lint, formatting, types, who imports whom, and whether what is generated is current
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/run-clang-tidy.py -p build/$(notdir $(VENV)) -clang-tidy-binary $(BIN)/clang-tidy $(TIDY_FLAGS) $(TIDY_SOURCES)
	$(BIN)/run-clang-tidy.py -p build/cli -clang-tidy-binary $(BIN)/clang-tidy $(TIDY_FLAGS) 'kernels/cli/.*\.cpp$$'
	@for stub in $(notdir $(STUBS)); do diff -u gspc/$$stub build/stubs/$$stub || \
		{ echo "make check: gspc/$$stub is not what the modules offer; make stubs" >&2; exit 1; }; done
	$(BIN)/mypy
	$(BIN)/pytest tests/test_architecture.py tests/test_codec_cli.py::test_header_alone
	$(BIN)/python -m gspc.cli.man --check man

bench: install ## measure the speed of the kernels and the coder
	$(BIN)/python tests/bench/run.py

# The core for the web, one thread, and what an eye sees of a scene. Its own exceptions, so that the module imports next
# to nothing; SSE2 as emscripten makes it of SIMD128; linked at -O1 because Debian's emscripten cannot run its later
# optimizer under Debian's node. kernels/wasm/pcgs.mjs loads it.
EMCC ?= emcc
WASM_SOURCES := $(wildcard kernels/codec/*/*.cpp kernels/common/*.cpp kernels/wasm/*.cpp)
WASM_FLAGS := -std=c++17 -Ikernels -DGSPC_ISA_NAMESPACE=isa_base -DGSPC_ISA_IS_base=1 -DNDEBUG \
	-fwasm-exceptions -msimd128 -msse2 -ffp-contract=off -fno-math-errno
WASM_EXPORTS := $(shell sed -nE '/^typedef/!s/^(const )?[a-z0-9_]+[*]? (pcgs_[a-z_]+).*/_\2,/p' kernels/codec/api/pcgs.h kernels/wasm/view.h | tr -d '\n')_malloc,_free

wasm: ## build the decoder for the web, build/wasm/pcgs.wasm (needs emcc)
	@command -v $(EMCC) >/dev/null || { echo 'make wasm: no $(EMCC) here; apt-get install emscripten' >&2; exit 1; }
	@$(MAKE) --no-print-directory build/wasm/pcgs.wasm

build/wasm/%.o: kernels/%.cpp $(wildcard kernels/codec/*/*.h* kernels/codec/*/*.inc kernels/common/*.h* kernels/wasm/*.h*) Makefile
	@mkdir -p $(@D)
	$(EMCC) -O3 $(WASM_FLAGS) -c $< -o $@

build/wasm/pcgs.wasm: $(WASM_SOURCES:kernels/%.cpp=build/wasm/%.o)
	$(EMCC) -O1 -fwasm-exceptions -sSTANDALONE_WASM -sWASM_BIGINT -sALLOW_MEMORY_GROWTH --no-entry \
		-sEXPORTED_FUNCTIONS=$(WASM_EXPORTS) $^ -o $@

# The decoder with a typed loader and adapters for engines, as other people's pages take it. Not published.
NPM_FILES := $(wildcard kernels/wasm/*.mjs kernels/wasm/*.d.mts kernels/wasm/package.json kernels/wasm/README.md) LICENSE
npm: wasm ## put the package @gspc/pcgs together, build/npm (needs emcc)
	@rm -rf build/npm && mkdir -p build/npm
	cp -r $(NPM_FILES) kernels/wasm/examples build/wasm/pcgs.wasm build/npm/

# The page of `gspc view`, bundled from gspc/viewer/web with what package-lock.json pins. The result is committed:
# nobody needs node to use it.
VIEWER := gspc/viewer/static
# What the bundle is made of: the package's adapters and examples are no part of it.
PACKAGE_ONLY := loader.mjs plain.mjs playcanvas.mjs spark.mjs ply.mjs package.json README.md $(notdir $(wildcard kernels/wasm/*.d.mts))
VIEWER_SOURCES := $(filter-out $(addprefix kernels/wasm/,$(PACKAGE_ONLY)),$(wildcard gspc/viewer/web/*.* kernels/wasm/*.*))
ESBUILD := build/viewer/node_modules/.bin/esbuild
BUNDLE = NODE_PATH=build/viewer/node_modules $(ESBUILD) --bundle --minify --format=iife --target=es2022 --log-level=warning \
	--conditions=production --legal-comments=none --charset=utf8

build/viewer/.made: gspc/viewer/web/package.json gspc/viewer/web/package-lock.json
	@command -v npm >/dev/null || { echo 'make viewer: no npm here; install node 22 or later' >&2; exit 1; }
	@mkdir -p $(@D) && cp $^ $(@D)
	npm ci --prefix $(@D) --no-audit --no-fund --ignore-scripts
	@touch $@

viewer: wasm build/viewer/.made ## bundle the viewer again, gspc/viewer/static (needs emcc and npm)
	$(BUNDLE) gspc/viewer/web/start.mjs --outfile=$(VIEWER)/viewer.js
	$(BUNDLE) gspc/viewer/web/worker.mjs --outfile=$(VIEWER)/worker.js
	$(ESBUILD) gspc/viewer/web/boot.mjs --minify --target=es2022 --outfile=$(VIEWER)/boot.js
	cp gspc/viewer/web/index.html gspc/viewer/web/style.css build/wasm/pcgs.wasm $(VIEWER)/
	cp build/viewer/node_modules/playcanvas/LICENSE $(VIEWER)/LICENSE.playcanvas
	sha256sum $(VIEWER_SOURCES) > $(VIEWER)/sources.txt

# The core, the heads and a main function. The linker leaves out what they do not use.
CMAKE := $(firstword $(wildcard $(BIN)/cmake) cmake)
cli: ## build pcgs, a decoder without Python, build/cli/pcgs (needs cmake, a compiler and zlib)
	@command -v $(CMAKE) >/dev/null || { echo 'make cli: no cmake here; apt-get install cmake g++ zlib1g-dev' >&2; exit 1; }
	$(CMAKE) -S kernels -B build/cli -DGSPC_PYTHON=OFF -DGSPC_CLI=ON
	$(CMAKE) --build build/cli --target pcgs --parallel $$(nproc)

# From what `install` compiled, so in seconds. Wheels for others come from cibuildwheel (pyproject.toml): they are
# built in its images, for older systems than this one.
dist: install ## write the source distribution and a wheel for this machine to dist/
	rm -rf dist
	$(PIP) install --quiet build
	$(BIN)/python -m build --no-isolation --sdist
	$(PIP) wheel --quiet --no-build-isolation --no-deps $(BUILD) --config-settings=cmake.define.GSPC_BUNDLE_OPENMP=ON \
		--wheel-dir dist .

man: install ## write the man pages again from the commands' own help
	$(BIN)/python -m gspc.cli.man man

$(VENV)/.docs: pyproject.toml $(VENV)/.made
	$(PIP) install --quiet 'mkdocs-material>=9.7' 'mkdocstrings-python>=2' 'pypandoc_binary>=1.17'
	@touch $@

# Needs no network once the tools are there: the site loads nothing from elsewhere, and neither do they.
docs: export NO_MKDOCS_2_WARNING := 1
docs: $(VENV)/.docs ## write the documentation as pages to build/site
	$(BIN)/mkdocs build --quiet --config-file man/mkdocs.yml
	@echo build/site/index.html

clean: ## remove everything that was built or generated here
	rm -rf $(VENV) build dist demo renders .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find gspc tests -name __pycache__ -type d -prune -exec rm -rf {} +
