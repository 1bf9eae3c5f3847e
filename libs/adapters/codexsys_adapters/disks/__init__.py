"""Where a sandbox's files lie: bounded disks, and layers that later sandboxes stand on.

Standard library alone, Linux. Two ways, of which a host has one:

`image.Disk`, for root: a sparse ext4 file with a size and a number of inodes, mounted. Every call
acts in the mount namespace of its caller: a supervisor's own, which takes the mounts along when it
dies, or the host's, where a container engine sees them.

    disk = Disk(folder)                          # a folder that only root may enter
    disk.make(megabytes=1024, inodes=100_000)
    disk.mount(owner=120_001, layers=layer.images)   # layers: () for an empty one
    disk.files / "code"                          # and "output", "home": all three owned by 120001
    disk.room()                                  # what is left of bytes and inodes
    disk.keep(target)                            # a copy of the image, between two phases
    disk.remove()                                # unmounted and gone; no error when it is not there

`trees`, for an ordinary user: plain folders, copied inside a cage; nothing bounds them.

`layers.Layers` keeps what either of them copies, by tenant and name:

    layers = Layers(root, most_bytes=20 << 30)
    layer = layers.find("tenant", ["best", "second"])      # None, or layer.name and layer.images
    layers.keep("tenant", "best", below=layer, fill=lambda draft: disk.keep(draft / IMAGE))
"""
