"""The project's container images: built from Dockerfiles, named by what went into them, put into the cluster.

    table     which images there are and what each is built on
    context   which files a Dockerfile uses, and one hash for all that makes an image what it is
    base      a base image without a registry: a debootstrap root, kept in the cache
    host      this machine's settings for apt and pip, lent to a build and not written into the image
    buildah   builds without Docker, and exports for the local node
    publish   from the table to `.cluster/images.json`, for each kind of cluster

An image is called `localhost/<name>:<hash>`. The same hash means the same image, so nothing is built or
imported twice, a Deployment that names it starts new pods exactly when the content changed, and no tag is
ever reused.
"""
