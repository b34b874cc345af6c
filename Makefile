# The commands of the house. `make` alone lists them.

cache := $(if $(APUS_CACHE),$(APUS_CACHE),$(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/apus)
export PKG_CONFIG_PATH := $(cache)/pkgconfig$(if $(PKG_CONFIG_PATH),:$(PKG_CONFIG_PATH))

# /usr/local where this user may write there, else the home folder.
PREFIX ?= $(shell [ -w /usr/local/bin ] && echo /usr/local || echo "$(HOME)/.local")
bin := $(PREFIX)/bin

# The `swift` driver starts the program swift-NAME that lies beside it; a link to apus makes `swift sft` work.
toolchain = $(shell swift -print-target-info | sed -n 's|.*"runtimeResourcePath": "\(.*\)/lib/swift".*|\1/bin|p')
links := swift-sft swift-pt swift-rlhf swift-infer swift-export swift-merge-lora swift-params swift-tokenize swift-template swift-download

# Where bash-completion, zsh and fish look for what programs bring along.
completions_bash := $(PREFIX)/share/bash-completion/completions/apus
completions_zsh := $(PREFIX)/share/zsh/site-functions/_apus
completions_fish := $(PREFIX)/share/fish/vendor_completions.d/apus.fish

.PHONY: help setup build quickstart test check docs parity bench gpu-bundle install uninstall clean

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1~\2/p' Makefile | awk -F'~' '{ printf "%-18s%s\n", $$1, $$2 }'

setup: ## fetch libtorch and the system libraries; does nothing when they are there (CUDA=1: with the CUDA kernels)
	@Scripts/setup

build: setup ## build apus for speed
	swift build -c release --product apus
	@echo "built $$(swift build -c release --show-bin-path)/apus; \`make install\` puts it on the PATH and makes \`swift sft\` work"

quickstart: ## set up, build, fine-tune a small model and ask it, in minutes
	@Scripts/quickstart

test: setup ## set up, build and run every test
	swift test --no-parallel

check: ## style, floors, lengths, documentation, fixtures
	@Scripts/check

docs: setup ## build the library's documentation into .build/docs
	swift build --product Chatting
	@Scripts/docs

parity: build ## compare with the Python programs, live
	@Scripts/parity/run

bench: build ## measure time and memory, beside the Python programs
	@Benchmarks/run --out Docs/benchmarks/cpu.md

gpu-bundle: setup ## pack what checks and measures a GPU elsewhere (Docs/gpu.md)
	@Scripts/gpu-bundle

install: build ## put apus and its completions into PREFIX and make `swift sft` work
	@mkdir -p "$(bin)"
	@install -s -m 755 "$$(swift build -c release --show-bin-path)/apus" "$(bin)/apus"
	@echo "installed $(bin)/apus"
	@for file in bash:$(completions_bash) zsh:$(completions_zsh) fish:$(completions_fish); do \
	    mkdir -p "$$(dirname "$${file#*:}")"; \
	    "$(bin)/apus" --generate-completion-script "$${file%%:*}" > "$${file#*:}"; \
	done
	@for link in $(links); do ln -sf apus "$(dir $(completions_bash))$$link"; done
	@echo "installed completions for bash, zsh and fish in $(PREFIX)/share; a new shell has them"
	@folder="$(toolchain)"; \
	if [ ! -w "$$folder" ]; then \
	    echo "$${folder:-The folder of swift} is not writable, so the links go to $(bin):"; \
	    echo "\`swift-sft\` works, \`swift sft\` does not."; \
	    echo "For that: for name in $(links); do sudo ln -s $(bin)/apus $$folder/\$$name; done"; \
	    folder="$(bin)"; \
	fi; \
	for link in $(links); do \
	    if [ -e "$$folder/$$link" ] && [ "$$(readlink "$$folder/$$link")" != "$(bin)/apus" ]; then \
	        echo "$$folder/$$link is another program; left as it is"; \
	    else \
	        ln -sf "$(bin)/apus" "$$folder/$$link"; \
	    fi; \
	done; \
	echo "linked $(links) in $$folder"
	@case ":$$PATH:" in *":$(bin):"*) ;; *) echo "Put it on your PATH: export PATH=\"$(bin):\$$PATH\"" ;; esac

uninstall: ## remove what install put there
	@for folder in "$(bin)" "$(toolchain)"; do \
	    for link in $(links); do \
	        if [ "$$(readlink "$$folder/$$link")" = "$(bin)/apus" ]; then rm "$$folder/$$link"; fi; \
	    done; \
	done
	@rm -f "$(bin)/apus" "$(completions_bash)" "$(completions_zsh)" "$(completions_fish)"
	@for link in $(links); do rm -f "$(dir $(completions_bash))$$link"; done
	@echo "removed $(bin)/apus, its links and its completions"

clean: ## remove what was built; libtorch and runs stay
	swift package clean
