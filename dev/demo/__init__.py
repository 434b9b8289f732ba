"""The main job on real input, shown step by step: what `make demo` adds to the graph of `dev.plan`."""
