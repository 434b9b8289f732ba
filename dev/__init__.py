"""The developer's tool of Bullherd: `python -m dev …`, used by the Makefile.

It brings up a Kubernetes cluster, builds the images, runs the demo and takes everything away again. Only the
standard library and `rich` are needed to start it: the virtual environment of a fresh checkout has no more
than that until the tool itself has installed the rest.
"""
