# The checks by name. They run in the environment that is active: pip install -e ".[test]" -c constraints.txt
.PHONY: check lint types test slow docs build clean

check: lint types test  ## what a pull request must pass

lint:
	ruff check .
	ruff format --check .

types:
	mypy

test:
	pytest

slow:
	pytest -m slow

docs:  ## into build/site; needs pip install -e ".[docs]"
	mkdocs build --strict --site-dir build/site

build:
	python -m build

clean:
	rm -rf build dist *.egg-info
