# Two commands do everything. Where make itself is missing, call the scripts.
.PHONY: demo test

# make demo ARGS=--headless
demo:
	@scripts/demo.sh $(ARGS)

test:
	@scripts/test.sh $(ARGS)
