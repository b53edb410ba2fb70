"""An OpenWhisk-compatible server on loopback: the platform of a machine without a cluster.

From the outside in: :mod:`.api` speaks OpenWhisk's REST, :mod:`.controller` admits and dispatches invocations,
:mod:`.invoker` turns one into an activation record, :mod:`.pool` decides which container runs it,
:mod:`.container` is the emulator's end of one container process and :mod:`.proxy` is what runs inside it.
"""
