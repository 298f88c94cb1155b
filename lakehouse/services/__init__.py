"""Servers beside the lake, on this machine, for the demo and the tests: a module each, with `start`, `stop` and `address`.

Here too: processes in the background, found again by a file (`background`). Not here: the engine (`lakehouse.engine`), reading from them (`lakehouse.sources`).
"""

FOLLOWER = "stream-follower"  # the background process of `lakehouse up` that keeps up with streams; while it lives, their sensor rests
