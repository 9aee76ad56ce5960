# Two commands do everything, a third compares. Where make itself is missing, call the scripts.
.PHONY: demo test test-reference

# make demo ARGS=--headless
demo:
	@scripts/demo.sh $(ARGS)

test:
	@scripts/test.sh $(ARGS)

# The same verdicts with the crate `sm2`.
test-reference:
	@scripts/test-reference.sh $(ARGS)
