"""A real one-node Kubernetes without Docker, in network, PID and mount namespaces of its own.

    layout        names, addresses and paths, all derived from the checkout
    network       the host's side: network namespace, veth pair, a free /30
    certificates  two authorities and one certificate per component
    components    command lines and configuration files, in the order of starting
    mounts        what the node must not share with the host's file system
    cgroups       the node's own branch of the control groups
    supervisor    process 1 inside the namespaces: starts the components and keeps them running
    lifecycle     up, down, status, seen from the host

Everything hangs on one process: when the supervisor ends, the kernel ends every process of the node and drops
its mounts. What is left to remove are names on the host (namespace, veth, control groups) and
`.cluster/node`.
"""
