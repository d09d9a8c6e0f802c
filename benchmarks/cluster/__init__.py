"""What a store in Postgres costs, and how it behaves with many organisations.

See ``docs/explanations/scale.md``. ``python -m benchmarks.cluster.costs`` measures.
``python -m benchmarks.cluster.simulation`` simulates.
"""
