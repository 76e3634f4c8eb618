# Each target first sets up what is missing (.ci/setup), which takes no time once done.
PYTEST = .venv/bin/python -m pytest
# A process for each core; neighbours in a file mostly stay together, and with them what its fixtures made.
PARALLEL = -n auto --dist worksteal

.PHONY: demo test test-all lint tables bench clean setup

demo: setup  ## the main job: characterize, train, report
	.venv/bin/spicebridge characterize --quick mtj_write synapse_read
	.venv/bin/spicebridge train digits_ternary_mtj
	.venv/bin/spicebridge report latest

test: setup  ## the tests, without the slow ones
	$(PYTEST) $(PARALLEL) -m "not slow and not bench"

test-all: setup  ## every test
	$(PYTEST) $(PARALLEL) -m "not bench"

lint: setup  ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

tables: setup  ## the reference tables anew; a change shows as a changed digest
	.venv/bin/spicebridge characterize --full --reference \
		mtj_write synapse_read mtj_write_65nm synapse_read_65nm array_read array_write \
		pcm_set pcm_reset pair_read

bench: setup  ## timings; meaningful on an idle machine
	$(PYTEST) -m bench -s

clean:  ## everything that set-up and the tools made; results are kept
	rm -rf .venv .local build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@.ci/setup
