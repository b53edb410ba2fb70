"""An OpenWhisk-compatible server on loopback: the platform of a machine without a cluster.

:mod:`.openwhisk` speaks OpenWhisk's REST API and turns an invocation into an activation record; :mod:`.openfaas` and
:mod:`.google` do the same for their platforms. All three share one pool of :mod:`.containers`, which are processes of
the operating system. :mod:`.server` puts them together; :mod:`.launcher` starts it for a run.
"""
