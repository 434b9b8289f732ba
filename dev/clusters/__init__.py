"""Where a cluster comes from, in this order: the user's own (BULLHERD_USE_CURRENT=1), kind, the local node.

    cluster   what each of them offers
    choice    which one it is, and the record of what was made
    current   a cluster that the user has already: never removed
    kind      Kubernetes in Docker
    local     the node of dev/node

Each kind offers the same few things (`cluster.Cluster`): start, remove, and a way to give it an image.
"""
