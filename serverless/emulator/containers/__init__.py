"""Containers as processes of the operating system, and the pool that they are in.

:mod:`.pool` decides which container runs an invocation, :mod:`.container` is the server's end of one container, and
:mod:`.action_proxy` is the program inside it; :mod:`.http_container` does the same for functions that are HTTP servers.
"""
