"""Durable jobs: accepted once, run to their end through every restart, readable throughout.

``job`` says what a job is, ``catalogue`` keeps them in a database, ``durable`` gets them run
(the only module that knows DBOS), ``conductor`` takes one through its steps, ``service`` is
what the outside talks to.
"""
