"""The tests; `tests.bench` and `tests.vm.bench` are programs."""
