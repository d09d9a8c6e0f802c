"""The Reflect service: traces become memories, without a language model."""
