"""OpenWhisk itself, embedded: entities, limits, activations and the wording of its answers.

:mod:`.api` speaks its REST, :mod:`.controller` admits and dispatches invocations, and :mod:`.invoker` turns one into an
activation record.
"""
